"""The report as one HTML file: verdict, graph, suspects, evidence, the requests that show it, how it was found."""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from dfml.clock import Clock, wall_clock_ms
from dfml.drawing.axis import spell_ms, spell_number
from dfml.drawing.svg import theme_css
from dfml.drawing.trace import spell_entry, waterfall_svg
from dfml.errors import BadInputError, DataError
from dfml.graph import PipelineGraph
from dfml.lineage.traces import Trace
from dfml_analysis.causal_graph import from_pipeline
from dfml_analysis.columns import Kind, parse_column
from dfml_analysis.localisation import Localisation, Suspect, VariableEvidence
from dfml_analysis.localisers.own import Own
from dfml_analysis.mechanisms import moved
from dfml_analysis.rendering import SHOW_ME, TONES, answers
from dfml_analysis.report.charts import distribution_svgs
from dfml_analysis.report.given import alike_weights, given_svg
from dfml_analysis.report.picture import draw_localisation, suspect_tone
from dfml_analysis.report.timeline import timeline_svg
from dfml_analysis.report.words import (
    KINDS,
    LABELS,
    Fact,
    cleared,
    for_pictures,
    only_ranks,
    spell_headline,
    spell_test,
    spell_value,
    suspect_facts,
    untold,
    why_cleared,
)
from dfml_analysis.summaries import summarise
from dfml_analysis.texts import describe_texts, with_text_nodes
from dfml_analysis.variables import Floats
from dfml_analysis.verdict import ALPHA, ALPHA_TARGET, ALPHA_WEAK
from dfml_analysis.windows import Windows as TypedWindows
from dfml_analysis.windows import read_windows
from dfml_analysis.wording import SMALLEST_P, spell_p, spell_since

if TYPE_CHECKING:
    import networkx as nx

SHOWN_SUSPECTS = 8
"""Suspects with pictures; the rest stands in the table of evidence."""
SHOWN_TRACES = 5
CAPTIONS = ("Share of the requests", "Share of the values at or below")
FULL_BAR_DIGITS = 30.0
"""The evidence's bar is full at p = 1e-30."""


@dataclass(frozen=True, slots=True)
class Windows:
    """The two windows and the graph that a localisation was made of."""

    graph: "PipelineGraph | nx.DiGraph | None"
    reference: pd.DataFrame
    current: pd.DataFrame


def write_report(  # noqa: PLR0913 - what a report is made of, and three things that are said on it
    path: Path | str,
    localisation: Localisation,
    *,
    graph: "PipelineGraph | nx.DiGraph | None" = None,
    reference: pd.DataFrame,
    current: pd.DataFrame,
    traces: Sequence[Trace] = (),
    title: str = "",
    reproduce: str = "",
    clock: Clock = wall_clock_ms,
) -> Path:
    """Write the report, whole or not at all, and return where it is.

    Parameters
    ----------
    path : path
        The HTML file; its folder is made where it does not exist.
    localisation : Localisation
        What is reported.
    graph : PipelineGraph or networkx.DiGraph, optional
        The pipeline, or the causal graph of a table; without it no graph is drawn.
    reference, current : DataFrame
        The windows that were compared.
    traces : sequence of Trace
        Requests that show the fault, most telling first; at most five are drawn.
    title : str
        The heading; by default the pipeline and the target.
    reproduce : str
        The command that makes the same report.
    clock : Clock
        For the date on the report.

    Raises
    ------
    BadInputError
        If the file cannot be written.
    """
    target = Path(path)
    html = render_report(
        localisation, Windows(graph, *describe_texts(reference, current)), traces, Heading(title, reproduce, clock())
    )
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(html, encoding="utf-8")
        draft.replace(target)
    except OSError as error:
        msg = f"{target}: the report cannot be written there: {error.strerror}; name another file"
        raise BadInputError(msg) from error
    return target


@dataclass(frozen=True, slots=True)
class Heading:
    """What is said on a report beside its findings; ``made_ms`` is milliseconds since the epoch."""

    title: str
    reproduce: str
    made_ms: int


