"""A run's folder keeps every answer as it comes and takes one configuration."""

import csv
import io

import pytest

from dfml.errors import ConflictError
from dfml_analysis.evaluate.answer import Answer
from dfml_analysis.evaluate.journal import CASE_COLUMNS, Journal, cases_csv

CONFIGURATION = {"suite": "made", "seeds": "0..9"}


def _answer(case: str = "seed 0") -> Answer:
    return Answer("made", "moved", case, "dfml", [["b", "c"]], True, ["b", "a"], ["b"], "fault", 0.001, 0.5)


def test_a_journal_gives_back_what_it_kept(tmp_path):
    journal = Journal(tmp_path / "run", CONFIGURATION)
    journal.keep(_answer())
    assert Journal(tmp_path / "run", CONFIGURATION).answers == [_answer()]


def test_a_line_cut_by_a_kill_is_asked_again(tmp_path):
    journal = Journal(tmp_path, CONFIGURATION)
    journal.keep(_answer("seed 0"))
    journal.keep(_answer("seed 1"))
    lines = tmp_path / "answers.jsonl"
    lines.write_bytes(lines.read_bytes()[:-20])
    again = Journal(tmp_path, CONFIGURATION)
    assert again.done == {_answer("seed 0").key}
    again.keep(_answer("seed 1"))
    assert Journal(tmp_path, CONFIGURATION).done == {_answer("seed 0").key, _answer("seed 1").key}


def test_another_configuration_is_refused(tmp_path):
    Journal(tmp_path, CONFIGURATION)
    with pytest.raises(ConflictError, match=r"holds a run with seeds 0\.\.9; this one has seeds 0\.\.4"):
        Journal(tmp_path, {"suite": "made", "seeds": "0..4"})


def test_cases_have_the_documented_columns():
    rows = list(csv.DictReader(io.StringIO(cases_csv([_answer()]))))
    assert tuple(rows[0]) == CASE_COLUMNS
    assert (rows[0]["truth"], rows[0]["suspects"], rows[0]["p_value"]) == ("b|c", "b|a", "0.001")
