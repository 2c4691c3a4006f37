"""One mechanism or two: silent under a covariate shift, loud for a changed mechanism, in ten families."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from dfml_analysis.basis import orthonormal
from dfml_analysis.causal_graph import read_graph
from dfml_analysis.columns import Kind
from dfml_analysis.evaluate.mechanisms import FAMILIES, NOISE_SD
from dfml_analysis.evidence import Evidence, strongest
from dfml_analysis.mechanisms import MechanismTest, examine_mechanisms
from dfml_analysis.overlap import estimate_overlap
from dfml_analysis.windows import read_windows

if TYPE_CHECKING:
    import networkx as nx

N_ROWS = 500
N_SEEDS = 24
GRAPH = {"x": [], "y": ["x"]}


def _windows(family: str, seed: int, *, shift: float, offset: float = 0.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    frames = []
    for move, extra in ((0.0, 0.0), (shift, offset)):
        x = rng.normal(move, 1.0, N_ROWS)
        y = FAMILIES[family](x[:, None], rng)
        added = np.maximum(y, rng.random(N_ROWS) < extra) if family == "discrete" else y + extra * NOISE_SD
        frames.append(pd.DataFrame({"x": x, "y": added}))
    return frames[0], frames[1]


def _examine(reference: pd.DataFrame, current: pd.DataFrame, graph: dict[str, list[str]] = GRAPH) -> MechanismTest:
    digraph: nx.DiGraph = read_graph(graph)
    tests = examine_mechanisms(read_windows(digraph, reference, current, "y"))
    return min((test for test in tests if test.variable.name == "y"), key=lambda test: test.evidence.log_p)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shift", [1.0, 2.0])
def test_a_covariate_shift_is_no_change_of_the_mechanism(family: str, shift: float) -> None:
    alarms = sum(
        _examine(*_windows(family, seed, shift=shift)).evidence.log_p < np.log(0.01) for seed in range(N_SEEDS)
    )
    assert alarms <= 3, "at level 0.01, four or more of 24 have a probability of 1e-4"


@pytest.mark.parametrize("family", FAMILIES)
def test_half_a_standard_deviation_is_seen_under_a_covariate_shift(family: str) -> None:
    seen = sum(
        _examine(*_windows(family, seed, shift=1.0, offset=0.5)).evidence.log_p < np.log(0.01) for seed in range(12)
    )
    assert seen >= 11


def test_a_shift_that_is_small_beside_most_noise_is_seen_where_noise_is_small() -> None:
    def window(rng: np.random.Generator, offset: float) -> pd.DataFrame:
        x = rng.normal(size=N_ROWS)
        return pd.DataFrame({"x": x, "y": x + offset + np.exp(x) * rng.normal(size=N_ROWS)})

    rngs = [np.random.default_rng(seed) for seed in range(12)]
    seen = sum(_examine(window(rng, 0.0), window(rng, 0.15)).evidence.log_p < np.log(0.01) for rng in rngs)
    assert seen >= 9, "without weights by precision 7 of them were"


def test_the_first_of_several_tests_may_have_a_larger_share_of_the_level() -> None:
    found = [Evidence("mean", np.log(0.001), 0.0, 9.0), Evidence("rank", np.log(0.002), 0.0, 9.0)]
    found += [Evidence("tails", 0.0, 0.0, 9.0)]
    assert np.exp(strongest(found).log_p) == pytest.approx(0.003)
    assert np.exp(strongest(found, first=0.5).log_p) == pytest.approx(0.002)
    assert np.exp(strongest(found, first=0.5, n_first=2).log_p) == pytest.approx(0.004)
    assert strongest(found[::-1], first=0.5).test == "mean"


def test_a_wider_spread_is_seen_though_the_mean_is_the_same() -> None:
    reference, current = _windows("linear", 1, shift=0.5)
    current["y"] += np.random.default_rng(2).normal(0.0, NOISE_SD, N_ROWS)
    found = _examine(reference, current)
    assert found.evidence.log_p < np.log(1e-5)
    assert found.evidence.test in {"spread", "tails"}


def test_a_change_of_sign_that_averages_out_is_seen() -> None:
    rng = np.random.default_rng(3)
    frames = [pd.DataFrame({"a": rng.normal(size=N_ROWS), "b": rng.normal(size=N_ROWS)}) for _ in range(2)]
    for frame, sign in zip(frames, (1, -1), strict=True):
        frame["y"] = sign * frame.a * frame.b + rng.normal(0.0, 1.0, N_ROWS)
    assert _examine(frames[0], frames[1], {"a": [], "b": [], "y": ["a", "b"]}).evidence.log_p < np.log(1e-6)


def test_a_fault_of_one_request_in_a_hundred_is_seen_in_ten_thousand() -> None:
    def is_seen(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        frames = [pd.DataFrame({"x": rng.normal(size=10_000)}) for _ in range(2)]
        for frame, share in zip(frames, (0.0, 0.01), strict=True):
            frame["y"] = frame.x + NOISE_SD * (rng.normal(size=10_000) + 3.0 * (rng.random(10_000) < share))
        return bool(_examine(frames[0], frames[1]).evidence.log_p < np.log(0.01))

    assert sum(map(is_seen, range(8))) >= 7


def test_labels_that_are_flipped_for_one_request_in_five_are_seen_though_each_is_as_frequent_as_before() -> None:
    def is_seen(seed: int) -> bool:
        reference, current = _windows("discrete", seed, shift=0.0)
        flipped = np.random.default_rng([seed, 1]).random(N_ROWS) < 0.2
        current["y"] = np.where(flipped, 1.0 - current["y"], current["y"])
        return bool(_examine(reference, current).evidence.log_p < np.log(0.01))

    assert sum(map(is_seen, range(12))) >= 10


def test_without_overlap_nothing_is_said() -> None:
    reference, current = _windows("sine", 4, shift=30.0)
    found = _examine(reference, current)
    assert not found.comparable
    assert found.evidence.log_p == 0.0


def test_a_few_broken_rows_of_an_exact_rule_are_a_change() -> None:
    reference, current = _windows("exact", 5, shift=0.0)
    current.loc[:3, "y"] += 0.01
    found = _examine(reference, current)
    assert found.evidence.test == "exact rule"
    assert found.evidence.log_p < np.log(0.01)


def test_a_moved_threshold_is_a_change_and_a_kept_one_is_not() -> None:
    rng = np.random.default_rng(6)
    frames = [pd.DataFrame({"x": rng.normal(move, 1.0, N_ROWS)}) for move in (0.0, 1.0)]
    reference, current = (frame.assign(y=(frame.x > 0.3).astype(int)) for frame in frames)
    assert _examine(reference, current).evidence.log_p == 0.0
    assert _examine(reference, current.assign(y=(current.x > 0.6).astype(int))).evidence.log_p < np.log(1e-6)


def test_absence_that_follows_an_absent_parent_is_no_change() -> None:
    reference, current = _windows("linear", 7, shift=0.0)
    lost = np.random.default_rng(8).random(N_ROWS) < 0.3
    current.loc[lost] = np.nan
    assert _examine(reference, current).evidence.log_p > np.log(0.01)


def test_absence_of_its_own_is_a_change_of_presence() -> None:
    reference, current = _windows("linear", 9, shift=0.0)
    current.loc[np.random.default_rng(8).random(N_ROWS) < 0.1, "y"] = np.nan
    found = _examine(reference, current)
    assert found.kind is Kind.PRESENCE
    assert found.evidence.log_p < np.log(1e-6)


def _joined(seed: int, factor: float) -> pd.DataFrame:
    """Return branches that meet again: 0.8 x where the left was taken, 0.6 x where the right was."""
    x = np.random.default_rng(seed).lognormal(10.0, 1.0, N_ROWS) * factor
    left, right = np.where(x < 50_000, 0.8 * x, np.nan), np.where(x < 50_000, np.nan, 0.6 * x)
    return pd.DataFrame({"left": left, "right": right, "y": np.where(np.isnan(left), right, left)})


JOIN = {"left": [], "right": [], "y": ["left", "right"]}


@pytest.mark.parametrize("seed", range(4))
def test_where_branches_meet_each_branch_has_its_own_rule(seed: int) -> None:
    assert _examine(_joined(seed, 1.0), _joined(seed + 50, 1.5), JOIN).evidence.log_p == 0.0


def test_a_rule_broken_on_one_branch_alone_is_a_change() -> None:
    reference, current = _joined(0, 1.0), _joined(50, 1.5)
    current.loc[current.right.notna(), "y"] *= 1.001
    assert _examine(reference, current, JOIN).evidence.log_p < np.log(1e-6)


def test_a_request_whose_parents_the_other_window_does_not_know_has_no_weight() -> None:
    x = np.r_[np.random.default_rng(0).normal(size=N_ROWS), np.random.default_rng(1).normal(3.0, 1.0, N_ROWS)]
    found = estimate_overlap(orthonormal(np.column_stack([np.ones_like(x), x])), np.repeat([0.0, 1.0], N_ROWS))
    assert (found.weight[(x < -1.5) | (x > 4.5)] == 0.0).all()
    assert (found.weight[(x > 1.0) & (x < 2.0)] > 0.0).all()


def test_windows_without_a_common_row_fit_nothing_and_divide_by_nothing() -> None:
    window = np.repeat([0.0, 1.0], [100, 50])
    overlap = estimate_overlap(orthonormal(np.column_stack([np.ones(150), 10.0 * window])), window)
    values = np.arange(150.0)[:, None]
    assert overlap.n_rows == 0.0
    assert overlap.net_of_parents(values).tolist() == values.tolist()


def test_of_more_parents_than_columns_those_that_matter_are_looked_at() -> None:
    frames = []
    for seed, move in ((0, 0.0), (1, 1.5)):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame(rng.normal(size=(N_ROWS, 150))).add_prefix("x")
        frame["x149"] += move
        frames.append(frame.assign(y=2 * frame.x149 + rng.normal(size=N_ROWS)))
    names = [f"x{index}" for index in range(150)]
    graph: dict[str, list[str]] = {**{name: [] for name in names}, "y": names}
    assert _examine(frames[0], frames[1], graph).evidence.log_p > np.log(0.01)
    assert _examine(frames[0], frames[1].assign(y=frames[1].y + 2.0), graph).evidence.log_p < np.log(1e-6)
