"""``score_ordering``: the variables by their information-theoretic anomaly score, without a graph.

Orchard, Okati, Garrido Mejia, Bloebaum, Janzing (2025), *Root cause analysis of outliers with missing structural
knowledge*: in a polytree, a weak anomaly rarely causes a strong one, so the strongest is the likeliest cause.
"""

from dfml_analysis.localisers.anomaly import mean_information
from dfml_analysis.localisers.base import Problem, Ranking, rank_by_score, testable


class ScoreOrdering:
    """Suspects the most unusual variable; written for one bad request, a window has the mean score of its rows."""

    name = "score_ordering"
    decides = False
    slow = False

    def rank(self, problem: Problem) -> Ranking:
        """Return the variables by their score."""
        windows = problem.windows
        scores = {name: mean_information(windows, name) for name in testable(windows)}
        return rank_by_score(windows, scores, alarm=None)
