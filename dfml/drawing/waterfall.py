"""What happened when, as SVG: one row per record, waiting time light and working time solid, on a common time axis."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dfml.drawing.axis import spell_ms, spell_ticks_ms, tick_step
from dfml.drawing.svg import FONT, Tone, clean, colour, element, number, text, text_width, theme_css

ROW_PX = 30.0
HEAD_PX = 30.0
NAME_PX = 12.0
DETAIL_PX = 10.5
AXIS_WIDTH_PX = 560.0
MIN_BAR_PX = 2.5
MAX_NAME_LETTERS = 44
MAX_DETAIL_LETTERS = 64


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: from ``start_ms`` it waited ``queue_ms`` and worked ``service_ms``; a row without both is a point.

    ``detail`` stands under the name, ``note`` is shown on hovering. Times are on any common scale.
    """

    name: str
    start_ms: float
    queue_ms: float = 0.0
    service_ms: float = 0.0
    detail: str = ""
    note: str = ""
    tone: Tone = Tone.PLAIN

    @property
    def end_ms(self) -> float:
        """When it was done."""
        return self.start_ms + self.queue_ms + self.service_ms


def bars_svg(bars: Sequence[Bar], *, title: str) -> str:
    """Return the rows as one ``<svg>`` element that needs nothing else; times are written from the first start on."""
    first = min((bar.start_ms for bar in bars), default=0.0)
    span = max((bar.end_ms for bar in bars), default=0.0) - first
    step = tick_step(span or 1.0)
    n_ticks = max(1, math.ceil((span or 1.0) / step))
    left = max((_name_width(bar) for bar in bars), default=0.0) + 24
    scale = AXIS_WIDTH_PX / (n_ticks * step)
    width = left + AXIS_WIDTH_PX + 84
    height = HEAD_PX + ROW_PX * len(bars) + 8
    marks = [index * step for index in range(n_ticks + 1)]
    spelled = spell_ticks_ms(marks)
    rows = [_row(bar, index, left, left + (bar.start_ms - first) * scale, scale) for index, bar in enumerate(bars)]
    return element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "class": "dfml-waterfall",
            "viewBox": f"0 0 {number(width)} {number(height)}",
            "width": width,
            "height": height,
            "role": "img",
            "font-family": FONT,
        },
        element("title", {}, clean(title)),
        element("style", {}, theme_css(".dfml-waterfall")),
        *(_tick(left + time_ms * scale, height, words) for time_ms, words in zip(marks, spelled, strict=True)),
        *rows,
    )


def _shorten(words: str, n_letters: int) -> str:
    return words if len(words) <= n_letters else words[: n_letters - 1] + "…"


def _name_width(bar: Bar) -> float:
    name = text_width(_shorten(bar.name, MAX_NAME_LETTERS), NAME_PX, bold=True)
    return max(name, text_width(_shorten(bar.detail, MAX_DETAIL_LETTERS), DETAIL_PX))


def _tick(x: float, height: float, words: str) -> str:
    line = {"x1": x, "x2": x, "y1": HEAD_PX - 8, "y2": height, "stroke": colour("line"), "stroke-width": 1.0}
    look = {"font-size": DETAIL_PX, "text-anchor": "middle", "fill": colour("soft")}
    return element("line", {**line, "stroke-opacity": 0.6}) + text(x, HEAD_PX - 14, words, look)


def _row(bar: Bar, index: int, left: float, x: float, scale: float) -> str:
    y = HEAD_PX + index * ROW_PX
    ink = colour("muted" if bar.tone is Tone.MUTED else "ink")
    pieces = [element("title", {}, clean(bar.note or f"{bar.name} {bar.detail}".strip()))]
    if index % 2 == 0:
        band = {"x": 0.0, "y": y, "width": left + AXIS_WIDTH_PX + 84, "height": ROW_PX, "fill": colour("muted-fill")}
        pieces.append(element("rect", {**band, "fill-opacity": 0.7}))
    name = {"font-size": NAME_PX, "font-weight": 600, "fill": ink}
    middle = y + ROW_PX / 2
    pieces.append(text(8.0, middle + (-1.5 if bar.detail else 4), _shorten(bar.name, MAX_NAME_LETTERS), name))
    if bar.detail:
        small = {"font-size": DETAIL_PX, "fill": colour("soft")}
        pieces.append(text(8.0, middle + 11, _shorten(bar.detail, MAX_DETAIL_LETTERS), small))
    pieces += _marks(bar, x, middle, scale)
    return element("g", {"class": "dfml-bar"}, *pieces)


def _marks(bar: Bar, x: float, middle: float, scale: float) -> list[str]:
    fill = colour(bar.tone.value)
    small = {"font-size": DETAIL_PX, "fill": colour("soft")}
    if bar.queue_ms + bar.service_ms <= 0:
        dot = {"cx": x, "cy": middle, "r": 4.0, "fill": colour("surface"), "stroke": fill, "stroke-width": 2.0}
        return [element("circle", dot)]
    queue = bar.queue_ms * scale
    service = max(bar.service_ms * scale, MIN_BAR_PX)
    shape: dict[str, object] = {"y": middle - 6, "height": 12.0, "rx": 3.0, "fill": fill}
    marks = [element("rect", {**shape, "x": x, "width": queue, "fill-opacity": 0.28})] if queue >= 0.5 else []
    marks.append(element("rect", {**shape, "x": x + queue, "width": service}))
    marks.append(text(x + queue + service + 6, middle + 4, spell_ms(bar.queue_ms + bar.service_ms), small))
    return marks