def render_report(localisation: Localisation, windows: Windows, traces: Sequence[Trace], heading: Heading) -> str:
    """Return the report's HTML; see :func:`write_report`."""
    graph = windows.graph
    data = orjson.dumps(localisation.to_json(detail=True)).decode().replace("<", "\\u003c")
    localisation = localisation.for_readers()
    typed = _typed(localisation, windows)
    return _template().render(
        css=theme_css(":root"),
        title=heading.title or _ask(localisation, graph),
        verdict=localisation.verdict.value,
        label=LABELS[localisation.verdict],
        tone=TONES[localisation.verdict].value,
        headline=spell_headline(localisation),
        sentence=localisation.sentence if localisation.suspects and not only_ranks(localisation) else "",
        tiles=_tiles(localisation, windows),
        picture_of_graph=None if graph is None else draw_localisation(localisation, graph),
        suspects=_suspects(localisation, windows, typed),
        n_suspects_left_out=max(0, len(localisation.suspects) - SHOWN_SUSPECTS),
        target=localisation.target,
        target_pictures=list(
            zip(_pictures(windows, localisation.target, _kind_of(localisation.target)), CAPTIONS, strict=False)
        ),
        evidence=[_evidence_row(localisation, each) for each in sorted(localisation.evidence, key=lambda e: e.p_value)],
        cleared=_cleared(localisation, typed),
        untold=untold(localisation),
        alpha=ALPHA,
        alpha_weak=ALPHA_WEAK,
        traces=[_trace(trace, localisation, windows) for trace in traces[:SHOWN_TRACES]],
        n_traces_left_out=max(0, len(traces) - SHOWN_TRACES),
        method=localisation.method,
        own_method=localisation.method == Own.name,
        limits=localisation.status if localisation.status != "ok" else "",
        facts=_made_how(localisation, windows, heading),
        reproduce=heading.reproduce,
        show_me=localisation.show_me,
        data=data,
    )


def _breakable(words: str) -> Markup:
    """Return the words with places at which a browser may break a long name, and dates that it may not break."""
    broken = re.sub(r"(?<=[_./:-])(?=[^\W\d])", "<wbr>", str(escape(words)))
    return Markup(re.sub(r"\d{4}-\d\d-\d\d", r'<span class="whole">\g<0></span>', broken))  # noqa: S704 - escaped above


@cache
def _template() -> Template:
    loader = PackageLoader("dfml_analysis.report", package_path="")
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    pages.filters["breakable"] = _breakable
    return pages.get_template("report.html.j2")


def _ask(localisation: Localisation, graph: "PipelineGraph | nx.DiGraph | None") -> str:
    what = f"hat changed {localisation.target or 'between the windows'}?"
    return f"{graph.pipeline}: w{what}" if isinstance(graph, PipelineGraph) else f"W{what}"


def _tiles(localisation: Localisation, windows: Windows) -> list[Fact]:
    whose = ", suspect 1" if len(localisation.suspects) > 1 else ""
    tiles = [Fact(f"{name.capitalize()}{whose}", value) for name, value in answers(localisation) if name != SHOW_ME]
    if not localisation.suspects:
        tiles.append(Fact("Requests compared", f"{len(windows.reference):,} before, {len(windows.current):,} after"))
    target = localisation.target
    if target in windows.reference and target in windows.current:
        kind = _kind_of(target)
        means = [_mean(frame[target]) for frame in (windows.reference, windows.current)]
        if all(math.isfinite(mean) for mean in means):
            change = f"{spell_value(means[0], kind)} → {spell_value(means[1], kind)}"
            tiles.append(Fact(f"Mean of {target}", change))
    return tiles


def _kind_of(variable: str) -> Kind:
    return parse_column(variable).kind or Kind.VALUE


def _cleared(localisation: Localisation, typed: TypedWindows | None) -> list[dict[str, object]]:
    """Return the steps that are not at fault, each with why: what moved there, and that its inputs explain it."""
    return [
        {
            "step": step,
            "why": why_cleared(items, {} if typed is None else _moved(items, typed)),
            "n_tests": len(items),
            "p": spell_p(min(item.p_value for item in items)),
        }
        for step, items in cleared(localisation)
    ]


def _moved(items: Sequence[VariableEvidence], typed: TypedWindows) -> dict[str, tuple[float, float]]:
    """Return the variables whose distribution differs between the windows, with their means before and after."""
    found = {}
    for name in dict.fromkeys(item.variable for item in items):
        variable = typed.variables[name]
        if moved(typed, name).log_p > np.log(ALPHA_TARGET) or variable.classes:
            continue
        before, after = summarise(variable, typed.window)
        found[name] = (before.mean, after.mean)
    return found


def _mean(column: pd.Series) -> float:
    return float(pd.to_numeric(column, errors="coerce").replace([np.inf, -np.inf], np.nan).mean())


def _suspects(localisation: Localisation, windows: Windows, typed: TypedWindows | None) -> list[dict[str, object]]:
    return [
        {
            "place": place,
            "tone": suspect_tone(localisation, suspect).value,
            "step": suspect.step,
            "variable": suspect.variable,
            "kind": KINDS[suspect.kind],
            "facts": suspect_facts(suspect, localisation),
            **_shown(suspect, windows, typed),
        }
        for place, suspect in enumerate(localisation.suspects[:SHOWN_SUSPECTS], start=1)
    ]


