"""The graph of a localisation: every node in the colour of its evidence, and the way from suspects to the target."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import networkx as nx

from dfml.drawing.graph import Arrow, Mark, Node, graph_svg
from dfml.drawing.pipeline import pipeline_svg
from dfml.drawing.svg import Tone
from dfml.graph import PipelineGraph
from dfml_analysis.columns import Kind
from dfml_analysis.localisation import Localisation, Suspect, VariableEvidence
from dfml_analysis.rendering import TONES
from dfml_analysis.report.words import node_of, spell_test
from dfml_analysis.verdict import ALPHA, Verdict
from dfml_analysis.wording import spell_p_is

Edge = tuple[str, str]
_Graph = TypeVar("_Graph", PipelineGraph, nx.DiGraph)
WHOLE_NODES = 24
"""A causal graph of more nodes is drawn around its suspects: the whole would be wider than any screen."""


def localisation_svg(localisation: Localisation, graph: "PipelineGraph | nx.DiGraph") -> str:
    """Return the graph with suspects, cleared nodes and the target marked, as one ``<svg>`` element.

    Parameters
    ----------
    localisation : Localisation
    graph : PipelineGraph or networkx.DiGraph
        The pipeline, or the causal graph whose nodes are the variables.
    """
    if isinstance(graph, PipelineGraph):
        found: nx.DiGraph = graph.to_networkx()
        marks = _marks(localisation, lambda variable, step: node_of(variable, step, graph))
        goal = node_of(localisation.target, _step_of_target(localisation, graph), graph)
        return pipeline_svg(graph, marks=marks, tones=_way(found, localisation, marks, goal))
    marks = _marks(localisation, lambda variable, step: variable)
    tones = _way(graph, localisation, marks, localisation.target)
    nodes = [Node(str(name), str(name), mark=marks.get(str(name), Mark())) for name in graph.nodes]
    arrows = [Arrow(str(a), str(b), tone=tones.get((str(a), str(b)), Tone.PLAIN)) for a, b in graph.edges]
    return graph_svg(nodes, arrows, title="causal graph")


def near_suspects(localisation: Localisation, graph: _Graph) -> tuple[_Graph, int]:
    """Return what of a large causal graph shows the fault, and how many nodes are left out.

    It shows the ways from the suspects to the target, and their parents. A pipeline, a graph of up to ``WHOLE_NODES``
    nodes and one without suspects are returned whole.
    """
    if isinstance(graph, PipelineGraph):
        return graph, 0
    suspects = {suspect.variable for suspect in localisation.suspects if suspect.variable in graph}
    if len(graph) <= WHOLE_NODES or not suspects:
        return graph, 0
    goal = {localisation.target} & set(graph)
    before_goal = goal.union(*(nx.ancestors(graph, name) for name in goal))
    after_suspects = suspects.union(*(nx.descendants(graph, name) for name in suspects))
    on_the_way = suspects | goal | (before_goal & after_suspects)
    shown = graph.subgraph(on_the_way.union(*(graph.predecessors(name) for name in on_the_way)))
    return shown, len(graph) - len(shown)


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


def _way(graph: nx.DiGraph, localisation: Localisation, marks: Mapping[str, Mark], goal: str) -> dict[Edge, Tone]:
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
