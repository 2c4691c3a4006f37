"""The tap: one more reader of every topic of a namespace, which keeps what it reads in the lineage store.

It costs the pipeline nothing but the reading. Its positions are in the store, in the transaction of the rows they
belong to, so it may be killed at any time and started again: nothing is missing, nothing is there twice.

:mod:`dfml.lineage.tap_process` runs it as a process of its own (in a thread of the engine it would take half of the
engine's throughput).
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event

from dfml.clock import Clock, wall_clock_ms
from dfml.errors import LogUnavailableError, UnknownTopicError
from dfml.lineage.entry import Loss
from dfml.lineage.store import LineageStore
from dfml.log.base import Cleanup, Log, Reader, TopicConfig
from dfml.record import Position, Record, TopicPartition
from dfml.topics import Topics

_logger = logging.getLogger(__name__)

_DISCOVER_S = 0.5
"""Between looks for new topics; a pipeline's topics are promised to be tapped within a second or two."""
_LINGER_S = 0.05
"""After a poll that did not fill: each poll and commit costs as much as twenty records, so let some gather. Waiting
here and not in the reader, which would look for a first record a thousand times a second."""
_MAX_RECORDS = 2000
_RETRY_S = (0.1, 5.0)
"""First and longest wait before a write that failed is tried again."""


