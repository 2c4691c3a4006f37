"""Wakes readers of this process when something was written by it."""

import threading


class Wake:
    """A counter of units that can be waited on; ``notify`` costs next to nothing while nobody waits."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._n_waiting = 0
        self.n_units = 0

    def notify(self) -> None:
        """Count a unit and wake whoever waits."""
        self.n_units += 1
        if self._n_waiting:
            with self._changed:
                self._changed.notify_all()

    def wait(self, n_seen: int, timeout_s: float) -> None:
        """Wait until the counter differs from ``n_seen``, at most so many seconds."""
        with self._changed:
            self._n_waiting += 1
            try:
                if self.n_units == n_seen:
                    self._changed.wait(timeout_s)
            finally:
                self._n_waiting -= 1
