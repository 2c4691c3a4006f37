"""The recorded suite runs on whatever repeats its folder holds."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from dfml.errors import DataError
from dfml_analysis.evaluate.run import Plan, run
from dfml_analysis.evaluate.scores import score
from dfml_analysis.evaluate.suites.recorded import SCIPIPE, recorded_cases

if TYPE_CHECKING:
    from dfml_analysis.evaluate.answer import Answer

ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get("DFML_SHARED_DATA", ROOT.parent / "shared" / "data")) / "causal-faults"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the recorded study is not at {DATA}")


@needs_data
def test_the_own_method_finds_every_culprit_and_leaves_normal_pairs_alone():
    answers: list[Answer] = []
    cases = [case for case in recorded_cases(DATA) if "1/5" not in case.condition]
    run(Plan(cases, ["dfml"]), set(), answers.append)
    for item in score(answers):
        assert item.top1 is None or item.top1.value == 1.0
        assert item.alarms is None or item.alarms.hits == 0


@needs_data
def test_a_folder_with_some_repeats_of_one_pipeline_is_enough(tmp_path):
    table = pd.read_csv(DATA / "scipipe.csv")
    table[table.repeat.isin([4, 9])].assign(repeat=lambda rows: rows.repeat + 10).to_csv(tmp_path / "scipipe.csv")
    names = {case.name for case in recorded_cases(tmp_path)}
    assert names == {"repeat 14", "repeat 19", "repeats 14 and 19", "repeats 19 and 14"}


@needs_data
def test_thinned_windows_have_every_fifth_row():
    whole, thin = (
        next(case for case in recorded_cases(DATA) if case.condition == name).pose().problem
        for name in ("scipipe break-count1", "scipipe break-count1, 1/5 of the rows")
    )
    assert len(thin.reference) == -(-len(whole.reference) // 5)
    assert thin.current.iloc[1].to_dict() == whole.current.iloc[5].to_dict()


def test_a_folder_without_recordings_is_refused_with_what_was_expected_and_found(tmp_path):
    (tmp_path / "other.csv").touch()
    with pytest.raises(DataError, match=r"expected scipipe\.csv .* found other\.csv"):
        recorded_cases(tmp_path)


def test_a_recording_without_a_column_names_it(tmp_path):
    names = [name for name in SCIPIPE.parents if name != "gcsum"]
    (tmp_path / "scipipe.csv").write_text(",".join(["mode", "repeat", *names]) + "\n")
    with pytest.raises(DataError, match=r"scipipe\.csv: the columns gcsum are missing"):
        recorded_cases(tmp_path)
