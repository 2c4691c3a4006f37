"""The evidence as it came in, as one SVG: nothing before the fault, a steep climb after it."""

from collections.abc import Callable
from typing import Final

from dfml.drawing.axis import spell_number, ticks
from dfml.drawing.svg import FONT, clean, colour, element, number, text, theme_css
from dfml_analysis.onset import Onset, Since
from dfml_analysis.wording import SUPERSCRIPTS

Scale = Callable[[float], float]
"""From what is shown to a coordinate."""

WIDTH: Final = 860.0
HEIGHT: Final = 230.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 16.0, 30.0, 44.0
SMALL_PX = 11.5
LABEL_WIDTH: Final = 110.0
LEAST_TOP = 2.0
"""A curve that stays below a hundred to one shall look as flat as it is."""


def timeline_svg(onset: Onset, n_reference: int, n_current: int) -> str:
    """Return the curve of evidence over both windows, the change point and its interval marked.

    Parameters
    ----------
    onset : Onset
    n_reference, n_current : int
        Requests of the windows; the axis counts them from the first of the current one.
    """
    top = 1.08 * max(*onset.timeline.log10_odds, LEAST_TOP)

    def x_of(row: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (row + n_reference) / (n_reference + n_current)

    def y_of(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top)

    points = [(x_of(row), y_of(value)) for row, value in zip(*_curve(onset), strict=True)]
    line = " ".join(f"{number(x)},{number(y)}" for x, y in points)
    area = f"{number(points[0][0])},{number(y_of(0))} {line} {number(points[-1][0])},{number(y_of(0))}"
    drawn = [
        element("rect", _box(x_of(-n_reference), x_of(0)) | {"fill": colour("before"), "fill-opacity": 0.08}),
        element("rect", _box(x_of(0), x_of(n_current)) | {"fill": colour("after"), "fill-opacity": 0.08}),
        text(x_of(-n_reference) + 8, TOP + 17, "reference", _look("before")),
        *_label_of_current(x_of(0), x_of(n_current)),
        *_levels(top, y_of),
        *(_mark(onset, x_of) if onset.since is not Since.UNCLEAR else []),
        element("polygon", {"points": area, "fill": colour("bad"), "fill-opacity": 0.14}),
        element("polyline", {"points": line, "fill": "none", "stroke": colour("bad"), "stroke-width": 2.0}),
        *_requests(n_reference, n_current, x_of),
    ]
    size = {"viewBox": f"0 0 {number(WIDTH)} {number(HEIGHT)}", "width": WIDTH, "height": HEIGHT}
    outer = {
        "xmlns": "http://www.w3.org/2000/svg",
        "class": "dfml-timeline",
        **size,
        "role": "img",
        "font-family": FONT,
    }
    title = element("title", {}, "evidence of a changed mechanism, request by request")
    return element("svg", outer, title, element("style", {}, theme_css(".dfml-timeline")), *drawn)


def _label_of_current(left: float, right: float) -> list[str]:
    """Return the current window's label where it has room."""
    return [text(left + 8, TOP + 17, "current window", _look("after"))] if right - left > LABEL_WIDTH else []


def _curve(onset: Onset) -> tuple[tuple[int, ...], tuple[float, ...]]:
    return onset.timeline.row, onset.timeline.log10_odds


def _box(left: float, right: float) -> dict[str, object]:
    return {"x": left, "y": TOP, "width": max(right - left, 0.0), "height": HEIGHT - TOP - BOTTOM}


def _look(ink: str, anchor: str = "start") -> dict[str, object]:
    return {"font-size": SMALL_PX, "text-anchor": anchor, "fill": colour(ink)}


def _levels(top: float, y_of: Scale) -> list[str]:
    drawn = []
    for value in ticks(0.0, top):
        y = y_of(value)
        line = {"x1": LEFT, "x2": WIDTH - RIGHT, "y1": y, "y2": y, "stroke": colour("line"), "stroke-opacity": 0.6}
        drawn += [
            element("line", line),
            text(
                LEFT - 8, y + 4, f"10{f'{value:.0f}'.translate(SUPERSCRIPTS)}" if value else "1", _look("soft", "end")
            ),
        ]
    return drawn


def _mark(onset: Onset, x_of: Scale) -> list[str]:
    low, high, at = x_of(onset.earliest), x_of(onset.latest), x_of(onset.row)
    ends = [at] if onset.until is None else [at, x_of(onset.until)]
    lines = [{"x1": x, "x2": x, "y1": TOP - 6, "y2": HEIGHT - BOTTOM, "stroke": colour("ink")} for x in ends]
    anchor = "end" if at > WIDTH / 2 else "start"
    return [
        element("rect", _box(low, max(high, low + 2)) | {"fill": colour("bad"), "fill-opacity": 0.22}),
        *(element("line", line | {"stroke-width": 1.6, "stroke-dasharray": "5 3"}) for line in lines),
        text(at, TOP - 12, "began here", _look("ink", anchor)),
        *(text(x, TOP - 12, "over", _look("ink", "start")) for x in ends[1:]),
    ]


def _requests(n_reference: int, n_current: int, x_of: Scale) -> list[str]:
    shown = [tick for tick in ticks(-n_reference, n_current) if -n_reference <= tick <= n_current]
    drawn = [text(x_of(row), HEIGHT - BOTTOM + 18, clean(spell_number(row)), _look("soft", "middle")) for row in shown]
    words = "requests, counted from the first of the current window"
    return [*drawn, text((LEFT + WIDTH) / 2, HEIGHT - 6, words, _look("soft", "middle"))]
