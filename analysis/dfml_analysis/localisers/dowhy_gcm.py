"""``dowhy_default`` and ``dowhy_bootstrap``: DoWhy's ``gcm.distribution_change``, as the recorded study called it.

Empirical distributions at the roots, linear additive noise elsewhere; Shapley values of the Kullback-Leibler divergence
of the target (Budhathoki et al. 2021). The highest attribution is the suspect; it raises an alarm if its kernel test
finds any mechanism changed. The *bootstrap* preset restores what DoWhy 0.14 dropped: twenty bootstrap runs of the
kernel test, merged by the median p-value. DoWhy is imported at the first call: it takes seconds and is no dependency of
the rest.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from dfml_analysis.localisers.base import Problem, Ranking, failed, rank_by_score
from dfml_analysis.variables import Floats
from dfml_analysis.windows import Windows

BOOTSTRAP_RUNS = 20
FAILURES = (ValueError, TypeError, RuntimeError, ArithmeticError, LookupError, np.linalg.LinAlgError)


class DowhyDistributionChange:
    """Shapley values of the target's divergence over the whole graph; 2^n coalitions, or a sample of them."""

    decides = True
    slow = True

    def __init__(self, name: str, *, bootstrap: bool) -> None:
        self.name = name
        self.bootstrap = bootstrap

    def rank(self, problem: Problem) -> Ranking:
        """Return the variables upstream of the target by attribution, largest first; ``failed`` where DoWhy cannot."""
        windows = problem.windows()
        try:
            gcm = import_module("dowhy.gcm")
        except ImportError as error:
            return failed(f"DoWhy is not installed ({error}); install dfml[analysis]")
        reference, current = _frames(windows)
        if reference.isna().to_numpy().any() or current.isna().to_numpy().any():
            return failed("DoWhy takes no absent values, and the windows hold some")
        try:
            with _reproducible(problem.seed):
                scores, changed = self._attribute(gcm, windows, reference, current, problem.target)
        except FAILURES as error:
            return failed(f"DoWhy: {type(error).__name__}: {error}")
        return rank_by_score(windows, scores, alarm=any(changed.values()))

    def _attribute(
        self, gcm: Any, windows: Windows, reference: pd.DataFrame, current: pd.DataFrame, target: str
    ) -> tuple[dict[str, float], dict[str, bool]]:
        gcm.config.disable_progress_bars()
        gcm.config.set_default_n_jobs(1)
        model = gcm.ProbabilisticCausalModel(nx.DiGraph(windows.graph.edges))
        model.graph.add_nodes_from(windows.graph)
        for node in model.graph:
            root = not model.graph.in_degree(node)
            mechanism = (
                gcm.EmpiricalDistribution() if root else gcm.AdditiveNoiseModel(gcm.ml.create_linear_regressor())
            )
            model.set_causal_mechanism(node, mechanism)
        attributions, changed, _, _ = gcm.distribution_change(
            model,
            reference,
            current,
            target,
            difference_estimation_func=partial(_divergence, gcm),
            return_additional_info=True,
            **(_bootstrapped() if self.bootstrap else {}),
        )
        return {str(node): float(value) for node, value in attributions.items()}, changed


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


def _frames(windows: Windows) -> tuple[pd.DataFrame, pd.DataFrame]:
    table = pd.DataFrame({name: variable.values for name, variable in windows.variables.items()})
    return table[windows.window == 0], table[windows.window == 1]


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """Seed numpy's global generator, the only one DoWhy knows, and give it back as it was; keep DoWhy's warnings in."""
    state = np.random.get_state()
    np.random.seed(seed % 2**32)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        np.random.set_state(state)
