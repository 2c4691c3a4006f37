"""Steps that remember the row before."""

import numpy as np
import pandas as pd

from dfml_analysis.causal_graph import read_graph
from dfml_analysis.localisation import Localisation
from dfml_analysis.localise import localise
from dfml_analysis.mechanisms import examine_mechanisms
from dfml_analysis.series import remembered, row_before
from dfml_analysis.verdict import Verdict
from dfml_analysis.windows import Windows, read_windows

GRAPH = read_graph({"x": [], "y": ["x"], "z": ["y"]})


def _frame(n: int, seed: int, memory: float, offset: float = 0.0, start: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=n), np.full(n, start)
    for row in range(1, n):
        y[row] = memory * y[row - 1] + x[row] + rng.normal() + offset
    return pd.DataFrame({"x": x, "y": y, "z": y + rng.normal(size=n)})


def _windows(memory: float) -> Windows:
    return read_windows(GRAPH, _frame(200, 0, memory), _frame(200, 1, memory), "z")


def test_the_row_before_the_first_of_a_window_is_absent() -> None:
    windows = _windows(0.0)
    before = row_before(windows.variables["x"], windows.window)
    assert np.flatnonzero(~before.present).tolist() == [0, 200]
    assert before.values[1:200].tolist() == windows.variables["x"].values[:199].tolist()


def test_only_a_variable_that_goes_on_from_row_to_row_remembers() -> None:
    for memory, names in ((0.0, []), (0.7, ["y", "x"])):
        windows = _windows(memory)
        found = remembered(windows.variables["y"], windows.parents("y"), windows.window)
        assert [each.name for each in found] == names


def test_a_window_that_begins_elsewhere_is_no_fault_of_a_step_that_remembers() -> None:
    alarms = 0
    for seed in range(20):
        frames = _frame(300, seed, 0.98), _frame(100, seed + 100, 0.98, start=25.0)
        tests = examine_mechanisms(read_windows(GRAPH, *frames, "z"))
        alarms += any(test.variable.name == "y" and test.evidence.log_p < np.log(0.01) for test in tests)
    assert alarms <= 2


def test_a_small_change_of_a_step_that_remembers_is_seen_and_not_blamed_on_its_readers() -> None:
    found = localise(GRAPH, _frame(400, 0, 0.8), _frame(200, 1, 0.8, offset=0.7), "z")
    assert (found.verdict, found.flagged) == (Verdict.FAULT, {"y"})


def test_a_change_that_is_carried_on_until_nothing_overlaps_is_still_seen() -> None:
    found = localise(GRAPH, _frame(400, 0, 0.98), _frame(200, 1, 0.98, offset=2.0), "z")
    assert "y" in found.flagged


def test_windows_without_any_overlap_are_followed_without_a_warning() -> None:
    found = localise(GRAPH, _frame(400, 0, 0.98), _frame(200, 1, 0.98, offset=40.0), "z")
    assert "y" in found.flagged
    assert all(0.0 < suspect.score < 1.0 for suspect in found.suspects)


def test_what_is_declared_a_time_series_or_none_is_believed() -> None:
    for memory, declared, names in ((0.0, True, ["y", "x"]), (0.7, False, [])):
        windows = _windows(memory)
        found = remembered(windows.variables["y"], windows.parents("y"), windows.window, declared=declared)
        assert [each.name for each in found] == names


def test_the_front_door_takes_the_declaration() -> None:
    frames = _frame(400, 0, 0.8), _frame(200, 1, 0.8, offset=0.7)
    digits = {series: _log_p(localise(GRAPH, *frames, "z", series=series), "y") for series in (True, False, None)}
    assert digits[True] == digits[None] != digits[False]


def _log_p(found: Localisation, name: str) -> float:
    return next(float(np.log(item.p_value)) for item in found.evidence if item.variable == name)
