"""``first_node``: the variables in topological order, roots first. A floor."""

from dfml_analysis.localisers.base import Problem, Ranking, rank_by_score, testable


class FirstNode:
    """Suspects the input."""

    name = "first_node"
    decides = False
    slow = False

    def rank(self, problem: Problem) -> Ranking:
        """Return the variables in topological order."""
        windows = problem.windows
        names = testable(windows)
        return rank_by_score(windows, {name: float(len(names) - place) for place, name in enumerate(names)}, alarm=None)
