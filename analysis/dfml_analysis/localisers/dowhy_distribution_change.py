"""``dowhy_default`` and ``dowhy_bootstrap``: DoWhy's ``gcm.distribution_change``, as the recorded study called it.

Empirical distributions at the roots, linear additive noise elsewhere; Shapley values of the Kullback-Leibler divergence
of the target (Budhathoki et al. 2021). The highest attribution is the suspect; it raises an alarm if its kernel test
finds any mechanism changed. The *bootstrap* preset restores what DoWhy 0.14 dropped: twenty bootstrap runs of the
kernel test, merged by the median p-value.
"""

from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from dfml_analysis.localisers.base import Problem, Ranking, rank_by_score
from dfml_analysis.localisers.dowhy_gcm import Question, ask_dowhy
from dfml_analysis.variables import Floats

BOOTSTRAP_RUNS = 20


class DowhyDistributionChange:
    """Shapley values of the target's divergence over the whole graph; 2^n coalitions, or a sample of them."""

    decides = True
    slow = True

    def __init__(self, name: str, *, bootstrap: bool) -> None:
        self.name = name
        self.bootstrap = bootstrap

    def rank(self, problem: Problem) -> Ranking:
        """Return the variables upstream of the target by attribution, largest first; ``failed`` where DoWhy cannot."""
        return ask_dowhy(problem, self._attribute)

    def _attribute(self, question: Question) -> Ranking:
        attributions, changed, _, _ = question.gcm.distribution_change(
            question.model("ProbabilisticCausalModel"),
            question.reference,
            question.current,
            question.target,
            difference_estimation_func=partial(_divergence, question.gcm),
            return_additional_info=True,
            **(_bootstrapped() if self.bootstrap else {}),
        )
        scores = {str(node): float(value) for node, value in attributions.items()}
        return rank_by_score(question.windows, scores, alarm=any(changed.values()))


def _divergence(gcm: Any, old: Floats, new: Floats) -> float:
    """Return DoWhy's divergence as a plain float: it gives arrays of one element, which its Shapley code refuses."""
    return float(np.asarray(gcm.divergence.auto_estimate_kl_divergence(old, new)).reshape(-1)[0])


def _bootstrapped() -> dict[str, Any]:
    kernel = import_module("dowhy.gcm.independence_test.kernel")
    test = partial(
        kernel.kernel_based,
        use_bootstrap=True,
        bootstrap_num_runs=BOOTSTRAP_RUNS,
        p_value_adjust_func=import_module("dowhy.gcm.stats").merge_p_values_quantile,
    )
    return {"independence_test": test, "conditional_independence_test": test}
