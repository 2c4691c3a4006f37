"""How many independent requests a window is worth: neighbours may share what they say.

The members of a batch get one aggregate, and what moves slowly makes neighbours alike. A sum over n such rows varies
like one over n / f independent rows, f = 1 + 2 (r_1 + r_2 + ...) with the autocorrelations r of the summands (Bartlett
1935, Geyer's initial positive sequence 1992). They are taken from the reference alone, where by definition nothing is
wrong: a fault that begins within the current window makes its rows alike as well, and must not excuse itself.

Where a step gives one answer to several different questions in a row, the sum is no help: ten batches are too few for
autocorrelations. There every L-th request is looked at alone, L being how many share an answer in the reference.
"""

from collections.abc import Sequence

import numpy as np

from dfml_analysis.variables import Floats, Variable

STANDARD_ERRORS = 2.0
"""An autocorrelation within this many of its standard errors from 0 ends the sum."""
LONGEST_LAG = 0.25
"""Part of the reference beyond which an autocorrelation is no longer known."""

MIN_SHARED = 0.5
"""A step answers groups if half of the neighbours that asked differently got the same answer ..."""
MIN_ABOVE_CHANCE = 2.0
"""... and this many times as many as two requests drawn at random."""
ROUNDING = 1e-9
"""Summands that differ by less than this part of themselves are constant: what is left is rounding, all alike."""


def group_size(variable: Variable, parents: Sequence[Variable], window: Floats) -> int:
    """Return how many requests share one answer in the reference; 1 where each has its own."""
    rows = np.flatnonzero(variable.present & (window == 0))
    values = variable.values[rows]
    if not parents or variable.classes or values.size < 2:
        return 1
    same = values[1:] == values[:-1]
    if not same.any():
        return 1
    asked = np.array([parent.values for parent in parents])[:, rows]
    asked[np.isnan(asked)] = np.inf
    apart = (asked[:, 1:] != asked[:, :-1]).any(axis=0)
    shared = float(same[apart].mean()) if apart.any() else 0.0
    if shared < MIN_SHARED:
        return 1
    _, counts = np.unique(values, return_counts=True)
    if shared < MIN_ABOVE_CHANCE * float(((counts / values.size) ** 2).sum()):
        return 1
    return max(round(values.size / counts.size), 1)


def one_of_each_group(rows: np.ndarray, window: Floats, size: int) -> np.ndarray:
    """Return every ``size``-th of the rows of each window, as an array of bool."""
    kept = np.zeros_like(rows)
    for side in (0, 1):
        kept[np.flatnonzero(rows & (window == side))[::size]] = True
    return kept


def inflation(summands: Floats) -> Floats:
    """Return f, 1 or more, for each column of summands.

    Parameters
    ----------
    summands : array, shape (n, k)
        Of the reference's rows, in the order of time; by column, for speed.
    """
    return np.array([_inflation(column) for column in summands.T]) if len(summands) else np.ones(summands.shape[1])


def _inflation(summands: Floats) -> float:
    centred = summands - summands.mean()
    n, power = centred.size, float(centred @ centred)
    found, limit = 1.0, STANDARD_ERRORS / np.sqrt(n)
    if np.abs(centred).max() <= ROUNDING * np.abs(summands).max():
        return found
    for lag in range(1, int(LONGEST_LAG * n)):
        correlation = float(centred[lag:] @ centred[:-lag]) / power
        if correlation <= limit:
            break
        found += 2.0 * correlation
    return found
