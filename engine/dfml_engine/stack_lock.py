"""One stack for one embedded log, or many processes of one part each: who comes second is told at once who holds it."""

import fcntl
import json
import os
from pathlib import Path

from dfml.errors import ConflictError, LogUnavailableError


class StackLock:
    """A lock file beside the log, which ends with its process however that ends. Local file systems only.

    ``shared`` locks are held by processes that share the work; a whole stack wants the log for itself.
    """

    def __init__(self, url: str, *, shared: bool = False) -> None:
        self._kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        self.path = Path(url.removeprefix("sqlite:///") + ".stack")
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Hold the log.

        Raises
        ------
        ConflictError
            If another process holds it; the text says which, and where it answers.
        LogUnavailableError
            If the file cannot be made.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            msg = f"cannot make the lock file {self.path}: {error.strerror}; is the folder writable?"
            raise LogUnavailableError(msg) from error
        try:
            fcntl.flock(descriptor, self._kind | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 1000, 0).decode(errors="replace")
            os.close(descriptor)
            raise ConflictError(self._held_text(holder)) from None
        self._descriptor = descriptor
        self._write({"pid": os.getpid()})

    def announce(self, url: str) -> None:
        """Write where the stack answers, for who comes second."""
        self._write({"pid": os.getpid(), "url": url})

    def release(self) -> None:
        """Let another stack have the log."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self, holder: dict[str, object]) -> None:
        assert self._descriptor is not None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(holder).encode(), 0)

    def _held_text(self, holder: str) -> str:
        log = str(self.path).removesuffix(".stack")
        try:
            said = json.loads(holder)
            who = f"process {said['pid']}" + (f", which answers at {said['url']}" if "url" in said else "")
        except (ValueError, KeyError):
            who = "another process"
        return f"the log {log} is held by {who}; use that stack, stop it, or give another --log"
