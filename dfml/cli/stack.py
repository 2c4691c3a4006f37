"""``dfml up`` and ``dfml run``: the whole stack, or one part of it, in this process until it is told to stop."""

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfml.cli.output import print_table, say
from dfml.cli.target import absolute_log, read_settings
from dfml.clock import wall_clock_ms
from dfml.errors import BadInputError
from dfml.operations.logs import set_up_logs
from dfml.running import RunningStack, announce
from dfml.settings import SQLITE_SCHEME, Settings, to_environment

if TYPE_CHECKING:
    from dfml.spec.schema import AnyResource
    from dfml_engine.stack import Stack

GC_ALLOCATIONS = 50_000
"""Allocations between two looks at the young: at the default of 700 the collector takes a fifth of the time."""
_logger = logging.getLogger(__name__)
INTERRUPTED = 130
"""What a shell expects of a process that ended by SIGINT."""
LEAVE_S = 10.0
"""How long a process may take beyond what it may drain: a log's client library may never return from a call."""


def up(
    ctx: typer.Context,
    log: Annotated[
        str | None, typer.Option(help="Where topics live: sqlite:///PATH or kafka://HOST:PORT (DFML_LOG).")
    ] = None,
    rest_port: Annotated[
        int | None, typer.Option(help="Port of the REST gateway; 0 takes a free one (DFML_REST_PORT).")
    ] = None,
    load: Annotated[list[Path] | None, typer.Option(help="Load this file first; may be repeated.")] = None,
    tap: Annotated[bool | None, typer.Option("--tap/--no-tap", help="Run the lineage tap (DFML_TAP).")] = None,
) -> None:
    """Run the stack: engine, gateways and lineage tap on an embedded log.

    Prints `ready URL` on stdout once requests are answered. SIGTERM or Ctrl-C drains and exits 0; a second one
    exits at once.

    Example: `dfml up --log sqlite:///claims.db --rest-port 8080 --load pipeline.yaml`
    """
    settings = _with_absolute_log(read_settings(ctx, log=log, rest_port=rest_port, tap=tap))
    settings = replace(settings, lineage=settings.lineage_path.absolute() if settings.tap else settings.lineage)
    resources: list[AnyResource] = []
    if load:
        from dfml.spec import load_files

        resources = load_files(load)
    import uvloop

    set_up_logs(settings.log_format, "all", debug=ctx.obj.debug)
    uvloop.run(_serve(settings, resources))


def _with_absolute_log(settings: Settings) -> Settings:
    """Return the settings with the log's absolute URL."""
    return replace(settings, log=absolute_log(settings.log))


class RunnablePart(Enum):
    """What ``dfml run`` runs."""

    ENGINE = "engine"
    MODEL_GATEWAY = "model-gateway"
    PIPELINE_GATEWAY = "pipeline-gateway"
    TAP = "tap"


def run(
    ctx: typer.Context,
    part: Annotated[RunnablePart, typer.Argument(help="The part that this process runs.")],
    log: Annotated[
        str | None, typer.Option(help="Where topics live: sqlite:///PATH or kafka://HOST:PORT (DFML_LOG).")
    ] = None,
    rest_port: Annotated[
        int | None, typer.Option(help="Port of the REST gateway; 0 takes a free one (DFML_REST_PORT).")
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Port of health and metrics of a part without gateway (DFML_METRICS_PORT).")
    ] = None,
    pipelines: Annotated[
        list[str] | None, typer.Option(help="Run these alone, names or patterns (engine); may be repeated.")
    ] = None,
    models: Annotated[
        list[str] | None, typer.Option(help="Call these alone, names or patterns (model-gateway); may be repeated.")
    ] = None,
    load: Annotated[
        list[Path] | None, typer.Option(help="Document of pipelines that others run (tap); may be repeated.")
    ] = None,
) -> None:
    """Run one part of the stack; start each in a process of its own, any number of times, in any order.

    Processes of one part share its partition numbers (setting `partitions`): with one partition, a second process
    stands by for the first. Prints `ready`, the part and the address of its health and metrics on stdout. SIGTERM or
    Ctrl-C drains and exits 0; a second one exits at once.

    Example: `dfml run engine --log sqlite:///claims.db --pipelines 'claims-*'`
    """
    settings = _with_absolute_log(read_settings(ctx, log=log, rest_port=rest_port, metrics_port=metrics_port))
    patterns = _selected(part, pipelines, models, load)
    set_up_logs(settings.log_format, part.value, debug=ctx.obj.debug)
    if part is RunnablePart.TAP:
        _become_tap(settings, load or [])
    import uvloop

    uvloop.run(_serve(settings, (), part.value, patterns))


