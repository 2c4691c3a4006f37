"""A pipeline's graph as SVG: its steps, what flows between them, and what is to be said about each."""

from collections.abc import Mapping
from types import MappingProxyType

from dfml.drawing.graph import Arrow, Mark, Node, graph_svg
from dfml.drawing.svg import Tone
from dfml.graph import Edge, NodeKind, PipelineGraph
from dfml.graph import Node as GraphNode
from dfml.spec.schema import Join

NO_MARKS: Mapping[str, Mark] = MappingProxyType({})


def pipeline_svg(
    graph: PipelineGraph,
    *,
    marks: Mapping[str, Mark] = NO_MARKS,
    labels: Mapping[tuple[str, str], str] | None = None,
    tones: Mapping[tuple[str, str], Tone] | None = None,
) -> str:
    """Return the pipeline as one ``<svg>`` element that needs nothing else.

    Parameters
    ----------
    graph
        The pipeline. What other pipelines feed into it is drawn too, muted.
    marks
        Tone, badge and note by node name (``p.inputs`` and ``p.outputs`` for the pipeline's own).
    labels
        What is written on each edge, by source and target; without it the names of the wanted tensors.
    tones
        The colour of edges that are to stand out.
    """
    outside = dict.fromkeys(edge.source for edge in graph.external)
    nodes = [Node(name, name, "other pipeline", "end", Mark(Tone.MUTED)) for name in outside]
    nodes += [_node(graph, node, marks.get(node.name, Mark())) for node in graph.nodes]
    arrows = [
        Arrow(
            edge.source,
            edge.target,
            spell_tensors(edge) if labels is None else labels.get((edge.source, edge.target), ""),
            dashed=edge.role == "trigger",
            tone=(tones or {}).get((edge.source, edge.target), Tone.PLAIN),
        )
        for edge in (*graph.external, *graph.edges)
    ]
    return graph_svg(nodes, arrows, title=f"pipeline {graph.pipeline}")


def spell_tensors(edge: Edge) -> str:
    """Return the tensors that an edge carries, with their new names: ``OUTPUT → INPUT, LABEL``."""
    names = dict(edge.renames)
    wanted = edge.tensors or tuple(names)
    return ", ".join(f"{tensor} → {names[tensor]}" if tensor in names else tensor for tensor in wanted)


def _node(graph: PipelineGraph, node: GraphNode, mark: Mark) -> Node:
    said = [] if node.join is Join.INNER or len(graph.edges_into(node.name)) < 2 else [f"{node.join.value} join"]
    if node.batch is not None and node.batch.size > 1:
        said.append(f"batch of {node.batch.size}")
    if node.kind is NodeKind.STEP:
        return Node(node.name, node.name, " · ".join(said), "step", mark)
    port = "inputs" if node.kind is NodeKind.INPUT else "outputs"
    return Node(node.name, graph.pipeline, " · ".join([port, *said]), "end", mark)
