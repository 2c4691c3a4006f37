"""``random``: the variables in random order. The floor under the floors."""

from dfml_analysis.localisers.base import Problem, Ranking, rank_by_score, testable


class RandomNode:
    """Suspects anything."""

    name = "random"
    decides = False
    slow = False

    def rank(self, problem: Problem) -> Ranking:
        """Return the variables in an order drawn from the problem's seed."""
        windows = problem.windows
        names = testable(windows)
        drawn = problem.rng().random(len(names))
        return rank_by_score(windows, dict(zip(names, map(float, drawn), strict=True)), alarm=None)
