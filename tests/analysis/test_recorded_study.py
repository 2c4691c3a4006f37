"""The recorded study runs on whatever repeats its folder holds."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from experiments.recorded_study.cases import NORMAL, read_cases
from experiments.recorded_study.scoring import wilson

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("DFML_SHARED_DATA", ROOT.parent / "shared" / "data")) / "causal-faults"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the recorded study is not at {DATA}")


def _study(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "experiments.recorded_study", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=50)


@needs_data
def test_the_own_method_finds_every_culprit_and_leaves_normal_pairs_alone(tmp_path: Path) -> None:
    done = _study("--data", str(DATA), "--methods", "dfml", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    scores = pd.read_csv(tmp_path / "scores.csv")
    columns = ["method", "system", "condition", "hits", "n", "alarms", "n_control", "median_seconds"]
    assert list(scores.columns) == columns
    assert (scores.hits == scores.n).all()
    assert (scores.alarms == 0).all()
    assert (tmp_path / "scores.png").stat().st_size > 0


@needs_data
def test_a_folder_with_some_repeats_of_one_system_is_enough(tmp_path: Path) -> None:
    table = pd.read_csv(DATA / "scipipe.csv")
    table[table.repeat.isin([4, 9])].assign(repeat=lambda rows: rows.repeat + 10).to_csv(tmp_path / "scipipe.csv")
    cases = read_cases(tmp_path)
    assert {case.repeat for case in cases} == {14, 19}
    assert [case.condition for case in cases].count(NORMAL) == 2


def test_a_folder_without_recordings_is_refused_with_a_reason(tmp_path: Path) -> None:
    done = _study("--data", str(tmp_path))
    assert done.returncode == 2
    assert "scipipe.csv" in done.stderr


def test_wilson_interval_never_leaves_zero_to_one() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(10, 10)[1] == pytest.approx(1.0)
    assert wilson(0, 10)[0] == pytest.approx(0.0, abs=1e-12)
