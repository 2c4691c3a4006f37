"""Where another law begins in a sequence, and how sure that is."""

import numpy as np
import pytest

from dfml_analysis.change_point import ChangePoint, find_change

N = 400


def _find(sequence: np.ndarray) -> ChangePoint:
    return find_change(sequence[:, None], np.repeat([0.0, 1.0], sequence.size // 2))


def _noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=2 * N)


@pytest.mark.parametrize("change", ["mean", "spread", "few wild ones"])
def test_ninety_five_percent_of_the_intervals_hold_the_true_start(change: str) -> None:
    n_held, start = 0, N + 150
    for seed in range(40):
        sequence, rng = _noise(seed), np.random.default_rng(1000 + seed)
        within = slice(start, None)
        if change == "mean":
            sequence[within] += 0.7
        elif change == "spread":
            sequence[within] *= 2.0
        else:
            sequence[within] += 6.0 * (rng.random(2 * N - start) < 0.15)
        found = _find(sequence)
        n_held += found.earliest <= start <= found.latest
    assert n_held >= 34, "of 40 at 95 %, fewer than 34 have a probability of 0.003"


def test_a_burst_has_a_start_and_an_end() -> None:
    sequence = _noise(1)
    sequence[N + 100 : N + 180] += 2.0
    found = _find(sequence)
    assert abs(found.start - N - 100) <= 3
    assert abs(found.end - N - 180) <= 3


def test_a_change_that_goes_on_ends_with_the_sequence() -> None:
    sequence = _noise(2)
    sequence[N + 100 :] += 2.0
    assert _find(sequence).end == 2 * N


def test_a_change_within_the_reference_is_found_there() -> None:
    sequence = _noise(3)
    sequence[N - 100 :] += 1.5
    assert abs(_find(sequence).start - N + 100) <= 5


def test_without_a_change_the_odds_are_against_one() -> None:
    assert np.mean([_find(_noise(seed)).log_odds < 0 for seed in range(20)]) >= 0.8


def test_the_view_that_shows_the_change_is_followed() -> None:
    shown = _noise(4)
    shown[N + 50 :] += 2.0
    found = find_change(np.column_stack([_noise(5), shown]), np.repeat([0.0, 1.0], N))
    assert abs(found.start - N - 50) <= 3


def test_rows_that_depend_on_one_another_make_the_interval_wider() -> None:
    rng = np.random.default_rng(6)
    slow = np.repeat(rng.normal(size=2 * N // 20), 20) + 0.1 * rng.normal(size=2 * N)
    slow[N + 150 :] += 2.0
    free = _noise(6)
    free[N + 150 :] += 2.0
    widths = [found.latest - found.earliest for found in (_find(slow), _find(free))]
    assert widths[0] > widths[1]


def test_classes_and_constants_are_sequences_too() -> None:
    classes = np.zeros(2 * N)
    classes[N + 120 :: 2] = 1.0
    assert _find(classes).start == N + 120
    assert _find(np.ones(2 * N)).log_odds <= 0


@pytest.mark.parametrize("n", [2, 6, 30])
def test_the_shortest_sequences_have_an_answer(n: int) -> None:
    found = _find(np.arange(n, dtype=np.float64))
    assert 0 < found.start <= n - 1
    assert found.earliest <= found.start <= found.latest
