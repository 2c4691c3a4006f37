"""``inspect``, ``trace``, ``requests``, ``frame`` and ``audit``: what the lineage store knows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfml.cli.output import FAILED, Output, OutputOption, complain, print_json, print_table, say, show, spell_time
from dfml.cli.target import LogOption, find_target
from dfml.clock import wall_clock_ms
from dfml.errors import BadInputError

if TYPE_CHECKING:
    from dfml.lineage.inspect import Reading
    from dfml.lineage.store import LineageStore

SinceOption = Annotated[
    str | None, typer.Option(help="From this time on: -10m (ago), now, an ISO time or milliseconds since the epoch.")
]
UntilOption = Annotated[str | None, typer.Option(help="Before this time.")]
LimitOption = Annotated[int, typer.Option(min=1, help="At most so many, the newest.")]
PipelineArgument = Annotated[str, typer.Argument(help="The pipeline's name.")]


def inspect(
    ctx: typer.Context,
    expr: Annotated[
        str,
        typer.Argument(metavar="EXPR", help="p, p.inputs, p.outputs[.t], p.errors, p.s, p.s.inputs|outputs[.t]|errors"),
    ],
    request_id: Annotated[str | None, typer.Option(help="Only this request's records.")] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = 10,
    log: LogOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the newest records of a pipeline, of a step, or one of their tensors.

    A pipeline or step without a port shows all its topics.

    Example: `dfml inspect claims.step.classifier.outputs.simple --limit 3`
    """
    from dfml.lineage.inspect import inspect as inspect_store
    from dfml.lineage.inspect import parse_selection

    selection = parse_selection(expr)
    since_ms, until_ms = _bounds(since, until)
    with _store(ctx, log) as store:
        found = inspect_store(store, selection, request=request_id, since_ms=since_ms, until_ms=until_ms, limit=limit)
    if output is Output.JSON:
        print_json([reading.to_dict() for reading in found])
        return
    rows = [
        (each.entry.request, each.entry.name, spell_time(each.entry.timestamp_ms), _spell(each), each.entry.position)
        for each in found
    ]
    print_table(("request", "record", "time (UTC)", "holds", "position"), rows)
    if not rows:
        say(f"no record of {expr} is on record in that time")


def trace(
    ctx: typer.Context,
    request_id: Annotated[str, typer.Argument(help="The request's id, as its answer gave it.")],
    log: LogOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show everything that happened to a request, and what did not happen and why.

    Example: `dfml trace claim-17`
    """
    from dfml.lineage.traces import trace as trace_of

    with _store(ctx, log) as store:
        found = trace_of(store, request_id)
        if output is Output.JSON:
            print_json(found.to_dict())
        else:
            show(found.render())


def requests(
    ctx: typer.Context,
    pipeline: PipelineArgument,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = 20,
    log: LogOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List a pipeline's newest requests: when, how long, how they ended.

    Example: `dfml requests claims --since -5m`
    """
    from dfml.lineage.frames import require_pipeline
    from dfml.lineage.requests import RequestFilter, find_requests

    wanted = RequestFilter(pipeline, *_bounds(since, until))
    with _store(ctx, log) as store:
        require_pipeline(store, pipeline)
        found = find_requests(store, wanted, limit)
    if output is Output.JSON:
        print_json([each.to_dict() for each in found])
        return
    rows = [
        (
            each.request,
            spell_time(each.started_ms),
            each.status.value,
            None if each.duration_ms is None else f"{each.duration_ms} ms",
            each.error,
        )
        for each in found
    ]
    print_table(("request", "entered (UTC)", "status", "took", "error"), rows)
    if not rows:
        say(f"no request of {pipeline} is on record in that time")


def frame(
    ctx: typer.Context,
    pipeline: PipelineArgument,
    since: Annotated[str, typer.Option(help="From this time on: -10m (ago), an ISO time or milliseconds.")],
    out: Annotated[Path, typer.Option(help="F.csv or F.parquet")],
    until: Annotated[str, typer.Option(help="Before this time.")] = "now",
    log: LogOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Write requests x variables as a table: one row a request, one column a variable.

    Example: `dfml frame claims --since -1h --out claims.parquet`
    """
    from dfml.cli.tables import write_table
    from dfml.lineage.frames import frame as frame_of
    from dfml.lineage.windows import parse_window

    if out.suffix not in {".csv", ".parquet"}:
        msg = f"--out: got {out}, expected a name that ends in .csv or .parquet"
        raise BadInputError(msg)
    window = parse_window(f"{since}..{until}", wall_clock_ms())
    with _store(ctx, log) as store:
        found = frame_of(store, pipeline, *window)
    write_table(found, out)
    if output is Output.JSON:
        print_json({"out": str(out), "requests": len(found), "columns": list(found.columns)})
    else:
        say(f"{out}: {len(found):,} requests, {len(found.columns)} variables")


def audit(
    ctx: typer.Context,
    pipeline: PipelineArgument,
    since: Annotated[str, typer.Option(help="From this time on: -1h (ago), an ISO time or milliseconds.")] = "-1h",
    log: LogOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Check that the fate of every record is known; exit code 1 when some is not.

    Example: `dfml audit claims --since -1d`
    """
    from dfml.lineage.audit import audit as audit_of
    from dfml.lineage.windows import parse_time

    with _store(ctx, log) as store:
        found = audit_of(store, pipeline, parse_time(since, wall_clock_ms()))
        if output is Output.JSON:
            print_json(found.to_dict())
        else:
            show(found.render())
    if found.unaccounted:
        complain(f"{found.unaccounted} records of {pipeline} have no fate on record")
        raise typer.Exit(FAILED)


VERBS = (inspect, trace, requests, frame, audit)


@contextmanager
def _store(ctx: typer.Context, log: str | None) -> Iterator["LineageStore"]:
    with find_target(ctx, log).open_lineage() as store:
        yield store


def _spell(reading: "Reading") -> str:
    from dfml.drawing.trace import spell_tensor

    return reading.text or ", ".join(spell_tensor(value) for value in reading.tensors)


def _bounds(since: str | None, until: str | None) -> tuple[int, int]:
    from dfml.lineage.windows import parse_time

    now_ms = wall_clock_ms()
    return parse_time(since, now_ms) if since else 0, parse_time(until, now_ms) if until else 2**62
