"""The causal graph of a pipeline: one vertex per column of a frame, one edge per "is computed from".

It is read from a YAML file that maps each node to the list of its parents, or built from a pipeline's own graph
(:func:`from_pipeline`). Every vertex carries ``step`` and ``kind`` (:class:`dfml_analysis.columns.Kind`).

Of a pipeline's graph, the causal graph has:

===================  ==========================================================================================
variable             parents
===================  ==========================================================================================
input's tensors      none
a step's error       what the step reads (tensors, absent or not) and the presence of the steps it reads
a step's presence    the same, and its error
a step's outputs     what the step reads, its presence
a step's latency     what the step reads, its presence and error
a step's queue       what the step reads, its presence
a step's inputs      what the step reads
pipeline's outputs   what the output reads
pipeline's error     every step's error
pipeline's latency   every step's latency and queue, its own error
===================  ==========================================================================================
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import networkx as nx
import yaml

from dfml.errors import DataError
from dfml.graph import Edge, PipelineGraph
from dfml_analysis.columns import Column, Kind, parse_column


def read_graph(source: str | Path | Mapping[str, Iterable[str]]) -> nx.DiGraph:
    """Return the causal graph that a mapping (or the YAML file that holds it) describes.

    Parameters
    ----------
    source : path or Mapping of str to iterable of str
        Each node to its parents. A root has an empty list. Every parent must itself be a node.

    Raises
    ------
    DataError
        If the file cannot be read, is not such a mapping, names a node twice or an unknown parent, or holds a cycle.

    Examples
    --------
    >>> sorted(read_graph({"a": [], "b": ["a"]}).edges)
    [('a', 'b')]
    """
    mapping = source if isinstance(source, Mapping) else _load(Path(source))
    graph = nx.DiGraph()
    parents_of = {str(node): _parents(str(node), parents) for node, parents in mapping.items()}
    graph.add_nodes_from(parents_of)
    for node, parents in parents_of.items():
        unknown = sorted(set(parents) - parents_of.keys())
        if unknown:
            msg = (
                f"graph: {node!r} names the parents {unknown}, which are no nodes; give each its own entry (a root: [])"
            )
            raise DataError(msg)
        graph.add_edges_from((parent, node) for parent in parents)
    return with_kinds(graph)


def from_pipeline(graph: PipelineGraph, columns: Iterable[str]) -> nx.DiGraph:
    """Return the causal graph of a pipeline over the columns of its frame.

    Edges that would close a cycle (a step that reads what comes after it) are left out: within one request's row the
    later pass cannot be told from the earlier.

    Parameters
    ----------
    graph : PipelineGraph
    columns : iterable of str
        A frame's columns (:mod:`dfml_analysis.columns`). Columns of no step of this pipeline are passed over.

    Raises
    ------
    DataError
        If no column belongs to the pipeline.
    """
    frame = _Frame(graph, columns)
    causal = nx.DiGraph()
    for column in frame.columns:
        causal.add_node(column.name, step=column.step, kind=frame.kind(column))
    for column in frame.columns:
        causal.add_edges_from((parent, column.name) for parent in frame.parents(column))
    if not causal:
        known = ", ".join((graph.pipeline, *graph.steps))
        msg = f"none of the columns belongs to pipeline {graph.pipeline!r}; expected columns of {known}"
        raise DataError(msg)
    return with_kinds(causal)


class _Frame:
    """The columns of one pipeline's frame, and what each is computed from."""

    def __init__(self, graph: PipelineGraph, columns: Iterable[str]) -> None:
        self.graph = graph
        parsed = [parse_column(name) for name in dict.fromkeys(columns)]
        mine = [column for column in parsed if column.step in {graph.pipeline, *graph.steps} and column.kind]
        self.columns = _without_doubled_presence(mine)
        self.place = {node: place for place, node in enumerate(graph.topological_order())}
        self.names = {column.name for column in self.columns}

    def kind(self, column: Column) -> Kind:
        """Return input for the pipeline's own inputs alone: a step's inputs are values of others."""
        if column.kind is Kind.INPUT and column.step != self.graph.pipeline:
            return Kind.VALUE
        return column.kind or Kind.VALUE

    def parents(self, column: Column) -> list[str]:
        """Return the columns that a column is computed from, those of the same step last."""
        own = column.step == self.graph.pipeline
        aspects = _ASPECTS_BEFORE.get("tensor" if column.port else str(column.kind), ())
        if own and column.port == "inputs":
            return []
        if own and column.kind in {Kind.LATENCY, Kind.ERROR}:
            made_of = ("latency_ms", "queue_ms") if column.kind is Kind.LATENCY else ("error",)
            steps = [f"{step}.{aspect}" for step in self.graph.steps for aspect in made_of]
            return self._existing([*steps, *([f"{column.step}.error"] if column.kind is Kind.LATENCY else [])])
        node = self.graph.output if own else column.step
        read = [] if node is None else self._read_by(node, self.place[node])
        aspects = () if column.port == "inputs" else aspects
        return self._existing([*read, *(f"{column.step}.{aspect}" for aspect in aspects)])

    def _read_by(self, node: str, before: int) -> list[str]:
        found: list[str] = []
        for edge in self.graph.edges_into(node):
            if self.place[edge.source] < before:
                found.extend(self._tensors(edge) if edge.role == "data" else self._gate(edge))
        return found

    def _tensors(self, edge: Edge) -> list[str]:
        if edge.port == "inputs" and edge.source != self.graph.input:
            return self._read_by(edge.source, self.place[edge.source])
        step = self.graph.pipeline if edge.source == self.graph.input else edge.source
        wanted = [
            column.name
            for column in self.columns
            if (column.step, column.port) == (step, edge.port) and (not edge.tensors or column.tensor in edge.tensors)
        ]
        return [*wanted, f"{edge.source}.presence"]

    def _gate(self, edge: Edge) -> list[str]:
        return [f"{edge.source}.presence", *self._tensors(edge)]

    def _existing(self, names: list[str]) -> list[str]:
        return [name for name in dict.fromkeys(names) if name in self.names]


