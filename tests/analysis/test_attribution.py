"""Whose is the damage, in the target's unit."""

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfml_analysis.attribution import attribute, shapley_values
from dfml_analysis.causal_graph import read_graph
from dfml_analysis.localise import localise
from dfml_analysis.windows import Windows, read_windows

if TYPE_CHECKING:
    import networkx as nx

N_ROWS = 800
GRAPH = {"x": [], "a": ["x"], "b": ["x"], "y": ["a", "b"], "z": ["y"]}


def _window(seed: int, a: float = 0.0, b: float = 0.0, x: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = {"x": rng.normal(x, 1.0, N_ROWS)}
    values["a"] = 2 * values["x"] + a + rng.normal(0.0, 0.5, N_ROWS)
    values["b"] = -values["x"] + b + rng.normal(0.0, 0.5, N_ROWS)
    values["y"] = values["a"] + values["b"] + rng.normal(0.0, 0.1, N_ROWS)
    values["z"] = values["y"] ** 2
    return pd.DataFrame(values)


def _read(current: pd.DataFrame) -> Windows:
    graph: nx.DiGraph = read_graph(GRAPH)
    return read_windows(graph, _window(0), current, "y")


def test_linear_damage_is_split_into_its_parts() -> None:
    found = attribute(_read(_window(1, a=1.0, b=-2.0, x=3.0)), ["a", "b", "x"], "y", np.random.default_rng(0))
    assert found.parts["a"] == pytest.approx(1.0, abs=0.35)
    assert found.parts["b"] == pytest.approx(-2.0, abs=0.35)
    assert found.parts["x (input)"] == pytest.approx(3.0, abs=0.35)
    assert found.explained == pytest.approx(found.observed, abs=0.35)


def test_what_lies_after_the_target_gets_exactly_nothing() -> None:
    found = attribute(_read(_window(2, a=1.0)), ["a", "z"], "y", np.random.default_rng(0))
    assert found.parts["z"] == 0.0


def test_a_step_whose_change_does_not_reach_the_target_gets_exactly_nothing() -> None:
    graph = read_graph({**GRAPH, "a.latency_ms": ["x"], "a.outputs.t": ["x"], "y": ["a.outputs.t", "b"]})
    rng = np.random.default_rng(5)
    frames = [
        _window(seed).assign(
            **{"a.latency_ms": rng.gamma(8.0, 0.25 + later, N_ROWS), "a.outputs.t": rng.normal(size=N_ROWS)}
        )
        for seed, later in ((0, 0.0), (1, 5.0))
    ]
    found = attribute(read_windows(graph, *frames, "y"), ["a.latency_ms"], "y", np.random.default_rng(0))
    assert found.parts["a"] == 0.0
    (suspect,) = localise(graph, *frames, "y").suspects
    assert suspect.attribution is None


def test_nobody_is_a_player_when_nothing_changed() -> None:
    found = attribute(_read(_window(3)), [], "y", np.random.default_rng(0))
    assert dict(found.parts) == {}
    assert found.explained == 0.0


@given(st.lists(st.floats(-10, 10), min_size=8, max_size=8))
def test_shapley_values_share_out_the_whole_worth(worths: list[float]) -> None:
    players = ["a", "b", "c"]
    coalitions = [coalition for size in range(4) for coalition in combinations(players, size)]
    worth = dict(zip(coalitions, worths, strict=True))
    values = shapley_values(players, worth)
    assert sum(values.values()) == pytest.approx(worth["a", "b", "c"] - worth[()], abs=1e-9)
