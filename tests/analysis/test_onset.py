"""Since when, and which requests."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from dfml_analysis.causal_graph import read_graph
from dfml_analysis.evaluate.suites.recorded import recorded_cases
from dfml_analysis.localise import localise
from dfml_analysis.onset import Onset, Since
from dfml_analysis.rendering import answers
from dfml_analysis.wording import spell_since

if TYPE_CHECKING:
    from dfml_analysis.localisation import Localisation, Suspect

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("DFML_SHARED_DATA", ROOT.parent / "shared" / "data")) / "causal-faults"
CONDITIONS = {"scipipe break-count1", "scipipe break-count2", "seldon broken_app", "seldon broken_data"}
N = 300
STARTED_MS = 1_700_000_000_000
GRAPH = {"x": [], "y": ["x"], "z": ["y"]}


def _window(name: str, seed: int, *, first: int = N, last: int = N, shift: float = 3.0) -> pd.DataFrame:
    """Return a window whose ``y`` is off in the requests from ``first`` up to ``last``."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=N)
    off = (np.arange(N) >= first) & (np.arange(N) < last)
    y = 2 * x + rng.normal(size=N) + shift * off
    index = [f"{name}-{place}" for place in range(N)]
    return pd.DataFrame({"x": x, "y": y, "z": y + rng.normal(size=N)}, index=index)


def _localise(reference: pd.DataFrame, current: pd.DataFrame) -> "Localisation":
    return localise(read_graph(GRAPH), reference, current, "z")


def _suspect(current: pd.DataFrame, reference: pd.DataFrame | None = None) -> "Suspect":
    found = _localise(_window("before", 0) if reference is None else reference, current)
    assert found.suspects[0].variable == "y"
    return found.suspects[0]


def _onset(current: pd.DataFrame, reference: pd.DataFrame | None = None) -> Onset:
    onset = _suspect(current, reference).onset
    assert onset is not None
    return onset


def test_a_fault_that_begins_within_the_window_is_dated_by_its_first_request() -> None:
    onset = _onset(_window("after", 1, first=120))
    assert onset.since is Since.WITHIN
    assert onset.earliest <= 120 <= onset.latest
    assert onset.request == f"after-{onset.row}"
    assert onset.until is None


def test_a_fault_from_the_start_begins_with_the_window() -> None:
    onset = _onset(_window("after", 1, first=0))
    assert (onset.since, onset.row, onset.request) == (Since.FROM_START, 0, "after-0")


def test_a_fault_that_the_reference_holds_already_says_so() -> None:
    onset = _onset(_window("after", 1, first=0), _window("before", 0, first=200))
    assert onset.since is Since.BEFORE
    assert abs(onset.row + 100) <= 5
    assert "within the reference" in spell_since(onset)


def test_a_burst_is_over_when_it_is_over() -> None:
    onset = _onset(_window("after", 1, first=100, last=200))
    assert onset.until is not None
    assert abs(onset.until - 200) <= 3


def test_a_change_too_small_to_be_placed_is_not_dated() -> None:
    found = [_onset_or_none(_window("after", seed, first=0, shift=0.4)) for seed in range(1, 9)]
    told = [onset for onset in found if onset is not None]
    assert told
    assert any(onset.since is Since.UNCLEAR for onset in told)
    assert all(onset.since is not Since.WITHIN or onset.earliest <= 30 for onset in told)


def _onset_or_none(current: pd.DataFrame) -> Onset | None:
    suspects = _localise(_window("before", 0), current).suspects
    return suspects[0].onset if suspects else None


def test_times_come_from_the_frames() -> None:
    reference, current = _window("before", 0), _window("after", 1, first=120)
    reference.attrs["started_ms"] = tuple(STARTED_MS + 10 * place for place in range(N))
    current.attrs["started_ms"] = tuple(STARTED_MS + 60_000 + 10 * place for place in range(N))
    onset = _onset(current, reference)
    assert onset.time_ms == STARTED_MS + 60_000 + 10 * onset.row
    assert spell_since(onset).startswith("2023-11-14 22:14:21")


def test_an_index_of_times_is_as_good() -> None:
    frames = _window("before", 0), _window("after", 1, first=120)
    for frame, day in zip(frames, ("2024-05-01", "2024-05-02"), strict=True):
        frame.index = pd.date_range(day, periods=N, freq="s", tz="UTC")
    assert spell_since(_onset(frames[1], frames[0])).startswith("2024-05-02 00:0")


def test_without_times_requests_are_counted() -> None:
    onset = _onset(_window("after", 1, first=120))
    assert spell_since(onset).startswith(f"request {onset.row + 1}")


def test_the_requests_that_show_it_come_from_after_the_fault() -> None:
    suspect = _suspect(_window("after", 1, first=120))
    assert len(suspect.pairs) == 5
    assert all(int(pair.guilty.removeprefix("after-")) >= 120 for pair in suspect.pairs)
    assert all(pair.counterpart.startswith("before-") for pair in suspect.pairs)


def test_the_timeline_rises_from_the_start_of_the_fault() -> None:
    onset = _onset(_window("after", 1, first=120))
    odds = dict(zip(onset.timeline.row, onset.timeline.log10_odds, strict=True))
    assert odds[N - 1] == max(odds.values())
    assert max(value for row, value in odds.items() if row < 120) < 5.0


def test_a_table_names_the_rows_that_show_it() -> None:
    found = _localise(_window("before", 0), _window("after", 1, first=120))
    (pair, *_) = found.suspects[0].pairs
    assert (
        dict(answers(found))["show me"] == f"request {pair.guilty} beside request {pair.counterpart} of the reference"
    )


def test_a_lineage_window_says_which_command_shows_the_request() -> None:
    reference, current = _window("before", 0), _window("after", 1, first=120)
    assert _localise(reference, current).show_me == ""
    current.attrs["pipeline"] = "claims"
    found = _localise(reference, current)
    assert found.show_me == f"dfml trace {found.suspects[0].pairs[0].guilty}"
    assert found.on_log("sqlite:///a b.db").show_me.endswith("--log 'sqlite:///a b.db'")


def test_the_detailed_json_holds_all_of_it() -> None:
    found = _localise(_window("before", 0), _window("after", 1, first=120))
    told = json.loads(json.dumps(found.to_json(detail=True), allow_nan=False))
    assert told["sentence"] == found.sentence
    suspect = told["suspects"][0]
    assert (suspect["onset"]["since"], suspect["onset"]["row"]) == ("within", found.suspects[0].onset.row)  # type: ignore[union-attr]
    assert suspect["pairs"][0]["guilty"].startswith("after-")
    assert len(suspect["attribution_interval"]) == 2
    assert {item["variable"] for item in told["evidence"]} == {"x", "y", "z"}


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the recorded study is not at {DATA}")
def test_recorded_faults_that_begin_within_the_window_are_dated() -> None:
    faults = [case for case in recorded_cases(DATA) if case.condition in CONDITIONS]
    n_held, chosen = 0, faults[::5]
    for case, other in zip(chosen, faults[1::5], strict=True):
        problem = case.pose().problem
        normal = other.pose().problem.reference
        n_normal = len(normal) // 2
        current = pd.concat([normal.iloc[:n_normal], problem.current], ignore_index=True)
        onset = localise(problem.graph, problem.reference, current, problem.target).suspects[0].onset
        n_held += onset is not None and onset.earliest <= n_normal <= onset.latest
    assert n_held >= len(chosen) - 1
