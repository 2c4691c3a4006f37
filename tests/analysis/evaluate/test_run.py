"""A run asks every method, counts every failure, and does nothing twice."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from dfml_analysis.causal_graph import read_graph
from dfml_analysis.evaluate.case import Case, Posed
from dfml_analysis.evaluate.run import Plan, ask, run
from dfml_analysis.localisers.base import Problem

if TYPE_CHECKING:
    from dfml_analysis.evaluate.answer import Answer


def _pose(seed: int, target: str = "b") -> Posed:
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(2, 40))
    frames = [pd.DataFrame({"a": a, "b": a + move}) for a, move in zip(inputs, (0.0, 5.0), strict=True)]
    return Posed(Problem(read_graph({"a": [], "b": ["a"]}), *frames, target), (frozenset({"b"}),))


def _case(seed: int, pose: Callable[[int], Posed] = _pose) -> Case:
    return Case("made", "step moved", f"seed {seed}", lambda: pose(seed))


def test_an_answer_tells_suspects_verdict_and_cost():
    answer = ask(_case(0), _pose(0), "dfml")
    assert (answer.suspects, answer.accused, answer.verdict, answer.status) == (["b"], ["b"], "fault", "ok")
    assert answer.p_value is not None and answer.p_value < 1e-6
    assert answer.seconds > 0


def test_a_method_that_raises_has_failed_and_says_why():
    answer = ask(_case(0), _pose(0, target="nothing"), "dfml")
    assert (answer.status, answer.suspects, answer.verdict) == ("failed", [], "undecided")
    assert answer.reason.startswith("DataError: target 'nothing' is no node")


def test_a_method_that_takes_too_long_has_failed(monkeypatch):
    monkeypatch.setattr("dfml_analysis.evaluate.run.rank", lambda *_, **__: time.sleep(30))
    answer = ask(_case(0), _pose(0), "dfml", limit_s=0.05)
    assert (answer.status, answer.reason) == ("failed", "TimeoutError: it took over 0.05 s")


def test_what_is_answered_is_not_asked_again():
    answers: list[Answer] = []
    cases = [_case(0), _case(1)]
    run(Plan(cases, ["dfml"]), set(), answers.append)
    posed: list[int] = []
    again = [_case(seed, lambda number: posed.append(number) or _pose(number)) for seed in range(3)]
    run(Plan(again, ["dfml"]), {answer.key for answer in answers}, answers.append)
    assert posed == [2]
    assert [answer.case for answer in answers] == ["seed 0", "seed 1", "seed 2"]


@pytest.mark.parametrize(("slow_cases", "expected"), [(0, 3), (1, 4), (None, 6)])
def test_slow_methods_come_last_and_on_the_first_cases_only(slow_cases, expected):
    plan = Plan([_case(seed) for seed in range(3)], ["dowhy_default", "dfml"], slow_cases)
    rounds = list(plan.rounds())
    assert [methods for _, methods in rounds[:3]] == [("dfml",)] * 3
    assert len(rounds) == plan.n_answers == expected