def _shown(suspect: Suspect, windows: Windows, typed: TypedWindows | None) -> dict[str, object]:
    """Return a suspect's pictures with their captions, and its timeline."""
    known = typed is not None and suspect.variable in typed.variables
    weights = alike_weights(typed, suspect.variable) if known and typed is not None else None
    alike = "" if weights is None else ", both windows weighted to like inputs"
    captions = (f"Share of the requests{alike}", f"Share of the values at or below{alike}")
    pictures = list(zip(_pictures(windows, suspect.variable, suspect.kind, weights), captions, strict=False))
    given = given_svg(typed, suspect.variable, suspect.kind) if known and typed is not None else None
    if given is not None:
        what = "Mean" if suspect.kind not in {Kind.PRESENCE, Kind.ERROR} else "Share"
        pictures = [pictures[0], (given.svg, f"{what}, by {given.parent} (bars: 95 %)")] if pictures else pictures
    onset, sizes = suspect.onset, (len(windows.reference), len(windows.current))
    return {
        "pictures": pictures,
        "since": "" if onset is None else spell_since(onset),
        "timeline": "" if onset is None else timeline_svg(onset, *sizes),
    }


def _typed(localisation: Localisation, windows: Windows) -> TypedWindows | None:
    """Return the windows with the variables' parents, where graph and frames tell them."""
    graph = windows.graph
    if graph is None:
        return None
    try:
        columns = windows.reference.columns
        causal = from_pipeline(graph, columns) if isinstance(graph, PipelineGraph) else with_text_nodes(graph, columns)
        return read_windows(causal, windows.reference, windows.current, localisation.target)
    except DataError:
        return None


def _pictures(windows: Windows, variable: str, kind: Kind, weights: Floats | None = None) -> tuple[str, ...]:
    if variable not in windows.reference or variable not in windows.current:
        return ()
    before, after = (for_pictures(frame[variable], kind) for frame in (windows.reference, windows.current))
    return distribution_svgs(variable, before, after, weights)


def _evidence_row(localisation: Localisation, item: VariableEvidence) -> dict[str, object]:
    guilty = {(suspect.variable, suspect.kind) for suspect in localisation.suspects}
    if (item.variable, item.kind) in guilty:
        said, tone = "suspect", TONES[localisation.verdict].value
    elif (item.variable, item.kind) in {(name, each.kind) for each in localisation.suspects for name in each.also}:
        said, tone = "same change", TONES[localisation.verdict].value
    elif not item.comparable:
        said, tone = "cannot tell", "muted"
    else:
        said, tone = ("unchanged", "good") if item.p_value > ALPHA_WEAK else ("weak", "warn")
    digits = -math.log10(max(item.p_value, SMALLEST_P)) if math.isfinite(item.p_value) else 0.0
    return {
        "step": item.step,
        "variable": item.variable,
        "kind": item.kind.value,
        "p": spell_p(item.p_value),
        "bar": f"{100 * min(digits / FULL_BAR_DIGITS, 1.0):.1f}",
        "test": spell_test(item.test),
        "effect": f"{item.effect:+.2g}" if math.isfinite(item.effect) else "–",
        "n": spell_number(item.n_compared) if math.isfinite(item.n_compared) else "–",
        "said": said,
        "tone": tone,
    }


def _trace(trace: Trace, localisation: Localisation, windows: Windows) -> dict[str, object]:
    suspects = {suspect.step for suspect in localisation.suspects}
    before = trace.request in windows.reference.index
    return {
        "request": trace.request,
        "window": "reference window" if before else "current window",
        "tone": "before" if before else "after",
        "status": trace.status,
        "duration": spell_ms(trace.duration_ms),
        "svg": waterfall_svg(trace, suspects=() if before else suspects),
        "records": [
            {
                "name": entry.name,
                "at": spell_ms(entry.timestamp_ms - trace.started_ms),
                "says": spell_entry(entry),
                "position": str(entry.position),
                "guilty": not before and entry.step in suspects and entry.port == "outputs",
            }
            for entry in trace.entries
        ],
        "drops": [
            {
                "name": fate.step or f"{fate.pipeline}.outputs",
                "says": f"{fate.fate}: {fate.reason}" + (f"; no {', '.join(fate.missing)}" if fate.missing else ""),
                "position": str(fate.position),
            }
            for fate in trace.fates
        ],
    }


def _made_how(localisation: Localisation, windows: Windows, heading: Heading) -> list[Fact]:
    try:
        own_version = version("dfml")
    except PackageNotFoundError:
        own_version = "unknown"
    facts = [Fact("Method", localisation.method), Fact("Seed", str(localisation.seed))]
    for name, frame in (("Reference window", windows.reference), ("Current window", windows.current)):
        facts.append(Fact(name, _window(frame)))
    facts.append(Fact("Status", localisation.status))
    facts.append(Fact("dfml", own_version))
    facts.append(Fact("Made", _moment(heading.made_ms)))
    return facts


def _window(frame: pd.DataFrame) -> str:
    size = f"{len(frame):,} requests, {len(frame.columns)} variables"
    since, until = frame.attrs.get("since_ms"), frame.attrs.get("until_ms")
    if isinstance(since, int) and isinstance(until, int):
        return f"{_moment(since)} to {_moment(until)} · {size}"
    return size


def _moment(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
