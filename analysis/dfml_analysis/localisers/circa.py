"""``circa``: residuals of a linear regression on the parents, the largest of the current window in sigmas.

Li et al. (2022), *Causal inference-based root cause analysis for online service systems with intervention
recognition* (CIRCA), the regression-based hypothesis test: a variable is a root cause indicator if its distribution
given its parents changed. The descendant adjustment, which corrects for graphs that come from knowledge of the
architecture alone, is left out: here the graph is that of the data.
"""

import numpy as np

from dfml_analysis.localisers.anomaly import deviations
from dfml_analysis.localisers.base import Problem, Ranking, rank_by_score, testable
from dfml_analysis.localisers.regression import fit_reference, stack
from dfml_analysis.windows import Windows


class Circa:
    """Suspects the variable furthest from what its parents let expect, so nonlinear ones under a covariate shift."""

    name = "circa"
    decides = False
    slow = False

    def rank(self, problem: Problem) -> Ranking:
        """Return the variables by ``max |r - mean| / sd`` of the residuals r over the current window."""
        windows = problem.windows
        scores = {name: _largest_residual(windows, name) for name in testable(windows)}
        return rank_by_score(windows, scores, alarm=None)


def _largest_residual(windows: Windows, name: str) -> float:
    child, parents = windows.variables[name], windows.parents(name)
    fit = fit_reference(windows, child, parents, quadratic=False)
    if fit is None:
        return 0.0
    residuals = (child.values - fit.predict(stack(parents, child.values.size)))[windows.window == 1]
    residuals = residuals[~np.isnan(residuals)]
    return float(deviations(residuals, fit.residuals).max()) if residuals.size else 0.0
