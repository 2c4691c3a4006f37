"""``baro``: the robust scorer of BARO, largest distance from the reference's median in interquartile ranges.

Pham, Ha, Zhang (2024), *BARO: Robust root cause analysis for microservices via multivariate Bayesian online change
point detection*, section 3.3. Its change point detection, which finds the window, is left out: the window is given.
"""

import numpy as np

from dfml_analysis.localisers.anomaly import current_values, in_units, reference_values
from dfml_analysis.localisers.base import Problem, Ranking, rank_by_score, testable


class Baro:
    """Suspects the variable that went furthest, so what amplifies more than what is broken."""

    name = "baro"
    decides = False
    slow = False

    def rank(self, problem: Problem) -> Ranking:
        """Return the variables by ``max |x - median| / IQR`` over the current window."""
        windows = problem.windows
        scores: dict[str, float] = {}
        for name in testable(windows):
            variable = windows.variables[name]
            reference, current = reference_values(windows, variable), current_values(windows, variable)
            if reference.size and not np.isnan(current).all():
                low, median, high = np.quantile(reference, [0.25, 0.5, 0.75])
                distances = np.abs(current[~np.isnan(current)] - median)
                scores[name] = float(in_units(distances, float(high - low), float(median)).max())
        return rank_by_score(windows, scores, alarm=None)