def _without_doubled_presence(columns: list[Column]) -> list[Column]:
    """Leave out the presence of tensors whose values are there: that they are absent says the same."""
    valued = {(each.step, each.port, each.tensor) for each in columns if each.port and each.kind is not Kind.PRESENCE}
    doubled = [each.kind is Kind.PRESENCE and (each.step, each.port, each.tensor) in valued for each in columns]
    return [each for each, twice in zip(columns, doubled, strict=True) if not twice]


_ASPECTS_BEFORE = {
    "tensor": ("presence",),
    Kind.PRESENCE.value: ("error",),
    Kind.LATENCY.value: ("presence", "error"),
    Kind.QUEUE.value: ("presence",),
}
"""Which aspects of a step come before another aspect of the same step."""


def with_kinds(graph: nx.DiGraph) -> nx.DiGraph:
    """Return the graph with ``step`` and ``kind`` on every vertex, read from the names where they are not given.

    Raises
    ------
    DataError
        If the graph is empty or holds a cycle.
    """
    if not graph:
        msg = "graph: it has no node; expected a mapping of each node to the list of its parents"
        raise DataError(msg)
    if not nx.is_directed_acyclic_graph(graph):
        cycle = " -> ".join(str(edge[0]) for edge in nx.find_cycle(graph))
        msg = f"graph: {cycle} is a cycle; a causal graph has none (give a loop's passes a node each)"
        raise DataError(msg)
    described = graph.copy()
    for node in described:
        column = parse_column(str(node))
        by_place = Kind.VALUE if graph.in_degree(node) else Kind.INPUT
        described.nodes[node].setdefault("step", column.step)
        described.nodes[node].setdefault("kind", column.kind or by_place)
    return described


def _load(path: Path) -> Mapping[str, Iterable[str]]:
    try:
        text = path.read_text(encoding="utf-8")
        root, loaded = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        msg = f"graph {path}: it cannot be read ({error}); give a YAML file that maps each node to its parents"
        raise DataError(msg) from error
    except yaml.YAMLError as error:
        why = " ".join(str(error).split())
        msg = f"graph {path}: it is not YAML ({why}); expected lines like 'child: [parent1, parent2]'"
        raise DataError(msg) from error
    if not isinstance(root, yaml.MappingNode) or not isinstance(loaded, Mapping):
        msg = f"graph {path}: got {type(loaded).__name__}; expected a mapping of each node to the list of its parents"
        raise DataError(msg)
    _check_once(path, root)
    return loaded


def _check_once(path: Path, root: yaml.MappingNode) -> None:
    """Refuse a node that has two entries: YAML would take the last, and silently lose the other's parents."""
    lines: dict[str, int] = {}
    for key, _ in root.value:
        name, line = str(key.value), key.start_mark.line + 1
        if name in lines:
            msg = (
                f"graph {path}:{line}: {name!r} stands twice, first in line {lines[name]}; give it one list of parents"
            )
            raise DataError(msg)
        lines[name] = line


def _parents(node: str, parents: object) -> list[str]:
    if parents is None:
        return []
    if isinstance(parents, str) or not isinstance(parents, Iterable):
        msg = f"graph: the parents of {node!r} are {parents!r}; expected a list like [parent1, parent2]"
        raise DataError(msg)
    return [str(parent) for parent in parents]
