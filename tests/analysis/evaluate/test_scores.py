"""Scores count what they say they count."""

import csv
import io

import pytest

from dfml_analysis.evaluate.answer import Answer
from dfml_analysis.evaluate.intervals import wilson
from dfml_analysis.evaluate.scores import score, scores_csv


def _answer(case: str, suspects: list[str], culprits: list[list[str]], **told: object) -> Answer:
    values = {"decides": True, "verdict": "fault", "seconds": 1.0, "accused": suspects} | told
    return Answer("made", "c", case, str(values.pop("method", "dfml")), culprits, suspects=suspects, **values)  # type: ignore[arg-type]


def test_hits_false_flags_and_failures_are_counted():
    hit = _answer("0", ["a", "x"], [["a"]], accused=["a"])
    third = _answer("1", ["x", "y", "a"], [["a"]])
    failure = _answer("2", [], [["a"]], status="failed", verdict="undecided")
    (found,) = score([hit, third, failure])
    assert (found.n, found.failed) == (3, 1)
    assert (found.top1.hits, found.top3.hits, found.false_flags.hits) == (1, 2, 1)
    assert found.avg5 == pytest.approx((1.0 + 3 / 5 + 0.0) / 3)


def test_any_step_of_a_component_is_right_and_every_component_is_wanted():
    (found,) = score([_answer("0", ["a2", "x"], [["a1", "a2"], ["b"]])])
    assert (found.top1.hits, found.all_found.hits) == (1, 0)
    assert (found.recall, found.precision) == (0.5, 0.5)


def test_controls_count_alarms_alone():
    (found,) = score([_answer("0", ["a"], []), _answer("1", [], [], verdict="no_change")])
    assert (found.alarms.hits, found.alarms.n) == (1, 2)
    assert found.top1 is None


def test_the_time_ratio_is_that_of_the_same_cases():
    own = [_answer("0", ["a"], [["a"]], seconds=0.1), _answer("1", ["a"], [["a"]], seconds=0.5)]
    slow = _answer("1", ["a"], [["a"]], seconds=50.0, method="slow")
    assert [item.time_ratio for item in score([*own, slow])] == [1.0, 100.0]


def test_dfml_is_compared_on_the_cases_that_the_other_was_given():
    own = [_answer("0", ["x"], [["a"]]), _answer("1", ["a"], [["a"]])]
    mine, other = score([*own, _answer("1", ["x"], [["a"]], method="slow")])
    assert (mine.top1.value, other.top1.value, other.own_top1.value) == (0.5, 0.0, 1.0)


def test_a_method_that_only_ranks_raises_no_alarms():
    (found,) = score([_answer("0", ["a"], [], decides=False, verdict="undecided")])
    assert found.alarms is None


def test_shares_stand_in_the_table_with_their_interval():
    (row,) = csv.DictReader(io.StringIO(scores_csv(score([_answer("0", ["a"], [["a"]])]))))
    assert float(row["top1"]) == 1.0
    assert float(row["top1_low"]) == pytest.approx(wilson(1, 1)[0])
    assert row["recall"] == "1.0"


def test_wilson_interval_never_leaves_zero_to_one():
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(10, 10)[1] == pytest.approx(1.0)
    assert wilson(0, 10)[0] == pytest.approx(0.0, abs=1e-12)
