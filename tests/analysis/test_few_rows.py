"""Short windows: one bad request, or some minutes of metrics, against many normal rows."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfml_analysis.causal_graph import read_graph
from dfml_analysis.evaluate.case import Case
from dfml_analysis.evaluate.suites.petshop import petshop_cases
from dfml_analysis.few_rows import are_few
from dfml_analysis.localisation import Localisation
from dfml_analysis.localise import localise
from dfml_analysis.verdict import ALPHA_WINDOW, Verdict

CHAIN = read_graph({"a": [], "b": ["a"], "c": ["b"]})
PETSHOP = Path(os.environ.get("DFML_PETSHOP", Path(__file__).parents[3] / "shared" / "data" / "petshop"))


def _window(n: int, seed: int, offset: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=n)
    b = np.sin(2 * a) + (0.3 + 0.1 * np.abs(a)) * (rng.normal(size=n) + offset)
    return pd.DataFrame({"a": a, "b": b, "c": b**2 + 0.2 * rng.normal(size=n)})


def _explain(current: pd.DataFrame, n: int = 400) -> Localisation:
    return localise(CHAIN, _window(n, 0), current, "c")


@pytest.mark.parametrize("n_rows", [1, 3, 20])
def test_the_step_that_is_surprising_given_its_parents_is_blamed(n_rows: int) -> None:
    answers = [_explain(_window(n_rows, seed, offset=8.0)) for seed in range(10, 20)]
    assert sum(answer.top == "b" for answer in answers) >= 8
    assert sum(answer.verdict is Verdict.FAULT for answer in answers) >= 7


@pytest.mark.parametrize("n_rows", [1, 3, 20])
def test_normal_rows_are_left_alone(n_rows: int) -> None:
    answers = [_explain(_window(n_rows, seed)) for seed in range(100, 150)]
    # 2 % of 50 windows is one; five or more have a chance of 0.3 %.
    assert sum(bool(answer.flagged) for answer in answers) < 5


def test_what_would_not_raise_an_alarm_is_not_accused_by_one() -> None:
    answers = [_explain(_window(n_rows, seed, offset=8.0)) for n_rows in (1, 3) for seed in range(10, 20)]
    alarming = [answer for answer in answers if answer.verdict in {Verdict.FAULT, Verdict.INPUT_SHIFT}]
    assert alarming
    for answer in alarming:
        assert answer.flagged == {item.variable for item in answer.suspects if item.p_value <= ALPHA_WINDOW}


def test_an_input_that_was_never_so_large_is_an_input_shift() -> None:
    current = _window(1, 1)
    current.loc[0, "a"] = 9.0
    answer = _explain(current)
    assert (answer.verdict, answer.top) == (Verdict.INPUT_SHIFT, "a")


def test_an_answer_that_was_never_missing_is_a_surprise() -> None:
    current = _window(1, 3)
    current.loc[0, "c"] = np.nan
    assert _explain(current, 1000).top == "c"


def test_a_text_that_was_never_seen_is_a_surprise() -> None:
    reference, current = _window(400, 0), _window(1, 1)
    reference["a"], current["a"] = np.resize(["red", "green"], 400), "blue"
    assert localise(CHAIN, reference, current, "c").top == "a"


def test_only_windows_far_shorter_than_the_reference_are_short() -> None:
    assert are_few(50, 1)
    assert are_few(290, 29)
    assert not are_few(49, 1)
    assert not are_few(289, 29)
    assert not are_few(10_000, 30)


def test_a_variable_that_remembers_is_compared_with_the_row_before() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=420)
    noise[400:] += 4.0
    level = np.zeros(420)
    for row in range(1, 420):
        level[row] = 0.95 * level[row - 1] + noise[row]
    frame = pd.DataFrame({"a": level, "b": level + rng.normal(size=420)})
    answer = localise(read_graph({"a": [], "b": ["a"]}), frame[:400], frame[400:], "b")
    assert answer.top == "a"
    assert answer.suspects[0].p_value < 0.02


def test_the_services_at_fault_in_the_shop_are_found() -> None:
    if not PETSHOP.is_dir():
        pytest.skip(f"{PETSHOP} is absent: set DFML_PETSHOP to the folder of the PetShop data set")
    cases = [case for case in petshop_cases(PETSHOP, "train") if "no issue" not in case.condition]
    places = [_place(case) for case in cases[::4]]
    assert sum(place == 0 for place in places) >= len(places) - 1
    assert max(places) < 3


def _place(case: Case) -> int:
    posed = case.pose()
    problem = posed.problem
    answer = localise(problem.graph, problem.reference, problem.current, problem.target)
    return [suspect.variable for suspect in answer.suspects].index(posed.truth[0])


@pytest.mark.parametrize(
    ("column", "value"),
    [("a", np.inf), ("a", np.nan), ("b", 1e80), ("b", -np.inf), ("c", -np.inf)],
)
def test_a_value_that_is_no_number_or_beyond_all_is_a_surprise(column: str, value: float) -> None:
    current = _window(1, 1)
    current.loc[0, column] = value
    assert _explain(current, 1000).top == column


def test_a_column_that_never_varied_and_now_does_is_a_surprise() -> None:
    reference, current = _window(400, 0).assign(b=1.0), _window(1, 3).assign(b=2.0)
    answer = localise(CHAIN, reference, current, "c")
    assert answer.evidence[1].p_value == min(item.p_value for item in answer.evidence)


def test_columns_without_a_value_or_that_never_vary_do_not_stop_it() -> None:
    frames = [_window(n, seed).assign(a=1.0, b=np.nan) for n, seed in ((400, 0), (2, 1))]
    answer = localise(CHAIN, *frames, "c")
    assert answer.status == "ok; no data for b"
    assert answer.verdict is Verdict.NO_CHANGE


def _two_answers(n: int, seed: int, offset: float, *, together: bool) -> pd.DataFrame:
    """A step that answers two numbers: the second computed with the first, or each on its own."""
    rng = np.random.default_rng(seed)
    asked = rng.normal(size=n)
    first = asked + rng.normal(size=n) + offset
    second = 2 * first + 1 if together else asked + rng.normal(size=n) + offset
    return pd.DataFrame({"p.inputs.x": asked, "s.outputs.a": first, "s.outputs.b": second})


@pytest.mark.parametrize(("together", "n_accused"), [(True, 1), (False, 2)])
def test_of_one_steps_answers_those_that_show_the_same_are_one_suspect(together: bool, n_accused: int) -> None:
    graph = read_graph({"p.inputs.x": [], "s.outputs.a": ["p.inputs.x"], "s.outputs.b": ["p.inputs.x"]})
    right = 0
    for seed in range(10):
        windows = (_two_answers(400, 0, 0.0, together=together), _two_answers(10, seed + 1, 6.0, together=together))
        answer = localise(graph, *windows, "s.outputs.b")
        also = {name for item in answer.accused for name in item.also}
        right += len(answer.flagged) == n_accused and answer.flagged | also == {"s.outputs.a", "s.outputs.b"}
    assert right >= 8


@pytest.mark.parametrize("n_rows", [5, 20])
def test_the_accused_step_of_a_short_window_has_its_part_with_an_interval(n_rows: int) -> None:
    graph = read_graph({"a": [], "b": ["a"], "c": ["b"]})

    def window(n: int, seed: int, offset: float) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        a = rng.normal(size=n)
        b = a + rng.normal(size=n) / 2 + offset
        return pd.DataFrame({"a": a, "b": b, "c": 2 * b + rng.normal(size=n) / 2})

    held = 0
    for seed in range(20):
        part = localise(graph, window(400, 0, 0.0), window(n_rows, seed + 1, 3.0), "c").suspects[0]
        assert part.attribution_interval is not None, "it adds 2 x 3 to c"
        held += part.variable == "b" and part.attribution_interval[0] <= 6.0 <= part.attribution_interval[1]
    assert held >= 16, "of 20 at 0.95, fewer than 16 have a chance of 0.3 %"


def test_fewer_than_five_rows_share_nothing_out() -> None:
    answer = _explain(_window(4, 11, offset=8.0))
    assert answer.flagged
    assert all(item.attribution is None for item in answer.suspects)


def test_a_reader_is_shown_the_accused_and_not_what_is_ranked_behind_them() -> None:
    answer = _explain(_window(20, 11, offset=8.0))
    assert len(answer.suspects) > len(answer.accused) > 0
    assert answer.for_readers().suspects == answer.accused
    assert answer._repr_html_().count("<tr>") == 1 + len(answer.accused)
