"""A pool of threads for one model's calls, in which a call that never returns costs a thread and nothing else."""

import threading
from collections.abc import Callable, Sequence
from enum import Enum, auto
from queue import SimpleQueue

from dfml.record import Record

MAX_ABANDONED = 32
"""How many threads may hang at once before the model is called stuck and no more are started."""


class CallPool:
    """Runs calls on daemon threads.

    Daemon threads and a plain queue instead of :mod:`concurrent.futures`: its executor joins every thread at the exit
    of the process, which would hang with the model.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._name = name
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._started = 0
        self._abandoned = 0
        self._missing = 0
        for _ in range(threads):
            self._start_thread()

    @property
    def stuck(self) -> bool:
        """Whether so many calls never returned that no thread is added any more."""
        return self._abandoned >= MAX_ABANDONED

    def submit(self, call: Callable[[], None]) -> None:
        """Run the call on one of the threads; it must not raise."""
        self._calls.put(call)

    def replace_thread(self) -> None:
        """Add a thread in place of one whose call was given up; it ends by itself if the call ever returns."""
        if self.stuck:
            self._missing += 1
        else:
            self._abandoned += 1
            self._start_thread()

    def retire_thread(self) -> None:
        """Undo :meth:`replace_thread` for a call that returned after all: one thread ends when it is next free.

        Where none was added, because the pool was stuck, the thread that is back is needed again.
        """
        if self._missing:
            self._missing -= 1
        else:
            self._abandoned -= 1
            self._calls.put(None)

    def close(self) -> None:
        """Let every thread end once it is free."""
        for _ in range(self._started):
            self._calls.put(None)

    def _start_thread(self) -> None:
        self._started += 1
        threading.Thread(target=self._run, name=f"{self._name}-{self._started}", daemon=True).start()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


class _Stage(Enum):
    QUEUED = auto()
    RUNNING = auto()
    OVER = auto()


class PooledCall:
    """A call in a pool, for some records. It is over when it returned or was given up, whichever came first."""

    def __init__(self, records: Sequence[Record], pool: CallPool, deadline_ms: int) -> None:
        self.records = records
        self.pool = pool
        self.deadline_ms = deadline_ms
        self.n_bytes = sum(len(record.value) for record in records)
        self._stage = _Stage.QUEUED
        self._guard = threading.Lock()

    def begin(self) -> bool:
        """Start to run; False when the call was given up before."""
        with self._guard:
            if self._stage is _Stage.OVER:
                return False
            self._stage = _Stage.RUNNING
            return True

    def finish(self) -> bool:
        """End with an answer; False when the call was given up meanwhile."""
        with self._guard:
            in_time = self._stage is _Stage.RUNNING
            self._stage = _Stage.OVER
            return in_time

    def give_up(self) -> bool | None:
        """End without an answer; return whether it was running, None when it had ended."""
        with self._guard:
            stage, self._stage = self._stage, _Stage.OVER
            return None if stage is _Stage.OVER else stage is _Stage.RUNNING
