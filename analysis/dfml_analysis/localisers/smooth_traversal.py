"""``smooth_traversal``: where the anomaly score rises most from the parents to the child, upstream of the target.

Orchard, Okati, Garrido Mejia, Bloebaum, Janzing (2025), *Root cause analysis of outliers with missing structural
knowledge*: needs the graph and marginal scores, but no limit of what is anomalous and no conditional distribution.
"""

import networkx as nx

from dfml_analysis.localisers.anomaly import mean_information
from dfml_analysis.localisers.base import Problem, Ranking, rank_by_score, testable


class SmoothTraversal:
    """Suspects the largest rise of the score; written for one bad request, a window has the mean score of its rows."""

    name = "smooth_traversal"
    decides = False
    slow = False

    def rank(self, problem: Problem) -> Ranking:
        """Return the target and its ancestors by the rise of their score over their highest parent's, then the rest."""
        windows = problem.windows
        scores = {name: mean_information(windows, name) for name in testable(windows)}
        upstream = nx.ancestors(windows.graph, problem.target) | {problem.target}
        rises = {
            name: score - max((scores.get(parent, 0.0) for parent in windows.graph.predecessors(name)), default=0.0)
            for name, score in scores.items()
        }
        least = min(rises.values())
        largest = max(rises.values()) - least
        shifted = {name: rise - least + (largest + 1.0) * (name in upstream) for name, rise in rises.items()}
        return rank_by_score(windows, shifted, alarm=None)
