"""A variable given its parents, as pictures."""

import re

import numpy as np
import pandas as pd
import pytest

from dfml_analysis.causal_graph import read_graph
from dfml_analysis.columns import Kind
from dfml_analysis.report.given import alike_weights, given_svg
from dfml_analysis.windows import Windows, read_windows

N = 400


def _windows(seed: int = 0, shift: float = 0.0, **columns: object) -> Windows:
    rng = np.random.default_rng(seed)
    frames = []
    for moved in (0.0, shift):
        x, u = rng.normal(moved, 1.0, N), rng.normal(size=N)
        frames.append(pd.DataFrame({"x": x, "u": u, "y": 3 * x + u + rng.normal(size=N)}).assign(**columns))
    return read_windows(read_graph({"x": [], "u": [], "y": ["x", "u"]}), *frames, "y")


def test_the_parent_that_tells_most_is_on_the_axis() -> None:
    given = given_svg(_windows(), "y", Kind.VALUE)
    assert given is not None
    assert given.parent == "x"
    assert given.svg.count("<polyline") == 2


def test_a_root_has_no_such_picture() -> None:
    assert given_svg(_windows(), "x", Kind.INPUT) is None
    assert alike_weights(_windows(), "x") is None


def test_one_request_is_not_weighted_away() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    normal = pd.DataFrame({"x": x, "y": x + rng.normal(size=200)})
    windows = read_windows(read_graph({"x": [], "y": ["x"]}), normal, pd.DataFrame({"x": [0.0], "y": [9.0]}), "y")
    assert alike_weights(windows, "y") is None


def test_weights_make_the_inputs_alike() -> None:
    windows = _windows(shift=1.0)
    weights = alike_weights(windows, "y")
    assert weights is not None
    x = windows.variables["x"].values
    means = [np.average(x[windows.window == side], weights=weights[windows.window == side]) for side in (0, 1)]
    assert means[0] == pytest.approx(means[1], abs=0.1)


def test_whether_a_step_answers_is_drawn_as_a_share() -> None:
    windows = _windows(y=[np.nan, 1.0, 2.0, 3.0] * (N // 4))
    given = given_svg(windows, "y", Kind.PRESENCE)
    assert given is not None
    assert re.search(r">\d+ %<", given.svg)


def test_classes_are_named_on_the_axis() -> None:
    given = given_svg(_windows(x=["car", "house"] * (N // 2), u=1.0), "y", Kind.VALUE)
    assert given is not None
    assert ">car<" in given.svg


def test_free_text_has_no_mean_to_draw() -> None:
    assert given_svg(_windows(y=[f"text {place}" for place in range(N)]), "y", Kind.VALUE) is None
