"""The methods that look for unusual values find a step whose answer is far off, and know what its parents explain."""

import numpy as np
import pandas as pd
import pytest

from dfml_analysis.causal_graph import read_graph
from dfml_analysis.localise import localise
from dfml_analysis.localisers.anomaly import deviations, information

CHAIN = {"a": [], "b": ["a"], "c": ["b"], "d": ["c"]}


def _window(n_rows: int, seed: int, **added: float) -> pd.DataFrame:
    rng, values = np.random.default_rng(seed), {}
    for name, parents in CHAIN.items():
        above = 2.0 * values[parents[0]] if parents else 0.0
        values[name] = above + rng.normal(size=n_rows) + added.get(name, 0.0)
    return pd.DataFrame(values)


@pytest.mark.parametrize("method", ["traversal", "circa", "smooth_traversal", "idi"])
@pytest.mark.parametrize("n_rows", [1, 30])
def test_a_step_far_off_is_the_first_suspect(method, n_rows):
    broken = _window(n_rows, 1, b=40.0)
    assert localise(read_graph(CHAIN), _window(500, 0), broken, "d", method=method).top == "b"


@pytest.mark.parametrize("method", ["traversal", "circa", "smooth_traversal", "idi"])
def test_an_input_far_off_is_not_blamed_on_what_follows_it(method):
    shifted = _window(5, 1, a=40.0)
    assert localise(read_graph(CHAIN), _window(500, 0), shifted, "d", method=method).top == "a"


def test_marginal_scores_prefer_what_stands_out_most():
    graph = read_graph({"a": [], "b": ["a"]})
    reference, noise = _window(500, 0)[["a", "b"]], _window(5, 1)[["a", "b"]]
    assert localise(graph, reference, noise.assign(b=90.0), "b", method="baro").top == "b"
    assert localise(graph, reference, noise.assign(a=90.0), "b", method="score_ordering").top == "a"


def test_idi_prefers_the_candidate_whose_repair_helps_the_target():
    graph = read_graph({"a": [], "aside": [], "y": ["a", "aside"]})
    rng = np.random.default_rng(0)
    a, aside = rng.normal(size=(2, 505))
    frame = pd.DataFrame({"a": a, "aside": aside, "y": 3.0 * a + 0.01 * aside + rng.normal(scale=0.1, size=505)})
    bad = frame[500:].assign(a=8.0, aside=30.0, y=24.3).reset_index(drop=True)
    assert localise(graph, frame[:500], bad, "y", method="idi").top == "a"


def test_information_is_of_the_share_that_is_as_far_off():
    reference = np.arange(-49.5, 50.0)
    scores = information(np.array([0.0, 49.5, 1e6, np.nan]), reference)
    assert scores[:3] == pytest.approx([np.log(101 / 101), np.log(101 / 3), np.log(101)])
    assert np.isnan(scores[3])


def test_a_value_off_a_constant_is_unusual_beyond_measure_but_finite():
    assert deviations(np.array([2.0, 1.0]), np.ones(10)).tolist() == [1e12, 0.0]


def test_ranked_correlation_prefers_what_comes_and_goes_with_the_target():
    graph = read_graph({"a": [], "aside": [], "y": ["a", "aside"]})
    rng = np.random.default_rng(0)
    normal = pd.DataFrame(rng.normal(size=(200, 3)), columns=["a", "aside", "y"])
    bad = pd.DataFrame({"a": [0, 9, 8, 1, 0], "aside": [9, 8, 9, 9, 8], "y": [1, 99, 98, 2, 1]}, dtype=float)
    assert localise(graph, normal, bad, "y", method="ranked_correlation").top == "a"
