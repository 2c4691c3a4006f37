"""``ranked_correlation``: which unusual variable goes with the target most, in ranks, in the current window. A floor.

Hardt et al. (2024), *The PetShop dataset*: rank by correlation with the target, and filter for anomalous variables. No
test of change: it raises no alarm of its own.
"""

import numpy as np
from scipy.stats import rankdata

from dfml_analysis.localisers.anomaly import SIGMAS, current_values, deviations, reference_values
from dfml_analysis.localisers.base import Problem, Ranking, rank_by_score, testable
from dfml_analysis.variables import Floats
from dfml_analysis.windows import Windows

MIN_ROWS = 3


class RankedCorrelation:
    """Suspects what moves with the target while the fault comes and goes; the target itself comes last."""

    name = "ranked_correlation"
    decides = False
    slow = False

    def rank(self, problem: Problem) -> Ranking:
        """Return the variables with a value three sigmas off first, in either part by |Spearman correlation|."""
        windows = problem.windows
        target = current_values(windows, windows.variables[problem.target])
        scores = {
            name: 0.0 if name == problem.target else _is_unusual(windows, name) + _correlation(windows, name, target)
            for name in testable(windows)
        }
        return rank_by_score(windows, scores, alarm=None)


def _is_unusual(windows: Windows, name: str) -> bool:
    variable = windows.variables[name]
    scores = deviations(current_values(windows, variable), reference_values(windows, variable))
    return bool((np.nan_to_num(scores) > SIGMAS).any())


def _correlation(windows: Windows, name: str, target: Floats) -> float:
    """Return the absolute Spearman correlation within the current window; 0 where either does not vary."""
    values = current_values(windows, windows.variables[name])
    rows = ~np.isnan(values) & ~np.isnan(target)
    if rows.sum() < MIN_ROWS or not (np.ptp(values[rows]) and np.ptp(target[rows])):
        return 0.0
    return abs(float(np.corrcoef(rankdata(values[rows]), rankdata(target[rows]))[0, 1]))
