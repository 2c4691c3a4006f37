"""Whose is the damage, in the target's unit."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfml.errors import DataError
from dfml_analysis.attribution import NOTHING, attribute
from dfml_analysis.causal_graph import read_graph
from dfml_analysis.damage import Damage, Replay, StepCode, parse_unit
from dfml_analysis.localise import localise
from dfml_analysis.rendering import answers
from dfml_analysis.shapley import coalitions, shapley_values
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
    assert found.closed_form
    for player, part in {"a": 1.0, "b": -2.0, "x (input)": 3.0}.items():
        assert found.parts[player].low <= part <= found.parts[player].high
        assert found.parts[player].value == pytest.approx(part, abs=0.15)
    assert found.explained == pytest.approx(found.observed, abs=0.05)


def test_what_lies_after_the_target_gets_exactly_nothing() -> None:
    found = attribute(_read(_window(2, a=1.0)), ["a", "z"], "y", np.random.default_rng(0))
    assert found.parts["z"] == NOTHING


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
    assert found.parts["a"] == NOTHING
    (suspect,) = localise(graph, *frames, "y").suspects
    assert suspect.attribution is None


def test_one_linear_step_is_split_as_by_oaxaca_and_blinder() -> None:
    reference, current = _window(0), _window(1, a=1.0, x=2.0).assign(a=lambda frame: 1.0 + 3.0 * frame.x)
    current["y"] = current.a + current.b
    windows = read_windows(read_graph({"x": [], "a": ["x"]}), reference[["x", "a"]], current[["x", "a"]], "a")
    found = attribute(windows, ["a"], "a", np.random.default_rng(0))
    before, after = (np.polyfit(frame.x, frame.a, 1) for frame in (reference, current))
    assert found.closed_form
    assert found.parts["a"].value == pytest.approx(float(np.polyval(after - before, reference.x.mean())), abs=1e-6)


def _curved(seed: int, n: int, a: float = 0.0, x: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = {"x": rng.normal(x, 1.0, n)}
    values["a"] = values["x"] ** 2 + a + rng.normal(0.0, 0.5, n)
    values["b"] = np.sin(2 * values["x"]) + rng.normal(0.0, 0.5, n)
    values["y"] = values["a"] * np.abs(values["b"]) + rng.normal(0.0, 0.3, n)
    return pd.DataFrame(values)


UNITS = ["mean", "p90", "over 3"]


@pytest.mark.parametrize("unit", UNITS)
def test_ninety_five_percent_of_the_intervals_hold_the_part_of_a_curved_step(unit: str) -> None:
    damage, one = Damage(parse_unit(unit)), np.ones((1, 100_000))
    then, now = (_curved(99, 100_000, a=a)["y"].to_numpy() for a in (0.0, 1.0))
    truth = float(damage.unit.of(now, one)[0] - damage.unit.of(then, one)[0])
    graph, n_held = read_graph({key: GRAPH[key] for key in "xaby"}), 0
    for seed in range(20):
        windows = read_windows(graph, _curved(2 * seed, 200), _curved(2 * seed + 1, 200, a=1.0), "y")
        found = attribute(windows, ["a"], "y", np.random.default_rng(0), damage)
        assert not found.closed_form
        n_held += found.parts["a"].low <= truth <= found.parts["a"].high
    assert n_held >= 16, "of 20 at 95 %, fewer than 16 have a probability of 0.003"


def test_a_changed_input_and_a_changed_step_share_a_curved_damage() -> None:
    graph = read_graph({key: GRAPH[key] for key in "xaby"})
    windows = read_windows(graph, _curved(0, 600), _curved(1, 600, a=1.0, x=1.0), "y")
    found = attribute(windows, ["a", "x"], "y", np.random.default_rng(0))
    assert found.explained == pytest.approx(found.observed, abs=3 * found.standard_error)
    assert all(part.low > 0 for part in found.parts.values())


def _before(inputs: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"a": inputs["x"] ** 2})


def _after(inputs: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"a": inputs["x"] ** 2 + (inputs["x"] > 1)})


def test_code_that_is_at_hand_is_run_instead_of_a_model_of_it() -> None:
    graph = read_graph({"x": [], "a": ["x"], "y": ["a"]})
    rng = np.random.default_rng(0)
    inputs = [pd.DataFrame({"x": rng.normal(size=300)}) for _ in range(2)]
    frames = [
        found.assign(a=code(found)["a"]).assign(y=lambda frame: 2 * frame.a)
        for found, code in zip(inputs, (_before, _after), strict=True)
    ]
    windows = read_windows(graph, *frames, "y")
    replays = {"a": Replay(_before, _after), "y": Replay(_doubled, _doubled)}
    found = attribute(windows, ["a"], "y", np.random.default_rng(0), Damage(replays=replays))
    assert found.parts["a"].value == pytest.approx(2 * float((inputs[0]["x"] > 1).mean()), abs=1e-12)


def _doubled(inputs: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"y": 2 * inputs["a"]})


def _says(word: str) -> StepCode:
    def code(inputs: pd.DataFrame) -> pd.DataFrame:
        assert set(inputs["kind"]) <= {"car", "house", None}
        return pd.DataFrame({"route": [word] * len(inputs)})

    return code


def test_code_reads_and_answers_text() -> None:
    windows = _routed()
    replays = {"route": Replay(_says("fast"), _says("slow"))}
    found = attribute(windows, ["route"], "cost", np.random.default_rng(0), Damage(replays=replays))
    assert found.parts["route"].value > 0


def test_an_answer_that_was_never_recorded_is_refused() -> None:
    replays = {"route": Replay(_says("fast"), _says("steep"))}
    with pytest.raises(DataError, match="answers \\['steep'\\] for 'route'"):
        attribute(_routed(), ["route"], "cost", np.random.default_rng(0), Damage(replays=replays))


def test_code_that_gives_no_answer_is_refused() -> None:
    replays = {"route": Replay(_says("fast"), lambda inputs: inputs[["kind"]])}
    with pytest.raises(DataError, match="expected 200 rows of \\['route'\\]"):
        attribute(_routed(), ["route"], "cost", np.random.default_rng(0), Damage(replays=replays))


def _routed() -> Windows:
    rng = np.random.default_rng(0)
    frames = []
    for share in (0.2, 0.6):
        route = np.where(rng.random(200) < share, "slow", "fast")
        cost = np.where(route == "slow", 5.0, 1.0) + rng.normal(0, 0.1, 200)
        frames.append(pd.DataFrame({"kind": rng.choice(["car", "house"], 200), "route": route, "cost": cost}))
    return read_windows(read_graph({"kind": [], "route": ["kind"], "cost": ["route"]}), *frames, "cost")


@pytest.mark.parametrize("text", ["mean", "absent", "p95", "p99.9", "over 250", "over -0.5"])
def test_units_are_read_as_they_are_written(text: str) -> None:
    assert str(parse_unit(text)) == text


@pytest.mark.parametrize("text", ["", "p0", "p100", "above 3", "sum"])
def test_other_units_are_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(DataError, match="expected mean, median, p95"):
        parse_unit(text)


def test_units_of_known_values() -> None:
    values, one = np.array([1.0, 2.0, 3.0, np.nan]), np.ones((1, 4))
    found = {text: float(parse_unit(text).of(values, one)[0]) for text in ("mean", "median", "over 1.5", "absent")}
    assert found == {"mean": 2.0, "median": 2.0, "over 1.5": 0.5, "absent": 0.25}


def test_the_front_door_counts_in_the_unit_that_was_asked() -> None:
    graph = read_graph({key: GRAPH[key] for key in "xaby"})
    found = localise(graph, _curved(0, 400), _curved(1, 400, a=2.0), "y", damage=Damage(parse_unit("over 3")))
    (suspect,) = found.suspects
    assert (found.unit, suspect.variable) == ("over 3", "a")
    assert suspect.attribution_interval is not None
    assert suspect.attribution_interval[0] <= found.target_change <= suspect.attribution_interval[1]


def test_nobody_is_a_player_when_nothing_changed() -> None:
    found = attribute(_read(_window(3)), [], "y", np.random.default_rng(0))
    assert dict(found.parts) == {}
    assert found.explained == 0.0


@given(st.lists(st.floats(-10, 10), min_size=8, max_size=8))
def test_shapley_values_share_out_the_whole_worth(worths: list[float]) -> None:
    players = ["a", "b", "c"]
    worth = {each: np.asarray(value) for each, value in zip(coalitions(players), worths, strict=True)}
    values = shapley_values(players, worth)
    assert float(sum(values.values())) == pytest.approx(float(worth["a", "b", "c"] - worth[()]), abs=1e-9)


def test_no_part_is_told_where_the_target_has_no_value_in_a_window() -> None:
    graph = read_graph({key: GRAPH[key] for key in "xaby"})
    found = localise(graph, _window(0), _window(1, a=1.0).assign(y=np.nan), "y")
    assert [suspect.variable for suspect in found.suspects] == ["y", "a"]
    assert {(suspect.attribution, suspect.attribution_interval) for suspect in found.suspects} == {(None, None)}
    assert dict(answers(found))["damage"].startswith("cannot be told in the mean: y has no value in one of the windows")
