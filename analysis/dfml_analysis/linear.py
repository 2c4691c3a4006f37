"""The damage in closed form where everything on its way is linear: means follow from means and slopes.

A linear mechanism sends means to means, so with the current mechanism at a step, its mean is that of the current window
plus its current slopes times how far its parents' means are from the current window's; any other step's is that of
the reference plus its slopes times how far its parents moved. For one step this is the decomposition of Oaxaca (1973)
and Blinder (1973). No random number is drawn; every row of weights gives the same for a resampled pair of windows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np

from dfml_analysis.basis import parent_columns
from dfml_analysis.variables import Floats, Scale, Variable
from dfml_analysis.windows import Windows

MAX_PARENTS = 12
"""More slopes than that are not known from a few hundred rows."""
MIN_ROWS_A_SLOPE = 5
EXACT = 1e-12
"""A linear fit that leaves less than this part of the variance is the mechanism itself."""
RIDGE = 1e-9


@dataclass(frozen=True, slots=True)
class LinearMeans:
    """Means of the variables under either window's mechanisms, for each row of weights.

    Attributes
    ----------
    means : Mapping of str to (array, array), shape (k,)
        Of each variable, in the reference and in the current window.
    slopes : Mapping of str to (array, array), shape (k, p)
        Of each variable that may move on its parents; twice the same for one whose mechanism did not change.
    parents : Mapping of str to sequence of str
    """

    means: Mapping[str, tuple[Floats, Floats]]
    slopes: Mapping[str, tuple[Floats, Floats]]
    parents: Mapping[str, Sequence[str]]

    def mean(self, target: str, exchanged: frozenset[str]) -> Floats:
        """Return the target's mean when the ``exchanged`` variables have their current mechanism, shape (k,)."""
        moved: dict[str, Floats] = {}
        for name, slopes in self.slopes.items():
            side = int(name in exchanged)
            parents = self.parents[name]
            if not side and not any(parent in moved for parent in parents):
                continue
            value = self.means[name][side]
            for place, parent in enumerate(parents):
                there = moved.get(parent, self.means[parent][0])
                value = value + slopes[side][:, place] * (there - self.means[parent][side])
            moved[name] = value
        return moved.get(target, self.means[target][0])


def linear_means(windows: Windows, changed: frozenset[str], target: str, weights: Floats) -> LinearMeans | None:
    """Return the means and slopes that the target's mean hangs on; None if a mechanism on the way is not linear.

    Parameters
    ----------
    windows : Windows
    changed : frozenset of str
        Variables that may have another mechanism in the current window.
    target : str
    weights : array, shape (k, n)
        Of the windows' rows; one row of weights an answer.
    """
    graph, variables = windows.graph, windows.variables
    needed = {target, *nx.ancestors(graph, target)}
    touched = needed & {*changed, *(name for start in changed for name in nx.descendants(graph, start))}
    involved = [variables[name] for name in {target, *touched}]
    if not all(_is_plain(each) for each in involved):
        return None
    sides = [windows.window == side for side in (0, 1)]
    slopes: dict[str, tuple[Floats, Floats]] = {}
    parents_of: dict[str, list[str]] = {}
    for name in (name for name in variables if name in touched):
        parents = windows.parents(name)
        rows = sides if name in changed else [sides[0] | sides[1]]
        if not all(_is_linear(variables[name], parents, part) for part in rows):
            return None
        fits = [_slopes(variables[name], parents, part, windows.window, weights) for part in rows]
        slopes[name] = (fits[0], fits[-1])
        parents_of[name] = [parent.name for parent in parents]
    read = {target, *touched, *(parent for parents in parents_of.values() for parent in parents)}
    means = {name: _means(variables[name], sides, weights) for name in read}
    return LinearMeans(means, slopes, parents_of)


def _means(variable: Variable, sides: Sequence[np.ndarray], weights: Floats) -> tuple[Floats, Floats]:
    before, after = (weights[:, rows] @ variable.values[rows] / weights[:, rows].sum(axis=1) for rows in sides)
    return before, after


def _is_plain(variable: Variable) -> bool:
    return variable.scale in {Scale.NUMERIC, Scale.CONSTANT} and variable.is_complete


def _is_linear(child: Variable, parents: Sequence[Variable], rows: np.ndarray) -> bool:
    """Return whether a linear fit is as good as one on the whole dictionary, by Schwarz's criterion."""
    n = int(rows.sum())
    if len(parents) > MAX_PARENTS or n < MIN_ROWS_A_SLOPE * (len(parents) + 1):
        return False
    usable = all(
        parent.is_complete and (parent.scale is not Scale.DISCRETE or np.unique(parent.values).size == 2)
        for parent in parents
    )
    if not usable:
        return False
    if not parents:
        return True
    centred = child.values[rows] - child.values[rows].mean()
    total = float(centred @ centred)
    design = np.column_stack([parent.values[rows] for parent in parents])
    design = design - design.mean(axis=0)
    residual = centred - design @ np.linalg.lstsq(design, centred, rcond=1e-9)[0]
    left = float(residual @ residual)
    if left <= EXACT * total:
        return True
    columns = parent_columns(parents, rows).columns
    left_by_all = max(total - float(((columns.T @ centred) ** 2).sum()) / n, EXACT * total)
    n_more = columns.shape[1] - 1 - len(parents)
    return bool(n * np.log(left / left_by_all) < n_more * np.log(n))


def _slopes(child: Variable, parents: Sequence[Variable], rows: np.ndarray, window: Floats, weights: Floats) -> Floats:
    """Return weighted least-squares slopes, shape (k, p); over both windows, each is centred on its own means."""
    design = np.column_stack([child.values, *(parent.values for parent in parents)])[rows]
    if len(parents) == 0:
        return np.zeros((weights.shape[0], 0))
    found, side = weights[:, rows], window[rows]
    scale = design.std(axis=0)
    scale[scale == 0.0] = 1.0
    design = design / scale
    products = (design[:, :, None] * design[:, None, :]).reshape(design.shape[0], -1)
    size = design.shape[1]
    gram = np.zeros((found.shape[0], size, size))
    for each in np.unique(side):
        part = side == each
        share = found[:, part]
        means = share @ design[part] / share.sum(axis=1, keepdims=True)
        outer = share.sum(axis=1)[:, None, None] * means[:, :, None] * means[:, None, :]
        gram += (share @ products[part]).reshape(-1, size, size) - outer
    inner = gram[:, 1:, 1:]
    ridge = RIDGE * np.trace(inner, axis1=1, axis2=2)[:, None, None] * np.eye(size - 1)
    slopes = np.linalg.solve(inner + ridge + 1e-300 * np.eye(size - 1), gram[:, 1:, :1])[:, :, 0]
    return np.asarray(slopes * scale[0] / scale[1:])
