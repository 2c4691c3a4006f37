"""Which stacks run on this machine: each says so in a small file, and verbs without ``--log`` find it there.

The file ``<runtime folder>/dfml-<uid>/stacks/<pid>.json`` is locked for as long as its stack lives. The kernel frees
the lock however the process ends, so a file without a lock is stale: it is passed over and removed.
"""

import fcntl
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from dfml.errors import ConflictError, LogUnavailableError, NotFoundError


@dataclass(frozen=True, slots=True)
class RunningStack:
    """A stack as it announces itself. ``log`` and ``lineage`` are absolute; ``lineage`` is "" where no tap runs."""

    pid: int
    log: str
    rest_url: str
    lineage: str
    prefix: str
    namespace: str
    started_ms: int


def stacks_folder(env: Mapping[str, str]) -> Path:
    """Return the folder that this user's stacks announce themselves in; it may not exist."""
    base = env.get("XDG_RUNTIME_DIR") or env.get("TMPDIR") or "/tmp"  # noqa: S108 - the folder below is the user's own
    return Path(base) / f"dfml-{os.getuid()}" / "stacks"


@contextmanager
def announce(stack: RunningStack, env: Mapping[str, str]) -> Iterator[Path]:
    """Announce a stack for as long as the block runs; gives the file.

    Raises
    ------
    LogUnavailableError
        If the folder cannot be written or belongs to somebody else.
    """
    folder = stacks_folder(env)
    file = folder / f"{stack.pid}.json"
    # Written and locked under another name first, so that nobody sees it half written or unlocked.
    draft = file.with_suffix(".draft")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_foreign(folder.parent)
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        msg = (
            f"{folder}: the running stack cannot be announced there: {error}; set XDG_RUNTIME_DIR to a folder of yours"
        )
        raise LogUnavailableError(msg) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, orjson.dumps(asdict(stack)))
        draft.rename(file)
        yield file
    finally:
        file.unlink(missing_ok=True)
        os.close(descriptor)


def running_stacks(env: Mapping[str, str]) -> list[RunningStack]:
    """Return the stacks that run, oldest first; what stale ones left behind is removed."""
    folder = stacks_folder(env)
    if not folder.is_dir() or folder.parent.stat().st_uid != os.getuid():
        return []
    found = [stack for file in folder.glob("*.json") if (stack := _read(file)) is not None]
    return sorted(found, key=lambda stack: (stack.started_ms, stack.pid))


def find_stack(env: Mapping[str, str]) -> RunningStack:
    """Return the one stack that runs; of several gateways of one namespace any.

    Raises
    ------
    NotFoundError
        If none runs.
    ConflictError
        If several run; the text lists them with the ``--log`` that chooses each.
    """
    found = running_stacks(env)
    if not found:
        msg = "no stack runs on this machine; start one with 'dfml up', or name a log with --log sqlite:///PATH"
        raise NotFoundError(msg)
    return choose_stack(found)


def choose_stack(found: Sequence[RunningStack]) -> RunningStack:
    """Return the stack when all of these are gateways of one, any of them.

    Raises
    ------
    ConflictError
        If they are not; the text lists them with what chooses each.
    """
    stacks = {(stack.log, stack.prefix, stack.namespace): stack for stack in reversed(found)}
    if len(stacks) > 1:
        several_here = len({log for log, _, _ in stacks}) < len(stacks)
        lines = "\n".join(f"  {_chosen_by(stack, several_here)}" for stack in reversed(stacks.values()))
        msg = f"{len(stacks)} stacks run on this machine; choose one:\n{lines}"
        raise ConflictError(msg)
    return found[0]


def _chosen_by(stack: RunningStack, several_here: bool) -> str:
    place = f"DFML_PREFIX={stack.prefix} DFML_NAMESPACE={stack.namespace} " if several_here else ""
    return f"{place}--log {stack.log}   ({stack.rest_url}, process {stack.pid})"


def _refuse_foreign(folder: Path) -> None:
    found = folder.stat()
    if found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        msg = f"{folder} belongs to another user or others may write to it"
        raise PermissionError(msg)


def _read(file: Path) -> RunningStack | None:
    try:
        with file.open("rb") as opened:
            try:
                fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return RunningStack(**orjson.loads(opened.read()))
            file.unlink(missing_ok=True)
    except (OSError, ValueError, TypeError):
        # Gone between listing and opening, or of another version of dfml: nothing that this one can use.
        return None
    return None
