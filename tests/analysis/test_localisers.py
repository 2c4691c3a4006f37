"""What every method promises: one suite, run on each."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from dfml.errors import DataError
from dfml_analysis.causal_graph import read_graph
from dfml_analysis.evaluate.simulate import Setting, Simulated, simulate
from dfml_analysis.localise import localise
from dfml_analysis.localisers import LOCALISERS
from dfml_analysis.verdict import Verdict

FAST = [name for name, method in LOCALISERS.items() if not method.slow]
SLOW = [name for name, method in LOCALISERS.items() if method.slow]
every_fast = pytest.mark.parametrize("method", FAST)


@pytest.fixture(scope="module")
def case() -> Simulated:
    return simulate(Setting("chain", 4, 200, "offset", 3.0), 3)


@every_fast
def test_it_is_a_function_of_the_problem(method: str, case: Simulated) -> None:
    answers = [localise(case.graph, case.reference, case.current, case.target, method=method, seed=2) for _ in range(2)]
    assert answers[0].suspects == answers[1].suspects


@every_fast
def test_it_leaves_its_input_as_it_was(method: str, case: Simulated) -> None:
    before = case.reference.copy(), case.current.copy(), set(case.graph.edges)
    localise(case.graph, case.reference, case.current, case.target, method=method)
    pd.testing.assert_frame_equal(case.reference, before[0])
    pd.testing.assert_frame_equal(case.current, before[1])
    assert set(case.graph.edges) == before[2]


@every_fast
def test_its_suspects_are_variables_of_the_problem_each_named_once(method: str, case: Simulated) -> None:
    answer = localise(case.graph, case.reference, case.current, case.target, method=method)
    names = [suspect.variable for suspect in answer.suspects]
    assert len(names) == len(set(names))
    assert set(names) <= set(case.graph)
    assert answer.top in case.graph


@every_fast
def test_its_scores_are_ordered_and_between_nothing_and_all(method: str, case: Simulated) -> None:
    scores = [
        suspect.score
        for suspect in localise(case.graph, case.reference, case.current, case.target, method=method).suspects
    ]
    assert all(0.0 <= score <= 1.0 for score in scores)
    assert scores == sorted(scores, reverse=True)


@every_fast
def test_only_methods_that_decide_give_a_verdict(method: str, case: Simulated) -> None:
    answer = localise(case.graph, case.reference, case.current, case.target, method=method)
    assert (answer.verdict is Verdict.UNDECIDED) == (not LOCALISERS[method].decides)


@every_fast
def test_absent_and_constant_columns_do_not_stop_it(method: str) -> None:
    rng = np.random.default_rng(0)
    frames = [pd.DataFrame({"a": rng.normal(size=40), "b": 1.0, "c": rng.normal(size=40)}) for _ in range(2)]
    for frame in frames:
        frame.loc[:9, "a"] = np.nan
    answer = localise(read_graph({"a": [], "b": ["a"], "c": ["b"]}), *frames, "c", method=method)
    assert answer.status.startswith("ok")
    assert all(not math.isnan(suspect.score) for suspect in answer.suspects)


@every_fast
def test_one_row_or_numbers_of_any_size_do_not_stop_it(method: str, case: Simulated) -> None:
    for factor in (1e-200, 1e60):
        answer = localise(case.graph, case.reference * factor, case.current * factor, case.target, method=method)
        assert answer.suspects or answer.evidence
    one = localise(case.graph, case.reference, case.current[:1], case.target, method=method)
    assert one.method == method


@every_fast
def test_unusable_data_is_a_data_error(method: str, case: Simulated) -> None:
    with pytest.raises(DataError, match="no node"):
        localise(case.graph, case.reference, case.current, "nothing", method=method)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("method", SLOW)
def test_dowhy_answers_or_says_that_it_failed(method: str) -> None:
    small = simulate(Setting("chain", 2, 30, "offset", 3.0), 1)
    answer = localise(small.graph, small.reference, small.current, small.target, method=method)
    assert answer.status == "ok"
    assert json.dumps(answer.to_json()["verdict"])
    holed = small.current.copy()
    holed.iloc[0, 0] = np.nan
    failed = localise(small.graph, small.reference, holed, small.target, method=method)
    assert failed.status.startswith("failed: DoWhy takes no absent values")
    assert failed.top is None
