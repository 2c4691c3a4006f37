"""Where two windows can be compared: the probability that a row is of the current window, given its parents.

Rows whose parents occur in one window only carry no evidence about the mechanism; their weight ``e (1 - e)`` is 0.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from dfml_analysis.variables import Floats

RIDGE = 0.5
"""Prior precision of the logistic coefficients: keeps separated windows finite and is nothing beside 50 rows."""
TINY = 1e-6
MAX_STEPS = 25
LONGEST_STEP = 5.0
TOLERANCE = 1e-3
"""Newton's next error is the square of this; a cheap step's is a fifth of it, and no odds are known to a thousandth."""
MAX_CHEAP_STEPS = 15
MAX_LOGIT = 30.0
MIN_ROWS = 5
"""Fewer comparable rows than this a window, and the answer is that there is none."""
MET = 0.98
"""A row this surely of its own window has parents that the other window does not know."""
FARTHEST_LOGIT = float(np.log(MET / (1.0 - MET)))
"""The same as log odds against the windows' share; rows beyond it carry no evidence."""
WARM_ROWS = 2000
"""More rows than twice this take their curvature from every n-th."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """How the rows of two windows overlap in their parents.

    Attributes
    ----------
    probability : array, shape (n,)
        e: probability of the current window given the parents.
    surplus : array, shape (n,)
        Window indicator minus e: mean 0 given the parents.
    weight : array, shape (n,)
        e (1 - e), the row's share in every comparison; 0 for rows that are almost certainly of their window.
    n_rows : float
        Rows per window that overlapping windows of the same worth would have.
    columns : array, shape (n, p)
        The parents' columns, the first constant; that alone for a root.
    inverse : array, shape (p, p)
        Inverse of the columns' weighted Gram matrix.
    """

    probability: Floats
    surplus: Floats
    weight: Floats
    n_rows: float
    columns: Floats
    inverse: Floats

    @property
    def n_reference(self) -> int:
        """Rows of the reference, which come first."""
        return int(np.count_nonzero(self.surplus < 0))

    def freedom(self, inflation: Floats) -> Floats:
        """Return the degrees of freedom that estimating e left, of so many independent rows; a root's e is known."""
        n_columns = self.columns.shape[1]
        n_independent = 2.0 * self.n_rows / inflation
        return np.where(inflation > 1.0, n_independent - 1.0, np.inf) if n_columns == 1 else n_independent - n_columns

    def is_enough(self, window: Floats) -> bool:
        """Return whether enough rows of each window have parents that the other window has too."""
        met = np.maximum(self.probability, 1.0 - self.probability) < MET
        n_met = min(int((met & (window == side)).sum()) for side in (0, 1))
        return min(self.n_rows, float(n_met)) >= MIN_ROWS

    @property
    def total(self) -> float:
        """Sum of the weights, above 0."""
        return max(float(self.weight.sum()), 1e-300)

    def net_of_parents(self, targets: Floats) -> Floats:
        """Return targets, shape (n, k), minus their weighted least-squares fit on the parents' columns.

        As they are where no row has a weight.
        """
        fit = self.inverse @ (self.columns.T @ (targets * self.weight[:, None]))
        explained = (fit.T @ self.columns.T).T
        return np.subtract(targets, explained, out=explained)


def estimate_overlap(columns: Floats, window: Floats) -> Overlap:
    """Fit a ridge logistic regression of the window on the parents' columns by Newton steps.

    Parameters
    ----------
    columns : array, shape (n, p)
        Orthonormal parents' columns, the first constant (:mod:`dfml_analysis.basis`).
    window : array, shape (n,)
        0 for rows of the reference, 1 for rows of the current window.
    """
    share = float(window.mean())
    coefficients = np.zeros(columns.shape[1])
    coefficients[0] = np.log(share / (1.0 - share))
    if columns.shape[1] > 1:
        stride = window.size // WARM_ROWS
        found = _from_a_part(columns, window, coefficients, stride) if stride > 1 else None
        coefficients = _logistic(columns, window, coefficients) if found is None else found
    logit = _logit(columns, coefficients)
    e = np.asarray(expit(logit))
    # One row at odds of a million to one would be a proof, if the odds of rows far out were known that well.
    odds = logit - np.log(share / (1.0 - share))
    weight = np.where(np.abs(odds) < FARTHEST_LOGIT, e * (1.0 - e), 0.0)
    gram = _gram(columns, weight)
    # Windows that have no parents in common weigh nothing: then nothing is fitted, and nothing divided by 0.
    gram[np.diag_indices_from(gram)] += 1e-9 * max(float(np.trace(gram)), TINY)
    return Overlap(e, window - e, weight, float(2.0 * weight.sum()), columns, np.asarray(np.linalg.inv(gram)))


def _from_a_part(columns: Floats, window: Floats, coefficients: Floats, stride: int) -> Floats | None:
    """Return the coefficients of all rows, by steps with the curvature of every n-th row; None if that does not do.

    The gradient of all rows is cheap, their curvature is not, and that of a part hardly differs.
    """
    part = np.asfortranarray(columns[::stride])
    coefficients = _logistic(part, window[::stride], coefficients)
    penalty = _penalty(columns)
    e = _probability(part, coefficients)
    curvature = _gram(part, e * (1.0 - e)) * (window.size / len(part)) + np.diag(penalty)
    for _ in range(MAX_CHEAP_STEPS):
        gradient = columns.T @ (window - _probability(columns, coefficients)) - penalty * coefficients
        step = np.linalg.solve(curvature, gradient)
        coefficients = coefficients + step * min(1.0, LONGEST_STEP / max(float(np.abs(step).max()), 1e-300))
        if float(np.abs(step).max()) < TOLERANCE:
            return coefficients
    return None


def _penalty(columns: Floats) -> Floats:
    penalty = np.full(columns.shape[1], RIDGE)
    penalty[0] = TINY
    return penalty


def _logistic(columns: Floats, window: Floats, coefficients: Floats) -> Floats:
    penalty = _penalty(columns)
    for _ in range(MAX_STEPS):
        e = _probability(columns, coefficients)
        gradient = columns.T @ (window - e) - penalty * coefficients
        curvature = _gram(columns, e * (1.0 - e))
        curvature[np.diag_indices_from(curvature)] += penalty
        step = np.linalg.solve(curvature, gradient)
        longest = float(np.abs(step).max())
        coefficients = coefficients + step * min(1.0, LONGEST_STEP / max(longest, 1e-300))
        if longest < TOLERANCE:
            break
    return coefficients


def _probability(columns: Floats, coefficients: Floats) -> Floats:
    return np.asarray(expit(_logit(columns, coefficients)))


def _logit(columns: Floats, coefficients: Floats) -> Floats:
    return np.clip(columns @ coefficients, -MAX_LOGIT, MAX_LOGIT)


def _gram(columns: Floats, weight: Floats) -> Floats:
    weighted = columns * np.sqrt(weight)[:, None]
    return np.asarray(weighted.T @ weighted)
