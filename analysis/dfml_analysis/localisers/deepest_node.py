"""``deepest_node``: the variables in reverse topological order. A floor."""

from dfml_analysis.localisers.base import Problem, Ranking, rank_by_score, testable


class DeepestNode:
    """Suspects the output."""

    name = "deepest_node"
    decides = False
    slow = False

    def rank(self, problem: Problem) -> Ranking:
        """Return the variables in reverse topological order."""
        windows = problem.windows
        return rank_by_score(
            windows, {name: float(place) for place, name in enumerate(testable(windows), start=1)}, alarm=None
        )
