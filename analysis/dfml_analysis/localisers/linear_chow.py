"""``linear_chow``: one linear regression on the parents, or one for each window? Chow's (1960) F-test per variable.

Roots are tested for their mean (the same test with the constant alone). A linear misfit under a covariate shift looks
to it like a changed mechanism. A floor.
"""

import numpy as np
from scipy.stats import f

from dfml_analysis.localisers.base import Problem, Ranking, rank_by_p, testable
from dfml_analysis.variables import Floats

EXACT = 1e-20
"""Part of the total sum of squares that rounding leaves; a residual below it counts as this."""


class LinearChow:
    """Suspects the variable whose linear regression on its parents differs most."""

    name = "linear_chow"
    decides = True
    slow = False

    def rank(self, problem: Problem) -> Ranking:
        """Return the variables by the p-value of Chow's test."""
        windows = problem.windows
        log_p: dict[str, float] = {}
        for name in testable(windows):
            child, parents = windows.variables[name], windows.parents(name)
            rows = np.logical_and.reduce([child.present, *(parent.present for parent in parents)])
            X = np.column_stack([np.ones(int(rows.sum())), *(parent.values[rows] for parent in parents)])
            log_p[name] = chow_log_p(X, child.values[rows], windows.window[rows] == 1)
        return rank_by_p(windows, log_p)


def chow_log_p(X: Floats, y: Floats, current: np.ndarray) -> float:
    """Return the natural logarithm of the p-value of Chow's test; 0 where it has no degrees of freedom."""
    n, p = X.shape
    if min(current.sum(), n - current.sum()) <= p or np.ptp(y) == 0:
        return 0.0
    y = (y - y.mean()) / np.ptp(y)
    floor = EXACT * n
    pooled = max(_residual_sum(X, y), floor)
    apart = max(_residual_sum(X[current], y[current]) + _residual_sum(X[~current], y[~current]), floor)
    statistic = max(pooled - apart, 0.0) / p / (apart / (n - 2 * p))
    return float(max(f.logsf(statistic, p, n - 2 * p), -700.0))


def _residual_sum(X: Floats, y: Floats) -> float:
    scale = np.maximum(np.abs(X).max(axis=0), 1e-300)
    coefficients = np.linalg.lstsq(X / scale, y, rcond=None)[0]
    return float(((y - X / scale @ coefficients) ** 2).sum())
