"""The front door: what it answers, and what it says of data that cannot be used."""

import io
import json
from collections.abc import Callable

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from dfml.errors import DataError
from dfml_analysis.causal_graph import read_graph
from dfml_analysis.columns import Kind
from dfml_analysis.evaluate.simulate import Setting, simulate
from dfml_analysis.localisation_plot import LINE_LETTERS
from dfml_analysis.localise import localise
from dfml_analysis.verdict import Verdict
from dfml_analysis.wording import spell_p_is

GRAPH = {"x": [], "y": ["x"], "z": ["x", "y"]}


@pytest.fixture
def graph() -> nx.DiGraph:
    return read_graph(GRAPH)


def _frame(n: int = 50, seed: int = 0, **columns: object) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = 2 * x + rng.normal(size=n)
    return pd.DataFrame({"x": x, "y": y, "z": y - x + rng.normal(size=n)}).assign(**columns)


class _Copied:
    """Counts how often it is copied."""

    def __init__(self) -> None:
        self.n_times = 0

    def __deepcopy__(self, memo: object) -> "_Copied":
        self.n_times += 1
        return self


def test_the_attributes_of_a_window_are_not_copied_with_each_column() -> None:
    made = simulate(Setting("chain", 40, 200, "offset"), 0)
    copied = _Copied()
    for window in (made.reference, made.current):
        window.attrs["noted"] = copied
    assert localise(made.graph, made.reference, made.current, made.target).verdict is Verdict.FAULT
    assert copied.n_times < 40
    assert made.current.attrs["noted"] is copied


def test_what_is_printed_is_what_stands_on_the_terminal(graph: nx.DiGraph) -> None:
    current = _frame(200, 1)
    current["y"] += 3.0
    found = localise(graph, _frame(200), current, "z")
    drawn = Console(width=100, file=io.StringIO(), color_system=None)
    with drawn.capture() as terminal:
        drawn.print(found)
    assert str(found).splitlines() == [line.rstrip() for line in terminal.get().splitlines()]
    assert str(found).startswith(found.sentence)


def test_the_json_has_the_agreed_keys_and_is_json(graph: nx.DiGraph) -> None:
    current = _frame(200, 1)
    current["y"] += 3.0
    answer = localise(graph, _frame(200), current, "z", seed=5).to_json()
    assert list(answer) == ["verdict", "suspects", "method", "seed", "seconds", "status"]
    assert list(answer["suspects"][0]) == ["step", "variable", "kind", "score", "p_value"]
    assert json.loads(json.dumps(answer, allow_nan=False))["suspects"][0]["variable"] == "y"
    assert (answer["verdict"], answer["seed"]) == ("fault", 5)


@pytest.mark.parametrize(
    "fault", ["input", "spread", "offset", "sign", "scale", "stuck", "missing", "rounded", "stale"]
)
def test_each_simulated_fault_is_found(fault: str) -> None:
    cases = [simulate(Setting("random", 9, 500, fault), seed) for seed in range(6)]
    answers = [localise(case.graph, case.reference, case.current, case.target) for case in cases]
    hits = sum(answer.top in case.broken for answer, case in zip(answers, cases, strict=True))
    assert hits >= 5


def test_simulated_normal_windows_are_left_alone() -> None:
    cases = [simulate(Setting("random", 9, 300, "none"), seed) for seed in range(100, 130)]
    alarms = sum(bool(localise(case.graph, case.reference, case.current, case.target).flagged) for case in cases)
    assert alarms <= 2, "at one in a hundred, three or more of thirty have a probability of 0.003"


def test_the_same_problem_has_the_same_answer(graph: nx.DiGraph) -> None:
    current = _frame(100, 1)
    current["x"] += 2.0
    first, second = (localise(graph, _frame(100), current, "z", seed=3) for _ in range(2))
    assert first.suspects == second.suspects


def test_a_changed_root_alone_is_an_input_shift(graph: nx.DiGraph) -> None:
    rng = np.random.default_rng(7)
    x = rng.normal(1.0, 1.0, 300)
    y = 2 * x + rng.normal(size=300)
    current = pd.DataFrame({"x": x, "y": y, "z": y - x + rng.normal(size=300)})
    answer = localise(graph, _frame(300), current, "z")
    assert answer.verdict is Verdict.INPUT_SHIFT
    assert [(suspect.variable, suspect.kind) for suspect in answer.suspects] == [("x", Kind.INPUT)]


