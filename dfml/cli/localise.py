"""``localise`` and ``report``: what changed between two windows, of a pipeline or of two tables."""

import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfml.cli.output import FAILED, Output, OutputOption, complain, console, print_json, say, show
from dfml.cli.question import Asked, Question, ask
from dfml.cli.target import LogOption, find_target
from dfml.errors import BadInputError

if TYPE_CHECKING:
    from dfml.lineage.store import LineageStore
    from dfml.lineage.traces import Trace
    from dfml_analysis.localisation import Localisation

N_TRACES = 2
"""Guilty requests in a report, each with its counterpart of the reference window."""

PipelineArgument = Annotated[str | None, typer.Argument(help="A pipeline; without it, --graph and tables.")]
ReferenceOption = Annotated[str, typer.Option(help="The normal window: A..B in time, or a table (.csv, .parquet).")]
CURRENT = typer.Option(help="The window to be explained: C..D, or a table.")
TARGET = typer.Option(help="The variable whose change is to be explained, such as claims.outputs.payout.")
CurrentOption = Annotated[str, CURRENT]
TargetOption = Annotated[str, TARGET]
RequestOption = Annotated[
    str | None, typer.Option(help="One request to be explained by normal ones, in place of a current window.")
]
GraphOption = Annotated[
    Path | None, typer.Option(help="For tables: YAML that maps each column to the list of its parents.")
]
MethodOption = Annotated[str, typer.Option(help="How to localise; docs/methods.md lists the methods.")]
UnitOption = Annotated[
    str, typer.Option(help="In what the target's change is shared out: mean, median, p95, 'over 250', absent.")
]
DetailOption = Annotated[bool, typer.Option("--detail", help="JSON with since when, damage, pairs and all evidence.")]
SeriesOption = Annotated[
    bool | None,
    typer.Option(
        "--series/--no-series",
        help="The rows are a time series (or not): a step depends on the row before as well.",
        show_default="as the reference shows",
    ),
]
SeedOption = Annotated[int, typer.Option(help="For methods that draw random numbers.")]


@dataclass(frozen=True, slots=True)
class Way:
    """How to answer: by which method, with which seed, counting damage in which unit, of a time series or not."""

    method: str
    seed: int
    unit: str
    series: bool | None


def localise(
    ctx: typer.Context,
    reference: ReferenceOption,
    current: Annotated[str | None, CURRENT] = None,
    target: Annotated[str | None, TARGET] = None,
    pipeline: PipelineArgument = None,
    request: RequestOption = None,
    graph: GraphOption = None,
    method: MethodOption = "dfml",
    seed: SeedOption = 0,
    unit: UnitOption = "mean",
    series: SeriesOption = None,
    log: LogOption = None,
    output: OutputOption = Output.TABLE,
    detail: DetailOption = False,
) -> None:
    """Say whether something changed between two windows, and which step or input it was.

    Example: `dfml localise claims --reference -20m..-10m --current -10m..now --target claims.outputs.payout`

    Example: `dfml localise --graph graph.yaml --reference before.csv --current after.csv --target payout`

    Example: `dfml localise claims --request 7f3a --reference -2h..-1h`
    """
    way = Way(method, seed, unit, series)
    with ExitStack() as opened:
        store = _open_store(ctx, opened, pipeline, graph, log)
        question = ask(store, Asked(pipeline, graph, reference, current, target, request))
        found = _answer(store, question, way) if request is None else _explain(question, request, way)
    if output is Output.JSON:
        print_json(found.to_json(detail=detail))
    else:
        show(found if log is None else found.on_log(log))
        if found.status != "ok":
            say(f"status: {found.status}")
    _fail_if_failed(found)


