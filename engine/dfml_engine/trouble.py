"""Says of trouble that lasts when it begins, at growing intervals that it goes on, and when it is over."""

import logging
import time
from collections.abc import Callable

AGAIN_S = 10.0
LONGEST_S = 600.0
"""A night without a broker is some fifty lines of log."""


class Trouble:
    """One kind of trouble, such as a log that cannot be read.

    Parameters
    ----------
    logger : Logger
        Where the lines go: errors while it lasts, a warning when it is over.
    what : str
        What each line begins with.
    clock : callable
        Seconds, monotonic.

    Attributes
    ----------
    reason
        The latest, empty where all is well.
    """

    def __init__(self, logger: logging.Logger, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.reason = ""
        self._logger = logger
        self._what = what
        self._clock = clock
        self._since_s = self._next_s = self._interval_s = 0.0

    def begin(self, reason: str) -> None:
        """Take note that it is there, or still is, and why."""
        now_s = self._clock()
        if not self.reason:
            self._since_s, self._next_s, self._interval_s = now_s, now_s, AGAIN_S
        self.reason = reason
        if now_s >= self._next_s:
            self._logger.error("%s for %.0f s: %s", self._what, now_s - self._since_s, reason)
            self._next_s = now_s + self._interval_s
            self._interval_s = min(2 * self._interval_s, LONGEST_S)

    def end(self) -> None:
        """Take note that all is well."""
        if self.reason:
            self.reason = ""
            self._logger.warning("%s: over after %.0f s", self._what, self._clock() - self._since_s)
