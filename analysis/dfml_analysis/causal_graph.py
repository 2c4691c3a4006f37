"""The causal graph of a pipeline: one vertex per column of a frame, one edge per "is computed from".

It is read from a YAML file that maps each node to the list of its parents, or built from a pipeline's own graph
(:func:`from_pipeline`). Every vertex carries ``step`` and ``kind`` (:class:`dfml_analysis.columns.Kind`).
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import networkx as nx
import yaml

from dfml.errors import DataError
from dfml_analysis.columns import Kind, parse_column


def read_graph(source: str | Path | Mapping[str, Iterable[str]]) -> nx.DiGraph:
    """Return the causal graph that a mapping (or the YAML file that holds it) describes.

    Parameters
    ----------
    source : path or Mapping of str to iterable of str
        Each node to its parents. A root has an empty list. Every parent must itself be a node.

    Raises
    ------
    DataError
        If the file cannot be read, is not such a mapping, names an unknown parent or holds a cycle.

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
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        msg = f"graph {path}: it cannot be read ({error}); give a YAML file that maps each node to its parents"
        raise DataError(msg) from error
    except yaml.YAMLError as error:
        msg = f"graph {path}: it is not YAML ({error}); expected lines like 'child: [parent1, parent2]'"
        raise DataError(msg) from error
    if not isinstance(loaded, Mapping):
        msg = f"graph {path}: got {type(loaded).__name__}; expected a mapping of each node to the list of its parents"
        raise DataError(msg)
    return loaded


def _parents(node: str, parents: object) -> list[str]:
    if parents is None:
        return []
    if isinstance(parents, str) or not isinstance(parents, Iterable):
        msg = f"graph: the parents of {node!r} are {parents!r}; expected a list like [parent1, parent2]"
        raise DataError(msg)
    return [str(parent) for parent in parents]
