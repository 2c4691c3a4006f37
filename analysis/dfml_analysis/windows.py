"""Two windows and a causal graph, checked and typed: what every method starts from.

Documented answers to poor data: a node without a column is passed over and its children inherit its parents (it is
marginalised); columns that are no nodes are ignored; a column that is empty in both windows is passed over likewise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import networkx as nx
import numpy as np
import pandas as pd

from dfml.errors import DataError
from dfml_analysis.causal_graph import with_kinds
from dfml_analysis.columns import Kind
from dfml_analysis.dependence import group_size, one_of_each_group
from dfml_analysis.variables import Floats, Scale, Variable, bare, read_variable

FLAGS = {Kind.PRESENCE, Kind.ERROR}


@dataclass(frozen=True, slots=True)
class Windows:
    """The variables of both windows, the reference's rows first, in the frames' order.

    Attributes
    ----------
    graph : nx.DiGraph
        Causal graph over ``variables``' names, with ``step`` and ``kind`` on each vertex.
    variables : Mapping of str to Variable
        In topological order.
    window : array, shape (n,)
        0 for the reference's rows, 1 for the current window's.
    passed_over : tuple of str
        Nodes of the graph that have no usable column.
    group_sizes : Mapping of str to int
        How many requests share one answer of a step (:mod:`dfml_analysis.dependence`); steps that are not named give
        each its own.
    series : bool or None
        Whether steps remember the row before (:mod:`dfml_analysis.series`); None: as the reference shows.
    """

    graph: nx.DiGraph
    variables: Mapping[str, Variable]
    window: Floats
    passed_over: tuple[str, ...]
    group_sizes: Mapping[str, int] = field(default_factory=dict)
    series: bool | None = None

    @property
    def n_rows(self) -> tuple[int, int]:
        """Rows of the reference and of the current window."""
        n_current = int(self.window.sum())
        return self.window.size - n_current, n_current

    def independent(self, variable: Variable, rows: np.ndarray) -> np.ndarray:
        """Return those of the rows that do not share the answer of the variable's step with another."""
        size = self.group_sizes.get(variable.step, 1)
        return rows if size == 1 else one_of_each_group(rows, self.window, size)

    def parents(self, name: str) -> list[Variable]:
        """Return the parents of a variable that vary, in the graph's order."""
        found = [self.variables[parent] for parent in self.graph.predecessors(name)]
        return [parent for parent in found if parent.scale is not Scale.CONSTANT or not parent.is_complete]


def read_windows(graph: nx.DiGraph, reference: pd.DataFrame, current: pd.DataFrame, target: str) -> Windows:
    """Check and type the input of a localisation.

    Parameters
    ----------
    graph : nx.DiGraph
        The causal graph (:mod:`dfml_analysis.causal_graph`).
    reference, current : DataFrame
        One row a request, in the order of time; at least one row each.
    target : str
        The column whose change is to be explained.

    Raises
    ------
    DataError
        If a window is empty, columns repeat, the windows or the graph share no column, the target is no node or has
        no data, the graph has a cycle, or a column's values are of no usable type.
    """
    described = with_kinds(graph)
    _check_frames(reference, current)
    reference, current = bare(reference), bare(current)
    known = set(current.columns)
    shared = [name for name in reference.columns if name in known]
    _check_columns(described, reference, shared, target)
    variables = {
        name: _read(name, described.nodes[name], reference[name], current[name]) for name in shared if name in described
    }
    if variables[target].scale is Scale.EMPTY:
        msg = f"target {target!r} has no value in either window; choose a column that has"
        raise DataError(msg)
    usable = {name for name, variable in variables.items() if variable.scale is not Scale.EMPTY}
    passed_over = tuple(str(node) for node in described if node not in usable)
    pruned = marginalise(described, passed_over)
    ordered = {name: variables[name] for name in nx.lexicographical_topological_sort(pruned, key=str)}
    window = np.repeat([0.0, 1.0], [len(reference), len(current)])
    found = Windows(pruned, ordered, window, passed_over)
    return replace(found, group_sizes=_group_sizes(found))


def _group_sizes(windows: Windows) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for name, variable in windows.variables.items():
        if variable.kind is Kind.VALUE:
            size = group_size(variable, windows.parents(name), windows.window)
            sizes[variable.step] = max(size, sizes.get(variable.step, 1))
    return sizes


def marginalise(graph: nx.DiGraph, nodes: tuple[str, ...]) -> nx.DiGraph:
    """Return the graph without the nodes, their parents joined to their children; itself where there are none."""
    if not nodes:
        return graph
    pruned = graph.copy()
    for node in nodes:
        joined = [(up, down) for up in pruned.predecessors(node) for down in pruned.successors(node)]
        pruned.remove_node(node)
        pruned.add_edges_from(joined)
    return pruned


def _read(name: str, vertex: Mapping[str, object], reference: pd.Series, current: pd.Series) -> Variable:
    kind = Kind(str(vertex["kind"]))
    if kind in FLAGS:
        reference, current = _as_flag(reference, kind), _as_flag(current, kind)
    return read_variable(name, str(vertex["step"]), kind, reference, current)


def _as_flag(column: pd.Series, kind: Kind) -> pd.Series:
    """Return 0 or 1: nothing recorded is no presence and no error; an error's text is an error."""
    if kind is Kind.ERROR and column.dtype == object:
        return column.map(lambda item: 0.0 if pd.isna(item) else float(bool(item)))
    return pd.to_numeric(column, errors="coerce").fillna(0.0)


def _check_frames(reference: pd.DataFrame, current: pd.DataFrame) -> None:
    for name, frame in (("reference", reference), ("current", current)):
        if frame.empty:
            msg = f"the {name} window has {len(frame)} rows and {frame.shape[1]} columns; expected at least one of each"
            raise DataError(msg)
        repeated = sorted({str(column) for column in frame.columns[frame.columns.duplicated()]})
        if repeated:
            msg = f"the {name} window has the columns {repeated} more than once; keep one of each"
            raise DataError(msg)


def _check_columns(graph: nx.DiGraph, reference: pd.DataFrame, shared: list[str], target: str) -> None:
    if not shared:
        msg = f"the windows share no column; the reference has {list(reference.columns)[:8]}; give two of one frame"
        raise DataError(msg)
    if target not in graph:
        msg = f"target {target!r} is no node of the graph; expected one of {sorted(map(str, graph))[:20]}"
        raise DataError(msg)
    if target not in shared:
        msg = f"target {target!r} is not a column of both windows; they share {shared[:20]}"
        raise DataError(msg)