class Tap:
    """Reads every topic of a namespace from where the store stands; see :meth:`step` and :meth:`run`.

    Inference records, fates and specs are kept; status and membership topics are not read, because they say nothing
    of any record. Log and store stay the caller's, to be closed by it.

    Attributes
    ----------
    n_records, n_lost, n_retries
        Records written; records that retention had removed before; failures that were tried again.
    problem
        What keeps the tap from its work now; empty when nothing does.
    """

    def __init__(self, log: Log, store: LineageStore, topics: Topics, *, clock: Clock = wall_clock_ms) -> None:
        self._log = log
        self._store = store
        self._topics = topics
        self._clock = clock
        self._reader: Reader = log.reader()
        self._next = store.positions()
        self._assigned: dict[TopicPartition, TopicConfig] = {}
        self._gone: set[TopicPartition] = set()
        self._waits = False
        self._polled: list[Record] = []
        self._reached: dict[TopicPartition, int] = {}
        self._looked_s = float("-inf")
        self.n_records = self.n_lost = self.n_retries = 0
        self.problem = ""

    def step(self, timeout_s: float) -> int:
        """Read once, waiting at most ``timeout_s`` for the first record, and write; return how many were written.

        Raises
        ------
        LogUnavailableError
            If the log cannot be read or the store not written now. What was read is kept and written by the next
            call that can.
        """
        if not self._polled:
            if time.monotonic() - self._looked_s >= _DISCOVER_S:
                self.discover()
            self._polled = self._poll(timeout_s)
        batch = self._plan(self._polled)
        if batch.records:
            self._store.write(batch.records, batch.losses, batch.again)
        # Only now: a write that failed is planned anew, with the same records.
        self._next.update(batch.next)
        self._polled = self._polled[len(batch.records) :]
        self.n_records += len(batch.records)
        return len(batch.records)

    def run(self, stop: Event, drain_s: float = float("inf")) -> None:
        """Tap until ``stop`` is set, then read what is there by then, for ``drain_s`` seconds at most.

        Failures that may pass are said and retried.
        """
        wait_s = _RETRY_S[0]
        while not stop.is_set():
            try:
                n_records = self.step(0.0)
            except LogUnavailableError as error:
                _logger.warning("the tap tries again in %.1f s: %s", wait_s, error)
                self.n_retries += 1
                self.problem = str(error)
                stop.wait(wait_s)
                wait_s = min(2 * wait_s, _RETRY_S[1])
                continue
            wait_s = _RETRY_S[0]
            self.problem = ""
            if n_records < _MAX_RECORDS:
                stop.wait(_LINGER_S)
        self._drain(time.monotonic() + drain_s)

    def _drain(self, until_s: float) -> None:
        if not self.catch_up(until_s):
            _logger.warning("the tap stops before it has read everything; it reads on when it starts again")

    def catch_up(self, until_s: float = float("inf")) -> bool:
        """Read up to the ends of now; return whether that was done by then on the monotonic clock.

        Not until nothing comes: another process may go on writing, and a remote log takes its time. That offsets end
        in a gap only the reader knows.
        """
        self.discover()
        ends = self._log.end(list(self._assigned))
        while self._polled or any(at < ends.get(each, 0) for each, at in self._reader.positions().items()):
            if time.monotonic() > until_s:
                return False
            self.step(_LINGER_S)
        return True

    def discover(self) -> None:
        """Begin to read topics that are new, and stop reading those that are gone."""
        self._looked_s = time.monotonic()
        # Further than the last record: behind it there may be what is none (Kafka's transaction markers).
        self._reached = self._reader.positions()
        present = {
            TopicPartition(name, partition): config
            for name, config in self._log.topics().items()
            if self._is_read(name)
            for partition in range(config.partitions)
        }
        if not present and not self._waits:
            text = "no topic of %s is there yet, or none that this user may see; what comes will be read"
            _logger.info(text, self._topics.expand("*"))
        self._waits = not present
        gone = [each for each in self._assigned if each not in present]
        if gone:
            self._reader.unassign(gone)
            for each in gone:
                del self._assigned[each]
            self._gone.update(gone)
        new = [each for each in present if each not in self._assigned]
        if new:
            self._open(new, present)

    def positions(self) -> dict[TopicPartition, int]:
        """Return how far every topic partition has been read, as of the last look for new topics."""
        reached = self._reached
        return {each: max(self._next[each], reached.get(each, 0)) for each in list(self._assigned)}

    def ends(self) -> dict[TopicPartition, int]:
        """Return the present end of every topic partition that is read."""
        return self._log.end(list(self._assigned))

    def close(self) -> None:
        """Release the reader; log and store are left open."""
        self._reader.close()

    def _is_read(self, topic: str) -> bool:
        ref = self._topics.parse(topic)
        return ref is not None and (ref.is_data or topic in {self._topics.fates, self._topics.specs})

    def _open(self, new: Sequence[TopicPartition], configs: Mapping[TopicPartition, TopicConfig]) -> None:
        try:
            beginnings, ends = self._log.beginning(new), self._log.end(new)
        except UnknownTopicError:
            # Deleted since it was listed: the next look will not see it.
            return
        losses, again, starts = [], [], {}
        for each in new:
            known = self._next.get(each)
            if known is not None and (known > ends[each] or each in self._gone):
                again.append(self._made_again(each))
                known = None
            if known is None:
                known = beginnings[each]
            elif known < beginnings[each] and configs[each].cleanup is Cleanup.DELETE:
                losses.append(self._loss(each, known, beginnings[each]))
            starts[each] = max(known, beginnings[each])
        if losses or again:
            # Before anything else knows of the new positions: when this fails, the next look finds the same.
            self._store.write([], losses, again)
        self._gone.difference_update(new)
        self._next.update(starts)
        self._reader.assign(starts)
        self._assigned.update({each: configs[each] for each in new})

    def _poll(self, timeout_s: float) -> list[Record]:
        try:
            return self._reader.poll(_MAX_RECORDS, timeout_s)
        except UnknownTopicError:
            self.discover()
            return []

    def _plan(self, records: list[Record]) -> "_Batch":
        """Return what is to be written of these records at once, with what their offsets say.

        A gap alone proves nothing: Kafka's transaction markers take offsets, compaction takes records. What lies
        before the log's beginning is lost. Offsets that go back mean that the topic was deleted and made again; such
        records begin a batch of their own.
        """
        batch = _Batch(records)
        for index, record in enumerate(records):
            each = TopicPartition(record.topic, record.partition)
            expected = batch.next.get(each, self._next.get(each, record.offset))
            if record.offset < expected:
                if index:
                    batch.records = records[:index]
                    break
                batch.again.append(self._made_again(each))
                expected = 0
            if record.offset > expected and self._assigned[each].cleanup is Cleanup.DELETE:
                beginning = min(self._log.beginning([each])[each], record.offset)
                if beginning > expected and each not in batch.again:
                    batch.losses.append(self._loss(each, expected, beginning))
            batch.next[each] = record.offset + 1
        return batch

    @staticmethod
    def _made_again(each: TopicPartition) -> TopicPartition:
        _logger.warning("%s was deleted and made again; its offsets begin anew", each)
        return each

    def _loss(self, each: TopicPartition, first: int, end: int) -> Loss:
        reason = "removed from the log by retention before the tap read it"
        _logger.warning("%s@%d to %s@%d were %s", each, first, each, end - 1, reason)
        self.n_lost += end - first
        return Loss(Position(each.topic, each.partition, first), end, self._clock(), reason)


@dataclass(slots=True)
class _Batch:
    """Records to be written in one transaction, and the positions behind them."""

    records: list[Record]
    losses: list[Loss] = field(default_factory=list)
    again: list[TopicPartition] = field(default_factory=list)
    next: dict[TopicPartition, int] = field(default_factory=dict)
