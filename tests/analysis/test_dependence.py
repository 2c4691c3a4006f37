"""Rows that depend on one another are worth fewer."""

import numpy as np
import pandas as pd
import pytest

from dfml_analysis.causal_graph import read_graph
from dfml_analysis.dependence import inflation
from dfml_analysis.localisation import Localisation
from dfml_analysis.localise import localise
from dfml_analysis.verdict import Verdict

N_ROWS, BATCH = 320, 32
GRAPH = {"x": [], "drift": ["x"], "drifting": ["x"], "y": ["x"]}


def _window(seed: int, drift: float = 0.0) -> pd.DataFrame:
    """Return requests of which each batch is told one number, computed from all its members."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=N_ROWS)
    told = np.repeat(rng.gamma(4.0, 0.5, N_ROWS // BATCH) + drift, BATCH)
    return pd.DataFrame({"x": x, "drift": told, "drifting": told > 2.5, "y": x + rng.normal(size=N_ROWS)})


def _localise(reference: pd.DataFrame, current: pd.DataFrame) -> Localisation:
    return localise(read_graph(GRAPH), reference, current, "y")


def test_what_a_batch_is_told_together_is_told_once() -> None:
    found = [_localise(_window(seed), _window(seed + 100)).verdict for seed in range(30)]
    assert sum(verdict in {Verdict.FAULT, Verdict.INPUT_SHIFT} for verdict in found) <= 2


def test_a_gross_change_of_what_batches_are_told_is_seen() -> None:
    assert "drift" in _localise(_window(1), _window(2, drift=20.0)).flagged


def test_a_fault_that_begins_within_the_window_does_not_excuse_itself() -> None:
    current = _window(2)
    current.loc[N_ROWS // 2 :, "y"] += 1.5
    assert _localise(_window(1), current).top == "y"


@pytest.mark.parametrize(("run", "expected"), [(1, 1.0), (32, 32.0)])
def test_a_sum_over_runs_varies_like_one_over_as_many_rows_as_runs(run: int, expected: float) -> None:
    rng = np.random.default_rng(3)
    found = inflation(np.repeat(rng.normal(size=(4096 // run, 1)), run, axis=0))
    assert found[0] == pytest.approx(expected, rel=0.35)


def test_a_constant_has_no_neighbours_that_are_alike() -> None:
    assert inflation(np.full((600, 1), 0.1))[0] == 1.0


def test_a_field_that_vanishes_altogether_is_seen() -> None:
    current = _window(2)
    current["x"] = np.nan
    assert "x" in _localise(_window(1), current).flagged
