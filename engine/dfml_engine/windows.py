"""The windows of a task's rules: which of them is over next."""

import heapq
from collections.abc import Iterator
from itertools import count

from dfml.clock import SetBack
from dfml_engine.flow import Flow, Gathering

SLACK = 1024
"""How many ended windows may stay in the heap beside as many open ones, before it is made anew."""


class Windows:
    """Open windows, by the time at which they close.

    A rule mostly ends long before its window does. What it held must not be kept alive until then, so the heap holds
    numbers only, and is made anew when most of them are of windows that are no longer open.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, int]] = []
        self._open: dict[int, tuple[Flow, Gathering]] = {}
        self._numbers = count(1)
        self._set_back = SetBack()

    def __len__(self) -> int:
        """How many windows are open."""
        return len(self._open)

    def open(self, flow: Flow, gathering: Gathering) -> None:
        """Watch a gathering's window, which closes at its ``close_ms``."""
        gathering.window = next(self._numbers)
        self._open[gathering.window] = (flow, gathering)
        heapq.heappush(self._heap, (gathering.close_ms, gathering.window))

    def end(self, gathering: Gathering) -> None:
        """Watch it no more; one that was never opened is passed over."""
        if self._open.pop(gathering.window, None) is not None and len(self._heap) > 2 * len(self._open) + SLACK:
            self._heap = [(gathering.close_ms, number) for number, (_, gathering) in self._open.items()]
            heapq.heapify(self._heap)

    def due(self, now_ms: int) -> Iterator[tuple[Flow, Gathering]]:
        """Yield the windows that are over, the oldest first; each is watched no more."""
        if behind_ms := self._set_back.by(now_ms):
            self._set_back_by(behind_ms, now_ms)
        while (close_ms := self.next_close_ms()) is not None and close_ms <= now_ms:
            _, number = heapq.heappop(self._heap)
            yield self._open.pop(number)

    def _set_back_by(self, behind_ms: int, now_ms: int) -> None:
        """Let those that were opened before the clock was set back close as much earlier; others have their time."""
        for _, gathering in self._open.values():
            if gathering.close_ms - gathering.rule.window_ms > now_ms:
                gathering.close_ms -= behind_ms
        self._heap = [(gathering.close_ms, number) for number, (_, gathering) in self._open.items()]
        heapq.heapify(self._heap)

    def next_close_ms(self) -> int | None:
        """Return when the next open window closes."""
        while self._heap and self._heap[0][1] not in self._open:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
