import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfml_analysis.columns import Kind
from dfml_analysis.report.charts import HEIGHT, WIDTH, bin_edges, class_shares, distribution_svgs
from dfml_analysis.variables import read_variable

SVG = "{http://www.w3.org/2000/svg}"
NUMBERS = st.lists(st.floats(-1e12, 1e12) | st.just(float("nan")) | st.just(float("inf")), min_size=1, max_size=60)
TEXTS = st.lists(st.sampled_from(["simple", "complex", "<b>", "x" * 60]) | st.none(), min_size=1, max_size=40)


def inside(svg: str) -> bool:
    root = ElementTree.fromstring(svg)
    points = [pair.split(",") for shape in root.iter() for pair in shape.attrib.get("points", "").split()]
    boxes = [[float(box.attrib[name]) for name in ("x", "y", "width", "height")] for box in root.iter(f"{SVG}rect")]
    return all(-0.1 <= float(x) <= WIDTH + 0.1 and -0.1 <= float(y) <= HEIGHT + 0.1 for x, y in points) and all(
        x >= 0 and y >= 0 and w >= 0 and h >= -0.01 and x + w <= WIDTH + 0.1 and y + h <= HEIGHT + 0.1
        for x, y, w, h in boxes
    )


@given(NUMBERS, NUMBERS)
def test_any_numbers_give_valid_pictures_inside_their_frame(before: list[float], after: list[float]) -> None:
    assert all(inside(svg) for svg in distribution_svgs("v", pd.Series(before), pd.Series(after)))


@given(TEXTS, TEXTS)
def test_any_texts_give_valid_pictures_inside_their_frame(before: list[str], after: list[str]) -> None:
    assert all(inside(svg) for svg in distribution_svgs("v", pd.Series(before), pd.Series(after)))


def test_numbers_are_drawn_as_histogram_and_cumulative_share() -> None:
    rng = np.random.default_rng(0)
    svgs = distribution_svgs("v", pd.Series(rng.normal(0, 1, 200)), pd.Series(rng.normal(1, 1, 200)))
    assert [("polygon" in svg, "polyline" in svg) for svg in svgs] == [(True, False), (False, True)]


def test_truth_values_are_drawn_as_paired_bars() -> None:
    (svg,) = distribution_svgs("v", pd.Series([True, False, True]), pd.Series([False] * 4))
    assert "<title>1: before 66.7 %</title>" in svg
    assert "<title>0: after 100 %</title>" in svg


def test_absent_values_are_a_class_of_their_own() -> None:
    variable = read_variable("v", "v", Kind.VALUE, pd.Series([1.0, np.nan]), pd.Series([np.nan, np.nan]))
    bars = class_shares(variable, 2)
    assert dict(zip(bars.labels, zip(bars.before, bars.after, strict=True), strict=True)) == {
        "1": (0.5, 0.0),
        "absent": (0.5, 1.0),
    }


def test_rare_classes_are_drawn_together() -> None:
    texts = pd.Series([f"class {index % 20}" for index in range(200)])
    bars = class_shares(read_variable("v", "v", Kind.VALUE, texts, texts), 200)
    assert len(bars.labels) == 10
    assert bars.labels[-1] == "other"
    assert sum(bars.before) == pytest.approx(1.0)


def test_a_long_tail_does_not_flatten_the_histogram() -> None:
    values = np.concatenate([np.random.default_rng(0).normal(0, 1, 1000), [1e9]])
    assert bin_edges(values)[-1] < 10


def test_the_values_of_a_short_window_are_no_tail() -> None:
    before = np.random.default_rng(0).normal(0, 1, 1000)
    assert bin_edges(before, np.array([40.0, 50.0]))[-1] == 50


def test_an_end_that_is_cut_off_says_so() -> None:
    before = np.concatenate([np.random.default_rng(0).normal(0, 1, 1000), [1e9]])
    svg, _ = distribution_svgs("v", pd.Series(before), pd.Series(before[:1000]))
    assert "and more →" in svg


def test_one_request_is_a_line_through_the_distribution_of_the_others() -> None:
    svg, _ = distribution_svgs("v", pd.Series(np.random.default_rng(0).normal(0, 1, 200)), pd.Series([1.5]))
    assert svg.count("<polygon") == 1
    assert re.search(r'<line [^>]*stroke="var\(--dfml-after', svg)


def test_windows_without_any_value_have_no_picture_to_speak_of() -> None:
    assert distribution_svgs("v", pd.Series([], dtype=float), pd.Series([], dtype=float)) == ()
