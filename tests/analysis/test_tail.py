"""Tail probabilities of weighted coin flips, against what can be counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, norm

from dfml_analysis.tail import log_two_sided


def _two_sided(n: int, n_heads: int) -> float:
    probability = np.full(n, 0.5)
    surplus = np.r_[np.ones(n_heads), np.zeros(n - n_heads)] - 0.5
    return float(np.exp(log_two_sided(probability, np.ones((n, 1)), surplus)[0][0]))


@pytest.mark.parametrize(("n", "n_heads"), [(20, 17), (40, 32), (100, 70), (200, 150)])
def test_far_tails_of_a_binomial_lie_between_the_open_and_the_closed_count(n: int, n_heads: int) -> None:
    p = _two_sided(n, n_heads) / 2
    assert binom.sf(n_heads, n, 0.5) < p < binom.sf(n_heads - 1, n, 0.5)


def test_no_weight_is_no_evidence() -> None:
    log_p, z = log_two_sided(np.full(9, 0.5), np.zeros((9, 1)), np.full(9, 0.5))
    assert log_p.tolist() == [0.0]
    assert z.tolist() == [0.0]


def test_few_degrees_of_freedom_make_the_tail_heavier() -> None:
    rng = np.random.default_rng(0)
    weights, flips = rng.normal(size=(30, 1)), rng.random(30) < 0.5
    arguments = np.full(30, 0.5), weights * np.sign(weights[:, 0] @ (flips - 0.5)), flips - 0.5
    assert log_two_sided(*arguments, 5.0)[0][0] > log_two_sided(*arguments)[0][0]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_many_even_coins_are_normal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    flips, weights = rng.random(400) < 0.5, rng.normal(size=(400, 1))
    log_p, z = log_two_sided(np.full(400, 0.5), weights, flips - 0.5)
    assert np.exp(log_p[0]) == pytest.approx(2 * norm.sf(abs(z[0])), rel=0.15, abs=1e-4)
