"""A run's folder keeps every answer as it comes and takes one configuration."""

import csv
import io

import pytest

from dfml.errors import ConflictError
from dfml_analysis.evaluate.answer import Answer
from dfml_analysis.evaluate.journal import CASE_COLUMNS, Journal, cases_csv

CONFIGURATION = {"seeds": "0..9"}


def _answer(case: str = "seed 0") -> Answer:
    return Answer("made", "moved", case, "dfml", [["b", "c"]], True, ["b", "a"], ["b"], "fault", 0.001, 0.5)


def test_a_journal_gives_back_what_it_kept(tmp_path):
    journal = Journal(tmp_path / "run", "made", CONFIGURATION)
    journal.keep(_answer())
    assert Journal(tmp_path / "run", "made", CONFIGURATION).answers == [_answer()]


def test_a_line_cut_by_a_kill_is_asked_again(tmp_path):
    journal = Journal(tmp_path, "made", CONFIGURATION)
    journal.keep(_answer("seed 0"))
    journal.keep(_answer("seed 1"))
    lines = tmp_path / "answers.jsonl"
    lines.write_bytes(lines.read_bytes()[:-20])
    again = Journal(tmp_path, "made", CONFIGURATION)
    assert again.answers == [_answer("seed 0")]
    again.keep(_answer("seed 1"))
    assert Journal(tmp_path, "made", CONFIGURATION).of_suite == [_answer("seed 0"), _answer("seed 1")]


def test_another_configuration_of_a_suite_is_refused_and_another_suite_is_not(tmp_path):
    Journal(tmp_path, "made", CONFIGURATION).keep(_answer())
    with pytest.raises(ConflictError, match=r"holds made with seeds 0\.\.9; this run has seeds 0\.\.4"):
        Journal(tmp_path, "made", {"seeds": "0..4"})
    other = Journal(tmp_path, "other", {"seeds": "0..4"})
    assert (len(other.answers), other.of_suite) == (1, [])


def test_cases_have_the_documented_columns():
    rows = list(csv.DictReader(io.StringIO(cases_csv([_answer()]))))
    assert tuple(rows[0]) == CASE_COLUMNS
    assert (rows[0]["truth"], rows[0]["suspects"], rows[0]["p_value"]) == ("b|c", "b|a", "0.001")
