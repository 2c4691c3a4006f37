"""DoWhy's ``gcm``, as the methods that wrap it call it: imported at the first call, seeded, its refusals caught.

It takes seconds to import and is no dependency of the rest. Version 0.14 has no absent values, knows numpy's global
generator only, and its divergences are arrays of one element, which its own Shapley code refuses.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd

from dfml_analysis.localisers.base import Problem, Ranking, failed
from dfml_analysis.windows import Windows

FAILURES = (ValueError, TypeError, RuntimeError, ArithmeticError, LookupError, np.linalg.LinAlgError)
"""What DoWhy raises for data that it cannot use."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a wrapped method is given: DoWhy itself, the windows as complete tables, and the target."""

    gcm: Any
    windows: Windows
    reference: pd.DataFrame
    current: pd.DataFrame
    target: str

    def model(self, kind: str) -> Any:
        """Return a causal model of DoWhy's class ``kind``: empirical roots, linear additive noise elsewhere."""
        model = getattr(self.gcm, kind)(nx.DiGraph(self.windows.graph.edges))
        model.graph.add_nodes_from(self.windows.graph)
        for node in model.graph:
            root = not model.graph.in_degree(node)
            linear = self.gcm.ml.create_linear_regressor
            mechanism = self.gcm.EmpiricalDistribution() if root else self.gcm.AdditiveNoiseModel(linear())
            model.set_causal_mechanism(node, mechanism)
        return model


def ask_dowhy(problem: Problem, answer: Callable[[Question], Ranking]) -> Ranking:
    """Return what ``answer`` makes of the question; ``failed`` where DoWhy is not there or cannot use the data.

    Raises
    ------
    DataError
        See :meth:`dfml_analysis.localisers.base.Problem.windows`.
    """
    windows = problem.windows
    try:
        gcm = import_module("dowhy.gcm")
    except ImportError as error:
        return failed(f"DoWhy is not installed ({error}); install dfml[analysis]")
    table = pd.DataFrame({name: variable.values for name, variable in windows.variables.items()})
    if table.isna().to_numpy().any():
        return failed("DoWhy takes no absent values, and the windows hold some")
    gcm.config.disable_progress_bars()
    gcm.config.set_default_n_jobs(1)
    reference, current = table[windows.window == 0], table[windows.window == 1].reset_index(drop=True)
    try:
        with _reproducible(problem.seed):
            return answer(Question(gcm, windows, reference, current, problem.target))
    except FAILURES as error:
        return failed(f"DoWhy: {type(error).__name__}: {error}")


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
