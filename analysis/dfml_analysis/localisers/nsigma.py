"""``nsigma``: how many standard deviations of the reference the current mean lies away. A floor."""

import numpy as np

from dfml_analysis.localisers.base import Problem, Ranking, rank_by_score, split, testable

LIMIT = 3.0
"""Standard errors of the mean from which it raises an alarm."""


class NSigma:
    """Suspects the variable that moved most in its own units."""

    name = "nsigma"
    decides = True
    slow = False

    def rank(self, problem: Problem) -> Ranking:
        """Return the variables by |mean difference| / sd of the reference; alarm from three standard errors."""
        windows = problem.windows
        scores: dict[str, float] = {}
        alarm = False
        for name in testable(windows):
            reference, current = split(windows, name)
            if not (reference.size and current.size):
                continue
            difference = abs(float(current.mean() - reference.mean()))
            sd = max(float(reference.std()), 1e-12 * max(abs(float(reference.mean())), 1e-300))
            scores[name] = difference / sd
            alarm |= difference > LIMIT * sd * float(np.sqrt(1 / reference.size + 1 / current.size))
        return rank_by_score(windows, scores, alarm=alarm)
