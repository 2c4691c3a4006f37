"""``dowhy_anomalies``: DoWhy's ``gcm.attribute_anomalies`` on the requests of the current window.

Shapley values of the information-theoretic anomaly score of the target over the noise terms of an invertible model:
the counterfactual in which a variable's noise had been usual (Budhathoki, Minorics, Bloebaum, Janzing 2022).
"""

import numpy as np

from dfml_analysis.localisers.base import Problem, Ranking, rank_by_score
from dfml_analysis.localisers.dowhy_gcm import Question, ask_dowhy

MAX_ROWS = 10
"""Requests that are attributed, evenly spread over the window: each costs what a distribution change does."""
N_SAMPLES = 500
"""Draws of the target's distribution for the tail probability; the default of 3,000 takes six times as long."""


class DowhyAnomalies:
    """Suspects the variable whose noise makes the target's values unusual."""

    name = "dowhy_anomalies"
    decides = False
    slow = True

    def rank(self, problem: Problem) -> Ranking:
        """Return the variables upstream of the target by mean attribution; ``failed`` where DoWhy cannot."""
        return ask_dowhy(problem, _attribute)


def _attribute(question: Question) -> Ranking:
    gcm, current = question.gcm, question.current
    model = question.model("InvertibleStructuralCausalModel")
    gcm.fit(model, question.reference)
    rows = np.linspace(0, len(current) - 1, min(MAX_ROWS, len(current))).astype(int)
    attributions = gcm.attribute_anomalies(
        model, question.target, current.iloc[rows], num_distribution_samples=N_SAMPLES
    )
    scores = {str(node): float(np.mean(values)) for node, values in attributions.items()}
    return rank_by_score(question.windows, scores, alarm=None)
