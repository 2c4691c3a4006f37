"""``traversal``: from the target upstream as long as there are anomalies; where they end, the cause is suspected.

Chen, Qi, Zheng, Hou (2014), *CauseInfer*; Liu et al. (2021), *MicroHECL*. A variable is anomalous if the mean of its
current window lies three standard errors off.
"""

import networkx as nx

from dfml_analysis.localisers.anomaly import SIGMAS, mean_shift
from dfml_analysis.localisers.base import Problem, Ranking, rank_by_score, testable


class Traversal:
    """Suspects the anomalous variables without an anomalous parent that reach the target through anomalous ones."""

    name = "traversal"
    decides = True
    slow = False

    def rank(self, problem: Problem) -> Ranking:
        """Return the ends of the traversal first, then what was passed, then the rest; each by deviation.

        The alarm is that the target is anomalous.
        """
        windows = problem.windows
        shifts = {name: mean_shift(windows, name) for name in testable(windows)}
        anomalous = windows.graph.subgraph(name for name, shift in shifts.items() if shift > SIGMAS)
        alarm = problem.target in anomalous
        passed = nx.ancestors(anomalous, problem.target) | {problem.target} if alarm else set()
        ends = {name for name in passed if not anomalous.in_degree(name)}
        scores = {name: (name in passed) + (name in ends) + shift / (1 + shift) for name, shift in shifts.items()}
        return rank_by_score(windows, scores, alarm=alarm)
