"""The graph of a pipeline: what is drawn, and what the analysis makes a causal graph of."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

from dfml.errors import SpecError
from dfml.spec.order import reachable, strongly_connected
from dfml.spec.readers import Reader, Source, read_pipeline
from dfml.spec.reference import Port, Reference
from dfml.spec.schema import Batch, Join, Pipeline

if TYPE_CHECKING:
    import networkx as nx

Role = Literal["data", "trigger"]


class NodeKind(Enum):
    """What a node of a pipeline's graph stands for."""

    INPUT = "input"
    STEP = "step"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Node:
    """A step, the pipeline's input or its output.

    Attributes
    ----------
    name : str
        The step's name; ``p.inputs`` and ``p.outputs`` for the pipeline's own. Names hold no dots, so these never
        collide.
    kind : NodeKind
        Which of the three.
    join, triggers_join : Join
        When it fires. An input that no other pipeline feeds has the defaults.
    join_window_ms : int
        How long it waits for its sources, milliseconds; 0 for an input that no other pipeline feeds.
    batch : Batch or None
        How a step gathers requests.
    """

    name: str
    kind: NodeKind
    join: Join = Join.INNER
    triggers_join: Join = Join.INNER
    join_window_ms: int = 0
    batch: Batch | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """Records of one topic, wanted by one node.

    Attributes
    ----------
    source : str
        The node that the topic belongs to. Of :attr:`PipelineGraph.external` edges: the reference as this pipeline
        writes it, without tensor (``p.outputs``, ``p.step.s.outputs``).
    target : str
        The node that reads it.
    port : {"inputs", "outputs"}
        Which topic of the source: what it was given, or what it answered. A step that reads another's inputs has the
        same parents as that other, not the other itself.
    tensors : tuple of str
        The wanted tensors by the source's names, in the document's order; empty means all that a record holds.
    renames : tuple of (str, str)
        Old and new names, as the tensorMap has them for this source.
    role : {"data", "trigger"}
        Whether the tensors flow, or only the record's presence counts.
    """

    source: str
    target: str
    port: Port
    tensors: tuple[str, ...] = ()
    renames: tuple[tuple[str, str], ...] = ()
    role: Role = "data"