def _selected(
    part: RunnablePart, pipelines: list[str] | None, models: list[str] | None, load: list[Path] | None
) -> tuple[str, ...]:
    """Return the names and patterns of what the part works on.

    Raises
    ------
    BadInputError
        If they, or documents, are given to a part that has no use for them.
    """
    for option, given, of in (
        ("--pipelines", pipelines, RunnablePart.ENGINE),
        ("--models", models, RunnablePart.MODEL_GATEWAY),
        ("--load", load, RunnablePart.TAP),
    ):
        if given and part is not of:
            msg = f"{option} is for '{of.value}', got it for '{part.value}'"
            raise BadInputError(msg)
    return tuple(pipelines or models or ())


def _become_tap(settings: Settings, documents: Sequence[Path]) -> None:
    """Go on as the tap, in this very process; it reads a log that is there, so an embedded one is made first."""
    from dfml.log import open_log

    if settings.log.startswith(SQLITE_SCHEME):
        open_log(settings).close()
    settings = replace(settings, lineage=settings.lineage_path.absolute())
    command = [sys.executable, "-m", "dfml.lineage.tap_process"]
    command += [part for document in documents for part in ("--load", str(document))]
    os.execve(sys.executable, command, {**os.environ, **to_environment(settings)})


async def _serve(
    settings: Settings, resources: Sequence["AnyResource"], part: str | None = None, patterns: tuple[str, ...] = ()
) -> None:
    from dfml_engine.parts import Part
    from dfml_engine.selection import Selection
    from dfml_engine.stack import Stack

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, _stop_or_leave, stop)
    with ExitStack() as announced:
        stack = Stack(settings, part=Part(part) if part else None, selection=Selection(patterns))
        if not await _has_started(stack, stop):
            return
        try:
            if resources:
                stack.load(resources)
                if settings.log_format == "text":
                    _tell_status(stack)
            if stack.parts.gateway is not None:
                announced.enter_context(announce(_announcement(stack), os.environ))
            _collect_seldom()
            typer.echo(f"ready {stack.url}" if stack.parts.gateway else f"ready {part} {stack.url}")
            await stop.wait()
            _say(settings, "stopping: finishing what is under way; once more leaves at once")
            _leave_after(settings.drain_timeout_ms / 1000 + LEAVE_S)
        finally:
            await stack.stop()


async def _has_started(stack: "Stack", stop: asyncio.Event) -> bool:
    """Start the stack, unless it is told to stop before that: a log that is somewhere else may be long in coming."""
    starting, stopping = asyncio.create_task(stack.start()), asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return False
    await starting
    return True


def _say(settings: Settings, words: str) -> None:
    """Tell the person, or what collects the lines of log."""
    if settings.log_format == "text":
        say(words)
    else:
        _logger.info(words)


def _collect_seldom() -> None:
    """Keep the garbage collector away from what stays: a request makes some hundreds of objects, hardly any cyclic."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 50)


def _stop_or_leave(stop: asyncio.Event) -> None:
    if stop.is_set():
        # The log holds what was accepted: leaving now loses nothing, and the tap ends with its parent.
        os._exit(INTERRUPTED)
    stop.set()


def _leave_after(seconds: float) -> None:
    """End the process when it has not ended by itself within so many seconds."""

    def leave() -> None:
        _logger.error(
            "not stopped after %g s: a thread does not end; leaving, the log holds what was accepted", seconds
        )
        os._exit(1)

    watching = threading.Timer(seconds, leave)
    watching.daemon = True
    watching.start()


def _announcement(stack: "Stack") -> RunningStack:
    settings = stack.settings
    # On Kafka the store is the tap's own affair: a gateway that was not told of it names none.
    is_known = settings.lineage is not None or settings.log.startswith(SQLITE_SCHEME)
    lineage = str(settings.lineage_path) if settings.tap and is_known else ""
    place = (settings.prefix, settings.namespace)
    return RunningStack(os.getpid(), settings.log, stack.url, lineage, *place, wall_clock_ms())


def _tell_status(stack: "Stack") -> None:
    rows = [(each.kind, each.name, each.version, each.reason or "ready") for each in stack.control.status()]
    print_table(("kind", "name", "version", "status"), rows, stderr=True)
