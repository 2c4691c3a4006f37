from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from dfml.drawing.svg import Tone
from dfml.drawing.waterfall import Bar, bars_svg

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
