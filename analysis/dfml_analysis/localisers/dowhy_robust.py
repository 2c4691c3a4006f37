"""``dowhy_robust``: DoWhy's ``gcm.distribution_change_robust`` with its defaults.

Shapley values of the change of the target's mean, each coalition estimated by regression and re-weighting together,
right if either is (Quintas-Martínez et al. 2024, *Multiply-robust causal change attribution*). Linear regressors and
logistic classifiers, five folds.
"""

from dfml_analysis.localisers.base import Problem, Ranking, rank_by_score
from dfml_analysis.localisers.dowhy_gcm import Question, ask_dowhy


class DowhyRobust:
    """Suspects the variable with the largest part, either way, of the change of the target's mean."""

    name = "dowhy_robust"
    decides = False
    slow = True

    def rank(self, problem: Problem) -> Ranking:
        """Return the variables upstream of the target by |attribution|; ``failed`` where DoWhy cannot."""
        return ask_dowhy(problem, _attribute)


def _attribute(question: Question) -> Ranking:
    attributions = question.gcm.distribution_change_robust(
        question.model("ProbabilisticCausalModel"), question.reference, question.current, question.target
    )
    scores = {str(node): abs(float(value)) for node, value in attributions.items()}
    return rank_by_score(question.windows, scores, alarm=None)
