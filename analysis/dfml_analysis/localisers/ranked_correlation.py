"""``ranked_correlation``: which variable goes with the target most, in ranks, over both windows together. A floor.

No test of change: it raises no alarm of its own.
"""

import numpy as np
from scipy.stats import rankdata

from dfml_analysis.localisers.base import Problem, Ranking, rank_by_score, testable

MIN_ROWS = 3


class RankedCorrelation:
    """Suspects the variable with the largest absolute Spearman correlation with the target, the target itself last."""

    name = "ranked_correlation"
    decides = False
    slow = False

    def rank(self, problem: Problem) -> Ranking:
        """Return the variables by |Spearman correlation| with the target."""
        windows = problem.windows()
        target = windows.variables[problem.target]
        scores: dict[str, float] = {}
        for name in testable(windows):
            variable = windows.variables[name]
            rows = variable.present & target.present
            varies = rows.sum() >= MIN_ROWS and np.ptp(variable.values[rows]) > 0 and np.ptp(target.values[rows]) > 0
            ranks = [rankdata(item.values[rows]) for item in (variable, target)] if varies else []
            scores[name] = abs(float(np.corrcoef(*ranks)[0, 1])) if varies and name != problem.target else 0.0
        return rank_by_score(windows, scores, alarm=None)
