"""The graph of a localisation: every node in the colour of its evidence, and the way from suspects to the target."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import networkx as nx

from dfml.drawing.graph import Arrow, Mark, Node, graph_svg
from dfml.drawing.pipeline import pipeline_svg
from dfml.drawing.svg import Tone
from dfml.graph import PipelineGraph
from dfml_analysis.columns import Kind
from dfml_analysis.localisation import Localisation, Suspect, VariableEvidence
from dfml_analysis.rendering import TONES
from dfml_analysis.report.focus import MAX_WHOLE, focus
from dfml_analysis.report.words import node_of, spell_test
from dfml_analysis.verdict import ALPHA, Verdict
from dfml_analysis.wording import spell_p_is

Edge = tuple[str, str]
KEYS = {
    Tone.BAD: "behaves differently",
    Tone.SHIFT: "the input itself changed",
    Tone.WARN: "may behave differently",
    Tone.GOOD: "behaves as before, given what it was fed",
    Tone.MUTED: "cannot be told",
    Tone.PLAIN: "not tested, or not accused",
}
"""What the colours of the graph mean, in the order of the key."""
SHOWN_WAYS = 4
"""Suspects whose way to the target is told in words."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The graph of a localisation, drawn and told.

    Attributes
    ----------
    svg : str
        What has to be seen, as one ``<svg>`` element: of a small graph all of it.
    whole : str
        The whole graph where ``svg`` is a part of it; else empty.
    n_nodes, n_shown : int
        Nodes of the graph, and those with a box of their own in ``svg``.
    keys : tuple of (str, str)
        The tones that occur, each with what it means.
    ways : tuple of str
        From each suspect to the target, in words: ``simple → payout → claims.outputs``.
    """

    svg: str
    whole: str
    n_nodes: int
    n_shown: int
    keys: tuple[tuple[str, str], ...]
    ways: tuple[str, ...]


def draw_localisation(localisation: Localisation, graph: "PipelineGraph | nx.DiGraph") -> Picture:
    """Return the graph with suspects, cleared nodes and the target marked.

    Parameters
    ----------
    localisation : Localisation
    graph : PipelineGraph or networkx.DiGraph
        The pipeline, or the causal graph whose nodes are the variables.
    """
    found, place, goal = _read(localisation, graph)
    marks = _marks(localisation, place)
    tones = _way(found, marks, goal)
    suspects = list(dict.fromkeys(place(each.variable, each.step) for each in localisation.suspects))
    seen = focus(found, suspects, goal)
    whole = pipeline_svg(graph, marks=marks, tones=tones) if isinstance(graph, PipelineGraph) else ""
    whole = whole or _plain_svg(found, marks, tones)
    told = len(found) > MAX_WHOLE and any(name in found for name in suspects)
    if told:
        boxed = marks | {
            box: _box_mark([marks.get(each, Mark()) for each in each_of], each_of)
            for box, each_of in seen.boxes.items()
        }
        svg = _plain_svg(seen.graph, boxed, _way(seen.graph, boxed, goal), seen.title)
    used = {marks.get(name, Mark()).tone for name in found}
    return Picture(
        svg=svg if told else whole,
        whole=whole if told else "",
        n_nodes=len(found),
        n_shown=seen.n_shown if told else len(found),
        keys=tuple((tone.value, words) for tone, words in KEYS.items() if tone in used),
        ways=tuple(" → ".join(map(seen.title, seen.ways[name])) for name in suspects[:SHOWN_WAYS] if name in seen.ways),
    )


def _read(
    localisation: Localisation, graph: "PipelineGraph | nx.DiGraph"
) -> "tuple[nx.DiGraph, Callable[[str, str], str], str]":
    """Return the graph with text as vertices, where a variable of a step stands in it, and where the target does."""
    if isinstance(graph, PipelineGraph):
        goal = node_of(localisation.target, _step_of_target(localisation, graph), graph)
        return graph.to_networkx(), lambda variable, step: node_of(variable, step, graph), goal
    return nx.relabel_nodes(graph, str), lambda variable, step: variable, localisation.target


def _plain_svg(
    graph: nx.DiGraph, marks: Mapping[str, Mark], tones: Mapping[Edge, Tone], title: Callable[[str], str] = str
) -> str:
    nodes = [Node(name, title(name), mark=marks.get(name, Mark())) for name in graph.nodes]
    arrows = [Arrow(a, b, tone=tones.get((a, b), Tone.PLAIN)) for a, b in graph.edges]
    return graph_svg(nodes, arrows, title="causal graph")


def _box_mark(marks: Sequence[Mark], names: Sequence[str]) -> Mark:
    """Return what is said of nodes that share a box: what holds for all of them, or that one of them cannot be told."""
    tones = {mark.tone for mark in marks}
    tone = Tone.MUTED if Tone.MUTED in tones else tones.pop() if len(tones) == 1 else Tone.PLAIN
    return Mark(tone, note="\n".join(names))


def suspect_tone(localisation: Localisation, suspect: Suspect) -> Tone:
    """Return the colour of a suspect: a changed input is no fault, and who is only ranked is not accused."""
    if localisation.verdict is Verdict.UNDECIDED:
        return Tone.WARN
    if suspect not in localisation.accused:
        return Tone.PLAIN
    return Tone.SHIFT if suspect.kind is Kind.INPUT else TONES[localisation.verdict]


def _step_of_target(localisation: Localisation, graph: PipelineGraph) -> str:
    own = f"{graph.pipeline}."
    return graph.pipeline if localisation.target.startswith(own) else localisation.target.split(".", 1)[0]


def _marks(localisation: Localisation, node: Callable[[str, str], str]) -> dict[str, Mark]:
    evidence: dict[str, list[VariableEvidence]] = {}
    for item in localisation.evidence:
        evidence.setdefault(node(item.variable, item.step), []).append(item)
    marks = {name: _evidence_mark(items) for name, items in evidence.items()}
    suspects: dict[str, list[tuple[int, Suspect]]] = {}
    for place, suspect in enumerate(localisation.suspects, start=1):
        suspects.setdefault(node(suspect.variable, suspect.step), []).append((place, suspect))
    for name, found in suspects.items():
        places = ", ".join(str(place) for place, _ in found)
        badge = f"suspect{'s' if len(found) > 1 else ''} {places}"
        lines = [_line(each.variable, each.kind, each.p_value, each.test) for _, each in found]
        marks[name] = Mark(suspect_tone(localisation, found[0][1]), badge, "\n".join(lines))
    goal = node(
        localisation.target, next((i.step for i in localisation.evidence if i.variable == localisation.target), "")
    )
    if localisation.target and goal:
        known = marks.get(goal, Mark())
        marks[goal] = Mark(known.tone, f"{known.badge} · target" if known.badge else "target", known.note)
    return marks


def _evidence_mark(items: Iterable[VariableEvidence]) -> Mark:
    found = list(items)
    note = "\n".join(_line(item.variable, item.kind, item.p_value, item.test) for item in found)
    if any(not item.comparable for item in found):
        return Mark(Tone.MUTED, "cannot tell", note)
    return Mark(Tone.GOOD if all(item.p_value > ALPHA for item in found) else Tone.PLAIN, "", note)


def _line(variable: str, kind: Kind, p_value: float, test: str) -> str:
    return f"{variable} ({kind.value}): {spell_p_is(p_value)}, {spell_test(test)}"


def _way(graph: nx.DiGraph, marks: Mapping[str, Mark], goal: str) -> dict[Edge, Tone]:
    """Return the edges on the paths from the suspects to the target, in the colour of the suspects."""
    if goal not in graph:
        return {}
    before_goal = {goal, *nx.ancestors(graph, goal)}
    tones: dict[Edge, Tone] = {}
    for name, mark in marks.items():
        if name in graph and mark.badge.startswith("suspect"):
            on_the_way = before_goal & {name, *nx.descendants(graph, name)}
            tones |= {(a, b): mark.tone for a, b in graph.edges if a in on_the_way and b in on_the_way}
    return tones
