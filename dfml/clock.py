"""Time as an argument: everything that asks for the time takes a clock."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Returns milliseconds since the epoch."""


def wall_clock_ms() -> int:
    """Return the wall clock, milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class SetBack:
    """Notices a clock that was set back, for those who keep times of it: without that they would wait it out.

    One that was set forward is not told from time that passed: what was due in between is due.
    """

    __slots__ = ("_latest_ms",)

    def __init__(self) -> None:
        self._latest_ms = 0

    def by(self, now_ms: int) -> int:
        """Return by how many milliseconds the clock went back since the last look; 0 when it went on."""
        behind_ms = max(self._latest_ms - now_ms, 0)
        self._latest_ms = now_ms
        return behind_ms
