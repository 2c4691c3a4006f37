"""Which log, lineage store and gateway a verb talks to: what it was told, else the one stack that runs."""

import os
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from dfml.errors import NotFoundError
from dfml.running import RunningStack, choose_stack, find_stack, running_stacks
from dfml.settings import SQLITE_SCHEME, Settings, given_settings, load_settings

if TYPE_CHECKING:
    from dfml.lineage.store import LineageStore
    from dfml.log.base import Log

LogOption = Annotated[
    str | None,
    typer.Option(
        "--log",
        help="The log: sqlite:///PATH or kafka://HOST:PORT (DFML_LOG).",
        show_default="that of the one stack that runs",
    ),
]


@dataclass(frozen=True, slots=True)
class General:
    """The options that stand before the verb."""

    config: Path | None = None
    debug: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """What a verb talks to. ``rest_url`` is where the gateway should be; ``running`` whether a stack said so."""

    settings: Settings
    rest_url: str
    running: bool

    @property
    def is_down(self) -> bool:
        """Whether nobody can be at work on the log: it is a file of this machine, and no stack announced itself."""
        return log_file(self.settings.log) is not None and not self.running

    def open_log(self, *, read_only: bool = False) -> "Log":
        """Open the log, which must exist.

        Raises
        ------
        NotFoundError
            If there is no such file.
        """
        from dfml.log import open_log

        file = log_file(self.settings.log)
        if file is not None and not file.exists():
            msg = f"there is no log {file}; start a stack with 'dfml up --log {self.settings.log}'"
            raise NotFoundError(msg)
        return open_log(self.settings, read_only=read_only)

    def open_lineage(self) -> "LineageStore":
        """Open the lineage store for reading.

        Raises
        ------
        NotFoundError
            If there is none: the tap never ran on this log.
        """
        from dfml.lineage.store import LineageStore

        path = self.settings.lineage_path
        if not path.exists():
            msg = f"there is no lineage store {path}; 'dfml up' makes one unless it is told --no-tap"
            raise NotFoundError(msg)
        return LineageStore(path, read_only=True)


def read_settings(ctx: typer.Context, **options: object) -> Settings:
    """Return the settings, options of the verb included."""
    return load_settings(cast("General", ctx.obj).config, os.environ, options)


def find_target(ctx: typer.Context, log: str | None) -> Target:
    """Return what the verb talks to: the log it was told of (option, environment, file), else the running stack's.

    Raises
    ------
    NotFoundError
        If no log was named, no stack runs and the default log does not exist.
    ConflictError
        If no log was named and several stacks run.
    """
    settings = read_settings(ctx, log=log)
    given = given_settings(cast("General", ctx.obj).config, os.environ, {"log": log}).keys()
    if "log" in given:
        return _of_named_log(settings, named={"prefix", "namespace"} & given)
    try:
        stack = find_stack(os.environ)
    except NotFoundError:
        file = log_file(settings.log)
        if file is None or not file.exists():
            raise
        return _of_named_log(settings, named=set())
    return _of_stack(settings, stack)


def log_file(url: str) -> Path | None:
    """Return the file of a SQLite log; None for another kind."""
    return Path(url.removeprefix(SQLITE_SCHEME)) if url.startswith(SQLITE_SCHEME) else None


def absolute_log(url: str) -> str:
    """Return the log's URL as any folder can use it."""
    file = log_file(url)
    return url if file is None else f"{SQLITE_SCHEME}{file.resolve()}"


def _of_named_log(settings: Settings, named: AbstractSet[str]) -> Target:
    """Return the stack that runs on the log, in the namespace that was named; that of the settings where none does."""
    found = [
        stack
        for stack in running_stacks(os.environ)
        if stack.log == absolute_log(settings.log)
        and all(getattr(stack, name) == getattr(settings, name) for name in named)
    ]
    if found:
        return _of_stack(settings, choose_stack(found))
    return Target(settings, f"http://{settings.rest_host}:{settings.rest_port}", running=False)


def _of_stack(settings: Settings, stack: RunningStack) -> Target:
    lineage = Path(stack.lineage) if stack.lineage else settings.lineage
    found = replace(settings, log=stack.log, lineage=lineage, prefix=stack.prefix, namespace=stack.namespace)
    return Target(found, stack.rest_url, running=True)
