"""Where two windows can be compared: the probability that a row is of the current window, given its parents.

Rows whose parents occur in one window only carry no evidence about the mechanism; their weight ``e (1 - e)`` is 0.
"""

from dataclasses import dataclass

import numpy as np

from dfml_analysis.variables import Floats

RIDGE = 0.5
"""Prior precision of the logistic coefficients: keeps separated windows finite and is nothing beside 50 rows."""
MAX_STEPS = 25
TOLERANCE = 1e-6
MAX_LOGIT = 30.0


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
        e (1 - e), the row's share in every comparison.
    n_rows : float
        Rows per window that overlapping windows of the same worth would have.
    """

    probability: Floats
    surplus: Floats
    weight: Floats
    n_rows: float


def estimate_overlap(columns: Floats, window: Floats) -> Overlap:
    """Fit a ridge logistic regression of the window on the parents' columns by Newton steps.

    Parameters
    ----------
    columns : array, shape (n, p)
        Orthonormal parents' columns, the first constant (:mod:`dfml_analysis.basis`).
    window : array, shape (n,)
        0 for rows of the reference, 1 for rows of the current window.
    """
    share = window.mean()
    coefficients = np.zeros(columns.shape[1])
    coefficients[0] = np.log(share / (1.0 - share))
    penalty = np.full(columns.shape[1], RIDGE)
    penalty[0] = 0.0
    e = np.full(window.size, share)
    if columns.shape[1] > 1:
        for _ in range(MAX_STEPS):
            gradient = columns.T @ (window - e) - penalty * coefficients
            hessian = (columns * (e * (1.0 - e))[:, None]).T @ columns + np.diag(penalty + TOLERANCE)
            step = np.linalg.solve(hessian, gradient)
            longest = np.abs(step).max()
            coefficients += step * min(1.0, 5.0 / longest) if longest > 0 else 0.0
            e = 1.0 / (1.0 + np.exp(-np.clip(columns @ coefficients, -MAX_LOGIT, MAX_LOGIT)))
            if longest < 1e-4:
                break
    weight = e * (1.0 - e)
    return Overlap(e, window - e, weight, float(2.0 * weight.sum()))


def restricted(overlap: Overlap, rows: np.ndarray) -> Overlap:
    """Return the overlap of some of the rows."""
    weight = overlap.weight[rows]
    return Overlap(overlap.probability[rows], overlap.surplus[rows], weight, float(2.0 * weight.sum()))


def net_of_parents(columns: Floats, weight: Floats, targets: Floats) -> Floats:
    """Return the targets minus their overlap-weighted least-squares fit on the parents' columns.

    Parameters
    ----------
    columns : array, shape (n, p)
    weight : array, shape (n,)
    targets : array, shape (n, k)
    """
    weighted = columns * weight[:, None]
    gram = weighted.T @ columns
    gram[np.diag_indices_from(gram)] += 1e-9 * max(float(np.trace(gram)), 1e-300)
    return np.asarray(targets - columns @ np.linalg.solve(gram, weighted.T @ targets))