@dataclass(frozen=True, slots=True)
class PipelineGraph:
    """Nodes and edges of one pipeline, in the document's order; equal documents give equal graphs.

    Attributes
    ----------
    pipeline : str
        The pipeline's name.
    nodes : tuple of Node
        The input, each step, and the output if the pipeline has one.
    edges : tuple of Edge
        One for each topic that a node reads in one role, by target in the order of ``nodes``. Cycles are possible
        where the pipeline allows them.
    external : tuple of Edge
        What other pipelines feed into the input.
    """

    pipeline: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    external: tuple[Edge, ...] = ()

    @classmethod
    def from_pipeline(cls, pipeline: Pipeline) -> "PipelineGraph":
        """Return the graph of a pipeline that keeps the rules of :mod:`dfml.spec.rules`.

        Raises
        ------
        SpecError
            If a reference cannot be parsed or names a step that the pipeline does not have.
        """
        readers, findings = read_pipeline(pipeline)
        if findings:
            raise SpecError("\n".join(map(str, findings)))
        nodes = _nodes(pipeline, readers)
        inside = [reader for reader in readers if reader.path[1] != "input"]
        fed = [reader for reader in readers if reader.path[1] == "input"]
        edges = tuple(edge for reader in inside for edge in _edges(reader, external=False))
        unknown = {edge.source for edge in edges} - {node.name for node in nodes}
        if unknown:
            msg = f"pipeline {pipeline.name!r}: nothing is called {', '.join(sorted(unknown))}"
            raise SpecError(msg)
        return cls(pipeline.name, nodes, edges, tuple(edge for reader in fed for edge in _edges(reader, external=True)))

    @property
    def input(self) -> str:
        """The name of the input's node."""
        return f"{self.pipeline}.inputs"

    @property
    def output(self) -> str | None:
        """The name of the output's node; None when the pipeline answers nobody."""
        return next((node.name for node in self.nodes if node.kind is NodeKind.OUTPUT), None)

    @property
    def steps(self) -> tuple[str, ...]:
        """The names of the steps, in the document's order."""
        return tuple(node.name for node in self.nodes if node.kind is NodeKind.STEP)

    @property
    def joins(self) -> dict[str, Join]:
        """When each node fires on its data, by its name."""
        return {node.name: node.join for node in self.nodes}

    def node(self, name: str) -> Node:
        """Return the node of that name.

        Raises
        ------
        KeyError
            If there is none.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def edges_into(self, name: str) -> tuple[Edge, ...]:
        """Return what a node reads, in the document's order."""
        return tuple(edge for edge in self.edges if edge.target == name)

    def ancestors(self, name: str) -> tuple[str, ...]:
        """Return the nodes that a path leads from to this one, in the order of ``nodes``; itself only on a cycle."""
        found = reachable([name], _adjacent((edge.target, edge.source) for edge in self.edges))
        return tuple(node.name for node in self.nodes if node.name in found)

    def descendants(self, name: str) -> tuple[str, ...]:
        """Return the nodes that a path leads to from this one, in the order of ``nodes``; itself only on a cycle."""
        found = reachable([name], self._successors())
        return tuple(node.name for node in self.nodes if node.name in found)

    def topological_order(self) -> tuple[str, ...]:
        """Return the nodes' names, each after its ancestors and else in the order of ``nodes``.

        Nodes that a cycle holds together stand side by side.
        """
        return tuple(name for component in self._components() for name in component)

    def depths(self) -> dict[str, int]:
        """Return how many edges the longest path to each node has; nodes of one cycle share their depth.

        The order of the answer is :meth:`topological_order`.
        """
        components = self._components()
        place = {name: index for index, component in enumerate(components) for name in component}
        depth = [0] * len(components)
        for index, component in enumerate(components):
            before = {place[edge.source] for edge in self.edges if edge.target in component} - {index}
            depth[index] = max((depth[other] + 1 for other in before), default=0)
        return {name: depth[place[name]] for component in components for name in component}

    def to_networkx(self) -> "nx.DiGraph[str]":
        """Return the graph as a networkx DiGraph.

        Nodes bear ``node`` (the :class:`Node`), edges ``edges`` (a tuple: one pair may be joined by data and trigger,
        by inputs and outputs) and ``role`` ("data" if any of them is).
        """
        import networkx as nx  # noqa: PLC0415  (a fifth of a second that only the analysis needs)

        graph: nx.DiGraph[str] = nx.DiGraph(pipeline=self.pipeline)
        for node in self.nodes:
            graph.add_node(node.name, node=node)
        pairs: dict[tuple[str, str], list[Edge]] = {}
        for edge in self.edges:
            pairs.setdefault((edge.source, edge.target), []).append(edge)
        for (source, target), between in pairs.items():
            role: Role = "data" if any(edge.role == "data" for edge in between) else "trigger"
            graph.add_edge(source, target, edges=tuple(between), role=role)
        return graph

    def _successors(self) -> dict[str, list[str]]:
        return _adjacent((edge.source, edge.target) for edge in self.edges)

    def _components(self) -> list[tuple[str, ...]]:
        return strongly_connected([node.name for node in self.nodes], self._successors())


def _adjacent(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    adjacent: dict[str, list[str]] = {}
    for source, target in pairs:
        adjacent.setdefault(source, []).append(target)
    return adjacent


def _nodes(pipeline: Pipeline, readers: Iterable[Reader]) -> tuple[Node, ...]:
    own_input = f"{pipeline.name}.inputs"
    batches = {step.name: step.batch for step in pipeline.spec.steps}
    kinds = {own_input: NodeKind.INPUT, f"{pipeline.name}.outputs": NodeKind.OUTPUT}
    nodes = {own_input: Node(own_input, NodeKind.INPUT)}
    for reader in readers:
        nodes[reader.node] = Node(
            reader.node,
            kinds.get(reader.node, NodeKind.STEP),
            reader.join,
            reader.triggers_join,
            reader.join_window_ms,
            batches.get(reader.node),
        )
    return tuple(nodes.values())


def _edges(reader: Reader, *, external: bool) -> list[Edge]:
    return [
        *_edges_of(reader, reader.sources, "data", external),
        *_edges_of(reader, reader.triggers, "trigger", external),
    ]


def _edges_of(reader: Reader, sources: Iterable[Source], role: Role, external: bool) -> list[Edge]:
    """Return one edge for each topic among the sources; a topic that is wanted whole anywhere is wanted whole."""
    wanted: dict[Reference, list[str | None]] = {}
    for _, reference in sources:
        wanted.setdefault(reference.whole, []).append(reference.tensor)
    renames: dict[Reference, list[tuple[str, str]]] = {}
    for _, tensor, name in reader.renamings if role == "data" else ():
        renames.setdefault(tensor.whole, []).append((tensor.tensor or "", name))
    return [
        Edge(
            source=whole.external if external else whole.node,
            target=reader.node,
            port=whole.port,
            tensors=() if None in tensors else tuple(tensor for tensor in tensors if tensor is not None),
            renames=tuple(renames.get(whole, ())),
            role=role,
        )
        for whole, tensors in wanted.items()
    ]
