"""``dfml evaluate`` keeps what it answers, goes on from it, and refuses what does not fit."""

import csv
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfml_analysis.evaluate.suites.recorded import SCIPIPE
from dfml_analysis.localise import rank

pytestmark = pytest.mark.timeout(180)
"""Figures are drawn at the end of each run."""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Write two normal repeats and one broken one of the pipeline whose table is a single file."""
    rng = np.random.default_rng(0)
    tables = []
    for mode, repeat, most in (("normal", 1, 100), ("normal", 2, 100), ("break-count1", 1, 10)):
        table = pd.DataFrame({"count1": rng.integers(1, most, 40), "count2": rng.integers(1, 100, 40)}, dtype=float)
        for name, parents in list(SCIPIPE.parents.items())[2:]:
            table[name] = table[parents].sum(axis=1) + rng.normal(size=40)
        tables.append(table.assign(mode=mode, repeat=repeat))
    (tmp_path / "study").mkdir()
    pd.concat(tables).to_csv(tmp_path / "study" / "scipipe.csv", index=False)
    return tmp_path / "study"


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_every_case_and_method_has_a_row(run_alone, study, tmp_path):
    done = run_alone(
        "evaluate", "--suite", "recorded", "--data", study, "--methods", "dfml,random", "--out", tmp_path / "out"
    )
    assert done.code == 0, done.err
    assert "scipipe break-count1" in done.out
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"scores.csv", "recorded.html", "recorded-methods.png", "recorded-conditions.png", "answers.jsonl"} <= made
    rows = _rows(tmp_path / "out" / "cases.csv")
    assert {row["method"] for row in rows} == {"dfml", "random"}
    found = next(row for row in rows if (row["method"], row["condition"]) == ("dfml", "scipipe break-count1"))
    assert (found["truth"], found["suspects"].split("|")[0], found["verdict"]) == ("count1", "count1", "input_shift")
    assert {row["truth"] for row in rows if "normal" in row["condition"]} == {""}


def test_a_run_is_taken_up_where_it_was_and_gets_more_methods(run_alone, study, tmp_path):
    options = ("evaluate", "--suite", "recorded", "--data", study, "--out", tmp_path / "out", "-o", "json")
    run_alone(*options, "--methods", "nsigma")
    before = _rows(tmp_path / "out" / "cases.csv")
    scores = run_alone(*options, "--methods", "nsigma,first_node").data
    assert {item["method"] for item in scores} == {"nsigma", "first_node"}
    after = _rows(tmp_path / "out" / "cases.csv")
    assert after[: len(before)] == before
    assert len(after) == 2 * len(before)


def test_a_folder_takes_one_configuration(run_alone, study, tmp_path):
    options = ("evaluate", "--suite", "recorded", "--data", study, "--methods", "nsigma", "--out", tmp_path / "out")
    run_alone(*options)
    found = run_alone(*options, "--quick")
    assert found.code == 1
    assert "holds recorded with quick False; this run has quick True" in found.err


def test_what_does_not_fit_is_wrong_usage(run_alone, study):
    for wrong, told in (
        (("--suite", "recorded", "--data", study.parent), "expected scipipe.csv"),
        (("--suite", "recorded", "--data", study, "--methods", "no"), "method 'no' does not exist"),
        (("--suite", "recorded", "--data", study, "--seeds", "9..1"), "--seeds 9..1"),
        (("--suite", "recorded", "--data", study, "--condition", "no*"), "expected some of: scipipe break-count1;"),
        (("--suite", "simulated", "--data", study), "makes its own cases"),
    ):
        found = run_alone("evaluate", *wrong)
        assert (found.code, told in found.err) == (2, True), found.err


def test_simulated_conditions_are_chosen_by_name_and_seeds_by_the_split(run_alone, tmp_path):
    options = (
        "--suite",
        "simulated",
        "--quick",
        "--methods",
        "nsigma",
        "--condition",
        "offset*weak",
        "--split",
        "test",
    )
    done = run_alone("evaluate", *options, "--out", tmp_path / "out")
    assert done.code == 0, done.err
    cases = {(row["condition"], row["case"]) for row in _rows(tmp_path / "out" / "cases.csv")}
    assert cases == {("offset, weak", "seed 1000"), ("offset, weak", "seed 1001")}


def test_ctrl_c_loses_nothing_that_was_answered(run_alone, study, tmp_path, monkeypatch):
    options = ("evaluate", "--suite", "recorded", "--data", study, "--methods", "first_node", "--out", tmp_path / "out")
    asked = itertools.count()

    def rank_until_stopped(problem, method):
        if next(asked) == 3:
            raise KeyboardInterrupt
        return rank(problem, method)

    with monkeypatch.context() as patched:
        patched.setattr("dfml_analysis.evaluate.run.rank", rank_until_stopped)
        stopped = run_alone(*options)
    assert stopped.code == 130
    assert "the same command goes on from here" in stopped.err
    assert len(_rows(tmp_path / "out" / "cases.csv")) == 2, "the first was the warm-up"
    assert run_alone(*options).code == 0
    assert len(_rows(tmp_path / "out" / "cases.csv")) == 6