def test_a_step_and_an_input_that_both_changed_are_a_fault_with_the_step_first(graph: nx.DiGraph) -> None:
    rng = np.random.default_rng(8)
    x = rng.normal(1.0, 1.0, 300)
    y = 2 * x + 2.0 + rng.normal(size=300)
    current = pd.DataFrame({"x": x, "y": y, "z": y - x + rng.normal(size=300)})
    answer = localise(graph, _frame(300), current, "z")
    assert answer.verdict is Verdict.FAULT
    assert [suspect.variable for suspect in answer.suspects] == ["y", "x"]


@pytest.mark.parametrize(
    ("reference", "current", "target", "said"),
    [
        (_frame(0), _frame(), "z", "0 rows"),
        (_frame(), _frame().add_prefix("q"), "z", "share no column"),
        (_frame(), _frame(), "q", "no node of the graph"),
        (_frame().drop(columns="z"), _frame(), "z", "not a column of both"),
        (_frame(z=np.nan), _frame(z=np.nan), "z", "no value in either"),
        (_frame(y=[[1, 2]] * 50), _frame(), "z", "holds list"),
        (_frame(y=pd.Timestamp("2024-01-01")), _frame(y=pd.Timestamp("2024-01-01")), "z", "holds datetime"),
        (pd.concat([_frame(), _frame()], axis=1), _frame(), "z", "more than once"),
        (_frame(y=1j), _frame(), "z", "holds complex128"),
        (_frame()[[]], _frame(), "z", "0 columns"),
        (_frame().to_numpy(), _frame(), "z", "of type ndarray; expected a DataFrame"),
    ],
)
def test_unusable_data_is_refused_with_its_reason(
    graph: nx.DiGraph, reference: pd.DataFrame, current: pd.DataFrame, target: str, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        localise(graph, reference, current, target)


def test_an_unknown_method_is_refused_with_the_known_ones(graph: nx.DiGraph) -> None:
    with pytest.raises(DataError, match="marginal_ks"):
        localise(graph, _frame(), _frame(), "z", method="magic")


@pytest.mark.parametrize("n", [1, 4])
def test_too_few_rows_are_undecided(graph: nx.DiGraph, n: int) -> None:
    answer = localise(graph, _frame(40), _frame(n), "z")
    assert answer.verdict is Verdict.UNDECIDED
    assert "too few rows" in answer.status


def test_a_negative_seed_is_refused(graph: nx.DiGraph) -> None:
    with pytest.raises(DataError, match="seed -1: expected 0 or more"):
        localise(graph, _frame(), _frame(), "z", seed=-1)


@pytest.mark.parametrize("of_number", [str, lambda _: "none"])
def test_text_where_numbers_were_is_a_fault_of_its_step(graph: nx.DiGraph, of_number: Callable[[float], str]) -> None:
    reference, current = _frame(200), _frame(200, 1)
    current["y"] = [of_number(value) if row % 2 else "broken" for row, value in enumerate(current.y)]
    for windows in ((reference, current), (current, reference)):
        answer = localise(graph, *windows, "z")
        assert (answer.verdict, answer.top) == (Verdict.FAULT, "y")


def test_a_column_that_is_empty_in_one_window_is_a_fault_of_its_step(graph: nx.DiGraph) -> None:
    answer = localise(graph, _frame(100), _frame(100, 1, y=np.nan), "z")
    assert (answer.verdict, answer.top) == (Verdict.FAULT, "y")


def test_where_some_cannot_be_compared_the_sentence_claims_no_more(graph: nx.DiGraph) -> None:
    answer = localise(graph, _frame(5), _frame(5, 1), "z")
    assert answer.sentence == "Nothing changed that can be told; y, z cannot be compared."


def test_very_large_and_very_small_numbers_are_compared_alike(graph: nx.DiGraph) -> None:
    for size in (1.0, 1e90, 1e-90):
        current = _frame(100, 1)
        current["y"] += 5.0
        assert localise(graph, _frame(100) * size, current * size, "z").top == "y"


def test_constant_columns_and_a_constant_target_are_no_change(graph: nx.DiGraph) -> None:
    answer = localise(graph, _frame(y=1.0, z=2.0), _frame(50, 1, y=1.0, z=2.0), "z")
    assert answer.verdict is Verdict.NO_CHANGE


def test_a_node_without_data_is_passed_over_and_named(graph: nx.DiGraph) -> None:
    answer = localise(graph, _frame(y=np.nan), _frame(50, 1, y=np.nan), "z")
    assert answer.verdict is Verdict.NO_CHANGE
    assert "no data for y" in answer.status


def test_infinite_answers_are_a_fault_of_their_step(graph: nx.DiGraph) -> None:
    current = _frame(100, 1)
    current.loc[current.x < 0, "y"] = np.inf
    answer = localise(graph, _frame(100), current, "z")
    assert answer.top == "y"
    assert answer.verdict is Verdict.FAULT


def test_text_and_numbers_in_one_column_are_classes(graph: nx.DiGraph) -> None:
    def mixed(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(y=["none" if value > 0 else 1 for value in frame.x])

    assert localise(graph, mixed(_frame(100)), mixed(_frame(100, 1)), "z").verdict is not Verdict.FAULT


def test_windows_that_share_no_parents_say_so(graph: nx.DiGraph) -> None:
    far = _frame(100, 1)
    far[["x", "y", "z"]] += [100.0, 200.0, 100.0]
    answer = localise(graph, _frame(100), far, "z")
    assert answer.verdict is Verdict.INPUT_SHIFT
    assert "cannot tell for y" in answer.status


def test_every_rendering_names_the_suspect(graph: nx.DiGraph) -> None:
    current = _frame(200, 1)
    current["y"] += 3.0
    answer = localise(graph, _frame(200), current, "z")
    console = Console(width=80)
    with console.capture() as printed:
        console.print(answer)
    assert "Fault in y: it answers differently (mean " in printed.get()
    table = answer.to_frame()
    assert table.loc[0, "variable"] == "y"
    assert answer.by_step()["step"].tolist()[0] == "y"
    assert answer.by_step()["score"].tolist()[2] == 0.0, "nothing is suspected of x"
    assert "y" in answer._repr_html_()  # noqa: SLF001
    labels = [label.get_text() for label in answer.plot().get_yticklabels()]
    assert "y (value)" in labels


def test_a_figure_has_room_for_its_bars_whatever_the_names() -> None:
    names = {"x": "service/" + "x" * 60, "y": "service/" + "y" * 60}
    graph = read_graph({names["x"]: [], names["y"]: [names["x"]]})
    frames = [_frame(200)[["x", "y"]].rename(columns=names) for _ in range(2)]
    frames[1][names["y"]] += 3.0
    answer = localise(graph, *frames, names["y"])
    ax = answer.plot()
    figure = ax.figure
    figure.savefig(io.BytesIO())
    assert ax.get_position().width > 0.4
    assert ax.texts[0].get_text() == spell_p_is(answer.suspects[0].p_value)
    assert max(map(len, figure.get_suptitle().splitlines())) <= LINE_LETTERS


def test_a_timeline_of_nothing_is_a_sentence_without_axes(graph: nx.DiGraph) -> None:
    ax = localise(graph, _frame(200), _frame(200, 1), "z").plot_timeline()
    assert not ax.axison
    assert ax.figure.get_suptitle() == "Nothing changed."


def test_a_million_rows_are_answered_from_some_of_them() -> None:
    rng = np.random.default_rng(0)
    windows = []
    for offset in (0.0, 0.1):
        x = rng.normal(size=1_000_000)
        windows.append(pd.DataFrame({"x": x, "y": x + offset + rng.normal(size=x.size)}))
    answer = localise(read_graph({"x": [], "y": ["x"]}), *windows, "y")
    assert (answer.verdict, answer.top) == (Verdict.FAULT, "y")


def test_long_windows_are_answered_as_short_ones_are_with_every_test_in_a_thread_of_its_own() -> None:
    frames = [_frame(6000, 1), _frame(6000, 2)]
    frames[1]["y"] += 1.0
    frames[1]["z"] += 1.0
    answer = localise(read_graph({"x": [], "y": ["x"], "z": ["x", "y"]}), *frames, "z")
    assert [item.variable for item in answer.evidence] == ["x", "y", "z"]
    assert "y" in answer.flagged