def report(
    ctx: typer.Context,
    reference: ReferenceOption,
    current: CurrentOption,
    target: TargetOption,
    out: Annotated[Path, typer.Option(help="The HTML file.")],
    pipeline: PipelineArgument = None,
    graph: GraphOption = None,
    method: MethodOption = "dfml",
    seed: SeedOption = 0,
    unit: UnitOption = "mean",
    series: SeriesOption = None,
    title: Annotated[str, typer.Option(help="The heading.", show_default="pipeline and target")] = "",
    log: LogOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Localise, and write one HTML file with the graph, the distributions, the evidence and the guilty requests.

    Example: `dfml report claims --reference -20m..-10m --current -10m..now --target claims.outputs.payout --out r.html`
    """
    from dfml_analysis.report import write_report

    with ExitStack() as opened:
        store = _open_store(ctx, opened, pipeline, graph, log)
        question = ask(store, Asked(pipeline, graph, reference, current, target))
        found = _answer(store, question, Way(method, seed, unit, series))
        write_report(
            out,
            found,
            graph=question.pipeline or question.causal,
            reference=question.reference,
            current=question.current,
            traces=_guilty_traces(store, found) if store else (),
            title=title,
            reproduce=_spell_command(question, found, pipeline, [reference, current], graph, out),
        )
    if output is Output.JSON:
        print_json({**found.to_json(), "out": str(out)})
    else:
        show(found if log is None else found.on_log(log))
    say(f"report: {out.resolve().as_uri()}")
    _fail_if_failed(found)


VERBS = (localise, report)


def _open_store(
    ctx: typer.Context, opened: ExitStack, pipeline: str | None, graph: Path | None, log: str | None
) -> "LineageStore | None":
    if (pipeline is None) == (graph is None):
        msg = "give one of a pipeline (windows in time) and --graph G.yaml (windows as tables)"
        raise BadInputError(msg)
    return opened.enter_context(find_target(ctx, log).open_lineage()) if pipeline is not None else None


def _answer(store: "LineageStore | None", question: Question, way: Way) -> "Localisation":
    from dfml.lineage.tensors import read_column
    from dfml_analysis.damage import Damage, parse_unit
    from dfml_analysis.elements import with_elements
    from dfml_analysis.localise import localise as localise_windows
    from dfml_analysis.versions import with_versions

    damage = Damage(parse_unit(way.unit))
    windows = (question.reference, question.current)
    with console(stderr=True).status("comparing the windows"):
        found = localise_windows(
            question.causal,
            *windows,
            question.target,
            method=way.method,
            seed=way.seed,
            damage=damage,
            series=way.series,
        )
        if store is None:
            return found
        return with_elements(with_versions(found, question.loaded), *windows, partial(read_column, store))


def _explain(question: Question, request: str, way: Way) -> "Localisation":
    from dfml_analysis.one_request import explain_request

    row = question.current.iloc[0]
    with console(stderr=True).status("comparing the request with normal ones"):
        found = explain_request(
            question.causal,
            question.reference,
            row,
            question.target,
            seed=way.seed,
            method=way.method,
            series=way.series,
        )
    return replace(found, show_me=shlex.join(["dfml", "trace", request])) if question.pipeline else found


def _guilty_traces(store: "LineageStore", found: "Localisation") -> Sequence["Trace"]:
    from dfml.lineage.traces import trace

    pairs = found.suspects[0].pairs[:N_TRACES] if found.suspects else ()
    return [trace(store, request) for pair in pairs for request in (pair.guilty, pair.counterpart)]


def _spell_command(
    question: Question,
    found: "Localisation",
    pipeline: str | None,
    windows: list[str],
    graph: Path | None,
    out: Path,
) -> str:
    """Return the command that makes the same report again: times as they were meant, not as seen from now."""
    frames = (question.reference, question.current)
    if pipeline is not None:
        windows = [f"{frame.attrs['since_ms']}..{frame.attrs['until_ms']}" for frame in frames]
    words = ["dfml", "report", *([pipeline] if pipeline is not None else ["--graph", str(graph)])]
    words += ["--reference", windows[0], "--current", windows[1], "--target", question.target]
    words += ["--method", found.method, "--seed", str(found.seed), "--unit", found.unit, "--out", str(out)]
    return shlex.join(words)


def _fail_if_failed(found: "Localisation") -> None:
    if found.status.startswith("failed"):
        complain(found.status)
        raise typer.Exit(FAILED)
