"""The stack as a user starts it: ``dfml up``, or ``dfml run`` for each part, and specs loaded by ``dfml load``."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import IO

from dfml.settings import VARIABLE_PREFIX

DFML = (sys.executable, "-m", "dfml")
PARTS = ("engine", "model-gateway", "tap", "pipeline-gateway")
"""In the order in which they are started; they end in the opposite one, so that requests can still be finished."""
READY = re.compile(r"ready (?:[a-z-]+ )?(https?://\S+)")
NO_VARIABLES: Mapping[str, str] = MappingProxyType({})
READY_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 15.0


class StackError(Exception):
    """The stack did not start or did not take a document; the text holds what it said."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack: its processes, ``url`` of its REST gateway, its ``log`` and the file of its lineage ``store``.

    ``settings`` are variables that verbs need beside the log.
    """

    pids: tuple[int, ...]
    url: str
    log: str
    store: Path
    settings: Mapping[str, str] = field(default_factory=dict)

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
            yield Stack((process.pid,), _ready_url(process.stdout, errors), log, store)
        finally:
            _stop(process)


@contextmanager
def running_parts(
    folder: Path,
    documents: Sequence[Path],
    log: str,
    partitions: int,
    variables: Mapping[str, str] = NO_VARIABLES,
) -> Iterator[Stack]:
    """Run each part of a stack in a process of its own on a log that is there, until the block is left.

    The lineage store and what the parts say (``dfml.log``) are in ``folder``; ``variables`` are further settings.

    Raises
    ------
    StackError
        If a part ends before it is ready, or a document is refused.
    """
    store, errors = folder / "log.lineage.db", folder / "dfml.log"
    settings = {"DFML_PARTITIONS": str(partitions), "DFML_LINEAGE": str(store), "DFML_REST_PORT": "0", **variables}
    with errors.open("w") as said, ExitStack() as running:
        processes = [running.enter_context(_running_part(part, log, settings, said)) for part in PARTS]
        urls = [_ready_url(process.stdout, errors) for process in processes]
        stack = Stack(tuple(process.pid for process in processes), urls[-1], log, store, settings)
        for document in documents:
            _call(stack, "load", str(document))
        yield stack


@contextmanager
def _running_part(part: str, log: str, settings: Mapping[str, str], said: IO[str]) -> Iterator["subprocess.Popen[str]"]:
    # A session of its own: an interrupt at the terminal must not end one part while another waits for it.
    process = subprocess.Popen(
        [*DFML, "run", part, "--log", log],
        stdout=subprocess.PIPE,
        stderr=said,
        text=True,
        env={**_environment(), **settings},
        start_new_session=True,
    )
    with process:
        try:
            yield process
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
    _call(stack, "load", str(document))
    wait_until_ready(stack, name)


def wait_until_ready(stack: Stack, name: str) -> None:
    """Wait until the resource of that name is ready.

    Raises
    ------
    StackError
        If that takes longer than ``READY_TIMEOUT_S``.
    """
    _call(stack, "status", name, "--wait", f"{READY_TIMEOUT_S:g}")


def _call(stack: Stack, *arguments: str) -> None:
    command = [*DFML, *arguments, "--log", stack.log]
    env = {**_environment(), **stack.settings}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
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
    msg = f"dfml ended before it was ready:\n{errors.read_text().strip()}"
    raise StackError(msg)


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Let the first signal unwind what was started, and no other disturb that."""

    def unwind(_number: int, _frame: FrameType | None) -> None:
        for number in ends:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, unwind) for number in ends}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
