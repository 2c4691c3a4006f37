"""What of a large graph has to be seen: the suspects, what feeds them, and how they reach the target."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import networkx as nx

MAX_WHOLE = 24
"""A graph of at most so many nodes is drawn as it is; a larger one would be wider than any screen."""
MAX_APART = 2
"""So many nodes in a row are drawn one by one; more become one box."""


@dataclass(frozen=True, slots=True)
class Focus:
    """A part of a graph in which some boxes stand for several of its nodes.

    Attributes
    ----------
    graph : nx.DiGraph
        Its vertices are nodes of the whole graph, or keys of ``boxes``.
    boxes : dict of str to tuple of str
        The nodes that a box stands for, at least three.
    ways : dict of str to tuple of str
        From each suspect that reaches the goal the vertices of ``graph`` on its way.
    """

    graph: nx.DiGraph
    boxes: dict[str, tuple[str, ...]]
    ways: dict[str, tuple[str, ...]]

    @property
    def n_shown(self) -> int:
        """Nodes of the whole graph that have a box of their own."""
        return len(self.graph) - len(self.boxes)

    def title(self, name: str) -> str:
        """Return what is written on a vertex of ``graph``."""
        return f"{len(self.boxes[name])} nodes" if name in self.boxes else name


def focus(graph: nx.DiGraph, suspects: Sequence[str], goal: str) -> Focus:
    """Return the suspects with their parents and a shortest way from each to the goal, the first suspect's first.

    Parameters
    ----------
    graph : nx.DiGraph
        Whole; its vertices are text.
    suspects : sequence of str
        Vertices, most suspect first.
    goal : str
        The vertex of the target; where no way leads to it from a suspect it stands apart.
    """
    found = Focus(nx.DiGraph(), {}, {})
    apart = {*suspects, goal} & set(graph)
    found.graph.add_nodes_from(name for name in (*suspects, goal) if name in apart)
    for suspect in (name for name in suspects if name in apart):
        parents = sorted(set(graph.predecessors(suspect)) - apart)
        for name in _boxed(found, parents):
            found.graph.add_edge(name, suspect)
        found.graph.add_edges_from((name, suspect) for name in graph.predecessors(suspect) if name in apart)
        if goal in graph and nx.has_path(graph, suspect, goal):
            found.ways[suspect] = tuple(_shortened(found, nx.shortest_path(graph, suspect, goal), apart))
            nx.add_path(found.graph, found.ways[suspect])
    return found


def _boxed(found: Focus, names: Sequence[str]) -> Sequence[str]:
    """Return the names, or if they are many the one box that stands for them."""
    if len(names) <= MAX_APART:
        return names
    key = "\n".join(names)
    found.boxes[key] = tuple(names)
    return [key]


def _shortened(found: Focus, way: Sequence[str], apart: set[str]) -> Iterator[str]:
    for alone, group in groupby(way, key=lambda name: name in apart):
        names = list(group)
        yield from names if alone else _boxed(found, names)
