"""The calls of pooled models that have not ended: by deadline, and how much they hold.

A queue of calls is where a slow model would gather records without end. A topic whose calls hold as many records as
allowed waits until half of them have ended, and so do all of them when together they hold too many bytes; what is not
read stays on the log.
"""

import heapq
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import count
from typing import TYPE_CHECKING

from dfml.clock import SetBack
from dfml_engine.runtimes.pool import PooledCall

if TYPE_CHECKING:
    from dfml.record import TopicName


class OpenCalls:
    """Calls under way or queued.

    Parameters
    ----------
    max_records : int
        How many records the calls of one topic may hold before it waits; a batch read at once may exceed it.
    max_bytes : int
        The size that all of them may have together.
    """

    def __init__(self, max_records: int, max_bytes: int) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._calls: dict[int, PooledCall] = {}
        self._deadlines: list[tuple[int, int]] = []
        self._numbers = count()
        self._set_back = SetBack()
        self._n_records: Counter[TopicName] = Counter()
        self._n_bytes = 0
        self._is_full = False
        self.full: frozenset[TopicName] = frozenset()
        """The topics whose calls hold as many records as they may."""

    def __contains__(self, number: int) -> bool:
        return number in self._calls

    def all(self) -> list[PooledCall]:
        """Return every call; safe on any thread."""
        return list(self._calls.values())

    @property
    def too_large(self) -> bool:
        """Whether the calls together hold as many bytes as they may."""
        return self._is_full

    def add(self, call: PooledCall, now_ms: int) -> int:
        """Take a call, whose deadline is told by this present, and return its number."""
        self._note_set_back(now_ms)
        number = next(self._numbers)
        self._calls[number] = call
        heapq.heappush(self._deadlines, (call.deadline_ms, number))
        topic = call.records[0].topic
        self._n_records[topic] += len(call.records)
        self._n_bytes += call.n_bytes
        if self._n_records[topic] >= self._max_records and topic not in self.full:
            self.full |= {topic}
        self._is_full = self._is_full or self._n_bytes >= self._max_bytes
        return number

    def end(self, number: int) -> None:
        """Forget a call."""
        call = self._calls.pop(number)
        topic = call.records[0].topic
        self._n_records[topic] -= len(call.records)
        self._n_bytes -= call.n_bytes
        if topic in self.full and self._n_records[topic] <= self._max_records // 2:
            self.full -= {topic}
        self._is_full = self._is_full and self._n_bytes > self._max_bytes // 2

    def take_on(self, partitions: Collection[int]) -> Iterator[PooledCall]:
        """Forget and yield the calls for records of these partition numbers."""
        for number, call in list(self._calls.items()):
            if call.records[0].partition in partitions:
                self.end(number)
                yield call

    def due(self, now_ms: int) -> Iterator[tuple[int, PooledCall]]:
        """Yield the calls whose deadline is over, with their numbers."""
        self._note_set_back(now_ms)
        while self._deadlines and self._deadlines[0][0] <= now_ms:
            _, number = heapq.heappop(self._deadlines)
            call = self._calls.get(number)
            if call is not None:
                yield number, call

    def _note_set_back(self, now_ms: int) -> None:
        if behind_ms := self._set_back.by(now_ms):
            self._deadlines = [(deadline_ms - behind_ms, number) for deadline_ms, number in self._deadlines]

    def next_deadline_ms(self) -> int | None:
        """Return when the next call is due."""
        while self._deadlines and self._deadlines[0][1] not in self._calls:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None
