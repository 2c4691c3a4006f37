"""The stack as a user starts it: ``dfml up`` in a process of its own, specs loaded by ``dfml load``."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dfml.settings import VARIABLE_PREFIX

DFML = (sys.executable, "-m", "dfml")
READY = re.compile(r"ready (https?://\S+)")
READY_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 15.0


class StackError(Exception):
    """The stack did not start or did not take a document; the text holds what it said."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack: its process, ``url`` of its REST gateway, its ``log`` and the file of its lineage ``store``."""

    pid: int
    url: str
    log: str
    store: Path

    @property
    def port(self) -> int:
        """The port of the REST gateway."""
        return int(self.url.rpartition(":")[2])


@contextmanager
def running_stack(folder: Path, documents: Sequence[Path], *, tap: bool = True) -> Iterator[Stack]:
    """Run ``dfml up`` with its files in ``folder`` until the block is left, then let it drain.

    Raises
    ------
    StackError
        If it ends before it is ready.
    """
    log, store, errors = f"sqlite:///{folder / 'log.db'}", folder / "log.lineage.db", folder / "dfml.log"
    loads = [part for document in documents for part in ("--load", str(document))]
    command = [*DFML, "up", "--log", log, "--rest-port", "0", "--tap" if tap else "--no-tap", *loads]
    with errors.open("w") as said:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, env=_environment())
    with process:
        try:
            yield Stack(process.pid, _ready_url(process.stdout, errors), log, store)
        finally:
            _stop(process)


def _stop(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()


def load(stack: Stack, document: Path, name: str) -> None:
    """Load a document into the running stack and wait until the resource of that name is ready.

    Raises
    ------
    StackError
        If the document is refused or the resource does not become ready.
    """
    _call("load", str(document), "--log", stack.log)
    _call("status", name, "--wait", f"{READY_TIMEOUT_S:g}", "--log", stack.log)


def _call(*arguments: str) -> None:
    done = subprocess.run([*DFML, *arguments], capture_output=True, text=True, env=_environment(), check=False)
    if done.returncode:
        msg = f"dfml {' '.join(arguments)} failed: {done.stderr.strip() or done.stdout.strip()}"
        raise StackError(msg)


def _environment() -> dict[str, str]:
    """Return this process's environment without settings of dfml, which are meant for another stack."""
    return {name: value for name, value in os.environ.items() if not name.startswith(VARIABLE_PREFIX)}


def _ready_url(lines: IO[str] | None, errors: Path) -> str:
    for line in lines or ():
        if found := READY.search(line):
            return found[1]
    msg = f"dfml up ended before it was ready:\n{errors.read_text().strip()}"
    raise StackError(msg)
