"""Parents as the columns of a regression: a fixed dictionary, as rich as the number of rows allows.

In this order, until there is one column for each ``ROWS_PER_COLUMN`` rows: which parents are absent, classes (one
column each), numbers in standard deviations, their squares, products of two parents, hinges and steps at quantiles.
Where there are more parents than columns, those that tell most of the window or of the child come first (double
selection, Belloni, Chernozhukov, Hansen 2014): a parent left out confounds only if it tells of both.
Numbers are clipped at ``CLIP_SD`` so that one wild row cannot own a fit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np

from dfml_analysis.variables import Floats, Scale, Variable

ROWS_PER_COLUMN = 10
MIN_COLUMNS = 2
CLIP_SD = 6.0
HINGE_QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
STEP_QUANTILES = (0.5, 0.25, 0.75, 0.125, 0.375, 0.625, 0.875)
MAX_COLUMNS = 60
"""More would not make a better fit of a handful of parents, and the cost grows with the square."""
QUANTILE_ROWS = 2000
"""More rows than twice this place their hinges and steps by every n-th."""
ROUNDING = 1e-7
"""Standard deviations below this part of a column's size are what rounding leaves of a constant."""
RANK_TOLERANCE = 1e-12
"""Eigenvalues of the Gram matrix below this part of the largest are collinear columns (standard deviations below one
part in a million), which rounding makes."""


@dataclass(frozen=True, slots=True)
class Basis:
    """The parents' columns for all rows.

    Attributes
    ----------
    columns : array, shape (n, p)
        Orthonormal up to scale: mean square 1 each, the first constant; each contiguous, for speed.
    n_raw : int
        Columns before collinear ones were dropped.
    """

    columns: Floats
    n_raw: int


def parent_columns(parents: Sequence[Variable], rows: Floats) -> Basis:
    """Return the regression columns of the parents at the given rows.

    Parameters
    ----------
    parents : sequence of Variable
        May be empty: then the constant column alone.
    rows : array of int or bool
        Which rows of the variables.
    """
    n = int(np.arange(parents[0].values.size)[rows].size) if parents else int(np.count_nonzero(rows))
    budget = min(max(n // ROWS_PER_COLUMN, MIN_COLUMNS), MAX_COLUMNS)
    raw, n_raw = np.empty((budget + 1, n)), 1
    raw[0] = 1.0
    for n_raw, column in enumerate(islice(_dictionary(parents, rows), budget), start=2):
        raw[n_raw - 1] = column
    return Basis(orthonormal(raw[:n_raw].T), n_raw)


def most_telling(parents: Sequence[Variable], rows: Floats, told: Sequence[Floats]) -> list[Variable]:
    """Return the parents, those first that correlate most with any of what is told; as they are where all fit.

    Parameters
    ----------
    parents : sequence of Variable
    rows : array of bool, shape (n,)
    told : sequence of arrays, shape (n,)
        For the chosen rows: the window and the child, without absent values.
    """
    n = int(np.count_nonzero(rows))
    if len(parents) <= max(n // ROWS_PER_COLUMN, MIN_COLUMNS) // 2:
        return list(parents)
    columns = np.column_stack([parent.values[rows] for parent in parents])
    absent = np.isnan(columns)
    centred = np.where(absent, 0.0, columns - np.nanmean(np.where(absent.all(axis=0), 0.0, columns), axis=0))
    gaps = absent - absent.mean(axis=0)
    strength = np.zeros(len(parents))
    for values in told:
        goal = values - values.mean()
        for candidates in (centred, gaps):
            norms = np.sqrt((candidates**2).sum(axis=0) * (goal @ goal))
            strength = np.maximum(strength, np.abs(goal @ candidates) / np.maximum(norms, 1e-300))
    return [parents[index] for index in np.argsort(-strength, kind="stable")]


def orthonormal(raw: Floats) -> Floats:
    """Return columns of mean square 1 that span the same space as ``raw`` (constant first), collinear ones dropped."""
    n = raw.shape[0]
    gram = raw.T @ raw / n
    mean = gram[0, 1:]
    covariance = gram[1:, 1:] - np.outer(mean, mean)
    scale = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    varies = scale > ROUNDING * np.sqrt(np.diag(gram)[1:])
    if not varies.any():
        return np.ones((n, 1))
    scale = scale[varies]
    eigenvalues, vectors = np.linalg.eigh(covariance[np.ix_(varies, varies)] / np.outer(scale, scale))
    kept = eigenvalues > RANK_TOLERANCE * eigenvalues[-1]
    turned = np.zeros((raw.shape[1], int(kept.sum()) + 1))
    turned[0, 0] = 1.0
    turned[1:][varies, 1:] = vectors[:, kept] / np.sqrt(eigenvalues[kept]) / scale[:, None]
    turned[0, 1:] = -mean @ turned[1:, 1:]
    return np.asarray((turned.T @ raw.T).T)


def _dictionary(parents: Sequence[Variable], rows: Floats) -> Iterator[Floats]:
    measured: list[tuple[Floats, np.ndarray]] = []
    dummies: list[tuple[int, Floats]] = []
    for index, parent in enumerate(parents):
        values = parent.values[rows]
        absent = np.isnan(values)
        if absent.any():
            yield absent.astype(np.float64)
        if parent.scale is Scale.DISCRETE:
            coded = [(values == level).astype(np.float64) for level in np.unique(values[~absent])[1:]]
            dummies.extend((index, column) for column in coded)
            yield from coded
        elif parent.scale is Scale.NUMERIC:
            measured.append((values, absent))
    numbers: list[Floats] = []
    for values, absent in measured:
        numbers.append(_standardised(values, absent))
        yield numbers[-1]
    yield from (column**2 for column in numbers)
    yield from (left * right for left, right in combinations(numbers, 2))
    yield from (flag * column for _, flag in dummies for column in numbers)
    yield from (left * right for (i, left), (j, right) in combinations(dummies, 2) if i != j)
    ordered = [np.sort(column[:: max(column.size // QUANTILE_ROWS, 1)]) for column in numbers]
    for quantile in HINGE_QUANTILES:
        yield from (
            np.maximum(column - _at(known, quantile), 0.0) for column, known in zip(numbers, ordered, strict=True)
        )
    for quantile in STEP_QUANTILES:
        yield from (
            (column > _at(known, quantile)).astype(np.float64) for column, known in zip(numbers, ordered, strict=True)
        )


def _at(ordered: Floats, quantile: float) -> float:
    """Return a quantile of sorted numbers, interpolated."""
    place = quantile * (ordered.size - 1)
    below = int(place)
    return float(ordered[below] + (place - below) * (ordered[min(below + 1, ordered.size - 1)] - ordered[below]))


def _standardised(values: Floats, absent: np.ndarray) -> Floats:
    known = values[~absent]
    spread = known.std() if known.size else 0.0
    if spread == 0.0:
        return np.zeros_like(values)
    return np.where(absent, 0.0, np.clip((values - known.mean()) / spread, -CLIP_SD, CLIP_SD))
