from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfml.drawing.svg import Tone
from dfml.drawing.waterfall import Bar, bars_svg, spell_ms, tick_step

SVG = "{http://www.w3.org/2000/svg}"
TIMES = st.floats(0, 1e7, allow_nan=False)
BARS = st.lists(st.builds(Bar, st.text(max_size=80), TIMES, TIMES, TIMES, st.text(max_size=90)), max_size=12)


@given(BARS)
def test_every_bar_lies_inside_the_view(bars: list[Bar]) -> None:
    root = ElementTree.fromstring(bars_svg(bars, title="any"))
    width, height = (float(part) for part in root.attrib["viewBox"].split()[2:])
    assert len(root.findall(f"{SVG}g")) == len(bars)
    for box in root.findall(f"{SVG}g/{SVG}rect"):
        x, y, w, h = (float(box.attrib[name]) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + w <= width
        assert 0 <= y <= y + h <= height


def test_a_record_that_took_no_time_is_a_point() -> None:
    root = ElementTree.fromstring(bars_svg([Bar("dropped", 3.0, tone=Tone.MUTED)], title="t"))
    assert len(root.findall(f"{SVG}g/{SVG}circle")) == 1


def test_waiting_and_working_are_told_apart() -> None:
    root = ElementTree.fromstring(bars_svg([Bar("step", 0.0, 5.0, 5.0), Bar("next", 10.0, 0.0, 5.0)], title="t"))
    opacities = [box.attrib.get("fill-opacity") for box in root.findall(f"{SVG}g/{SVG}rect")]
    assert opacities == ["0.7", "0.28", None, None]


@pytest.mark.parametrize(("span", "step"), [(1.0, 0.2), (6.0, 1.0), (61.0, 20.0), (0.003, 0.0005)])
def test_the_axis_has_round_steps(span: float, step: float) -> None:
    assert tick_step(span) == pytest.approx(step)


@pytest.mark.parametrize(("time_ms", "words"), [(0, "0 ms"), (0.25, "250 µs"), (3.14159, "3.14 ms"), (2500, "2.5 s")])
def test_durations_are_spelled_in_the_unit_that_suits_them(time_ms: float, words: str) -> None:
    assert spell_ms(time_ms) == words
