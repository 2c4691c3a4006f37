import networkx as nx
import numpy as np
import pandas as pd
import pytest

from dfml_analysis.columns import Kind
from dfml_analysis.guilty import guilty_pairs
from dfml_analysis.localisation import Suspect

GRAPH = nx.DiGraph([("x", "y")])


def frame(name: str, x: list[float], y: list[object]) -> pd.DataFrame:
    return pd.DataFrame({"x": x, "y": y}, index=[f"{name}{index}" for index in range(len(x))])


def suspect(variable: str = "y", kind: Kind = Kind.VALUE) -> Suspect:
    return Suspect(variable, variable, kind, 1.0, 0.0)


def test_the_pair_was_asked_alike_and_answered_differently() -> None:
    before, after = frame("b", [1, 2, 3], [1, 2, 3]), frame("a", [1, 2, 3], [1, 9, 3])
    (pair,) = guilty_pairs(GRAPH, before, after, suspect())
    assert (pair.guilty, pair.counterpart) == ("a1", "b1")


def test_the_most_telling_pairs_come_first_and_equal_ones_not_at_all() -> None:
    before, after = frame("b", [1, 2, 3], [1, 2, 3]), frame("a", [1, 2, 3], [2, 9, 3])
    assert [pair.guilty for pair in guilty_pairs(GRAPH, before, after, suspect(), 3)] == ["a1", "a0"]


def test_a_latency_is_guilty_upwards_only() -> None:
    before, after = frame("b", [1, 2], [5, 6]), frame("a", [1, 2], [0, 9])
    assert [pair.guilty for pair in guilty_pairs(GRAPH, before, after, suspect(kind=Kind.LATENCY), 2)] == ["a1"]


def test_an_answer_that_vanished_is_a_difference() -> None:
    before, after = frame("b", [1, 2, 3], [1, 2, 3]), frame("a", [1, 2, 3], [1, np.nan, 3])
    assert guilty_pairs(GRAPH, before, after, suspect())[0].guilty == "a1"


def test_texts_are_compared_as_classes() -> None:
    before, after = frame("b", [1, 2], ["simple", "complex"]), frame("a", [1, 2], ["simple", "simple"])
    assert [pair.guilty for pair in guilty_pairs(GRAPH, before, after, suspect(), 2)] == ["a1"]


def test_a_variable_without_parents_is_compared_beside_the_other_inputs() -> None:
    graph = nx.DiGraph([("x", "y"), ("u", "y")])
    before, after = frame("b", [1, 2], [0, 0]), frame("a", [1, 50], [0, 0])
    for found in (before, after):
        found["u"] = [1.0, 2.0]
    assert guilty_pairs(graph, before, after, suspect("x", Kind.INPUT))[0].guilty == "a1"


@pytest.mark.parametrize("n_rows", [1, 4000])
def test_windows_of_any_size_are_compared(n_rows: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=n_rows)
    before, after = frame("b", list(x), list(2 * x)), frame("a", list(x), list(2 * x + 3))
    assert len(guilty_pairs(GRAPH, before, after, suspect(), 1)) == 1
