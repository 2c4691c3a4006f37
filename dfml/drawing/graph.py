"""A directed graph as SVG: named boxes with a tone, a badge and a note, and labelled arrows between them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from dfml.drawing.layout import Box, Layout, Link, Place, Route, control_points, lay_out
from dfml.drawing.svg import FONT, Tone, clean, colour, element, number, text, text_width, theme_css, wrap

TITLE_PX = 13.0
SMALL_PX = 10.5
LINE_PX = 17.0
PADDING_PX = 14.0
LABEL_PX = 10.5
MAX_LETTERS = 26
"""A longer name is broken into lines, so that one long name does not stretch a whole column."""
MIN_WIDTH_PX = 64.0
LABEL_STOPS = (0.5, 0.36, 0.64, 0.24, 0.76)
"""Where along its curve a label may sit, best first."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What is said about a node: its tone, a short badge inside the box and a note shown on hovering."""

    tone: Tone = Tone.PLAIN
    badge: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A box, known by its name, with a title and subtitle in it; requests come and go at an ``end``."""

    name: str
    title: str
    subtitle: str = ""
    shape: Literal["step", "end"] = "step"
    mark: Mark = Mark()


@dataclass(frozen=True, slots=True)
class Arrow:
    """An edge; a dashed one carries no data (a trigger)."""

    source: str
    target: str
    label: str = ""
    dashed: bool = False
    tone: Tone = Tone.PLAIN


def graph_svg(nodes: Sequence[Node], arrows: Iterable[Arrow], *, title: str) -> str:
    """Return the graph as one ``<svg>`` element that needs nothing else, for a page, a report or a notebook.

    Parameters
    ----------
    nodes
        With distinct names, in the order that ties are broken by.
    arrows
        Between these nodes; several between the same two are drawn as one, with their labels joined.
    title
        Read out for those who cannot see the picture.
    """
    merged = _merge(arrows)
    labels = {edge: min(text_width(arrow.label, LABEL_PX), 260.0) for edge, arrow in merged.items() if arrow.label}
    links = [Link(arrow.source, arrow.target, labels.get(edge, 0.0)) for edge, arrow in merged.items()]
    layout = lay_out([Box(node.name, *_size(node)) for node in nodes], links)
    loops = [_loop(layout.places[arrow.source], arrow) for arrow in merged.values() if arrow.source == arrow.target]
    drawn = [_arrow(route, merged[route.link.edge]) for route in layout.routes]
    boxes = [_node(node, layout.places[node.name]) for node in nodes]
    names = _labels(layout, merged)
    size = f"{number(layout.width)} {number(layout.height)}"
    return element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "class": "dfml-graph",
            "viewBox": f"0 0 {size}",
            "width": layout.width,
            "height": layout.height,
            "style": f"--dfml-width:{number(layout.width)}px",
            "role": "img",
            "font-family": FONT,
        },
        element("title", {}, clean(title)),
        element("style", {}, theme_css(".dfml-graph")),
        _heads(),
        *drawn,
        *loops,
        *boxes,
        *names,
    )


def _merge(arrows: Iterable[Arrow]) -> dict[tuple[str, str], Arrow]:
    merged: dict[tuple[str, str], Arrow] = {}
    for arrow in arrows:
        edge = (arrow.source, arrow.target)
        known = merged.get(edge)
        if known is None:
            merged[edge] = arrow
            continue
        words = ", ".join(dict.fromkeys(label for label in (known.label, arrow.label) if label))
        tone = known.tone if known.tone is not Tone.PLAIN else arrow.tone
        merged[edge] = Arrow(*edge, words, known.dashed and arrow.dashed, tone)
    return merged


def _size(node: Node) -> tuple[float, float]:
    lines = wrap(node.title, MAX_LETTERS)
    widths = [text_width(line, TITLE_PX, bold=True) for line in lines]
    height = 2 * PADDING_PX - 6 + LINE_PX * len(lines)
    if node.subtitle:
        widths += [text_width(line, SMALL_PX) for line in wrap(node.subtitle, MAX_LETTERS + 6)]
        height += 14.0 * len(wrap(node.subtitle, MAX_LETTERS + 6))
    if node.mark.badge:
        widths += [text_width(line, SMALL_PX, bold=True) + 14 for line in wrap(node.mark.badge, MAX_LETTERS + 6)]
        height += 18.0 * len(wrap(node.mark.badge, MAX_LETTERS + 6)) + 4
    return max(*widths, MIN_WIDTH_PX - 2 * PADDING_PX) + 2 * PADDING_PX, height


def _node(node: Node, place: Place) -> str:
    tone = node.mark.tone.value
    middle = place.x + place.width / 2
    box = {
        "x": place.x,
        "y": place.y,
        "width": place.width,
        "height": place.height,
        "rx": min(place.height / 2, 22.0) if node.shape == "end" else 9.0,
        "fill": colour(f"{tone}-fill"),
        "stroke": colour("line" if node.mark.tone is Tone.PLAIN else tone),
        "stroke-width": 2.0 if node.mark.tone in {Tone.BAD, Tone.SHIFT, Tone.WARN} else 1.2,
    }
    pieces = [element("title", {}, clean(node.mark.note or node.title)), element("rect", box)]
    y = place.y + PADDING_PX + 9
    for line in wrap(node.title, MAX_LETTERS):
        pieces.append(_line(middle, y, line, TITLE_PX, "soft" if node.mark.tone is Tone.MUTED else "ink", weight=600))
        y += LINE_PX
    if node.subtitle:
        for line in wrap(node.subtitle, MAX_LETTERS + 6):
            pieces.append(_line(middle, y - 2, line, SMALL_PX, "soft"))
            y += 14
    if node.mark.badge:
        y += 3
        for line in wrap(node.mark.badge, MAX_LETTERS + 6):
            pieces.append(_pill(middle, y, line, tone))
            y += 18
    return element("g", {"class": "dfml-node", "data-name": clean(node.name)}, *pieces)


def _line(x: float, y: float, words: str, size: float, ink: str, *, weight: int = 400) -> str:
    look = {"font-size": size, "font-weight": weight, "text-anchor": "middle", "fill": colour(ink)}
    return text(x, y, words, look)


def _pill(x: float, y: float, words: str, tone: str) -> str:
    width = text_width(words, SMALL_PX, bold=True) + 14
    back = {"x": x - width / 2, "y": y - 11.5, "width": width, "height": 16.0, "rx": 8.0, "fill": colour(tone)}
    return element("rect", back) + _line(x, y, words, SMALL_PX, "surface", weight=600)


def _path(route: Route) -> str:
    corners = route.points
    commands = [f"M{number(corners[0][0])} {number(corners[0][1])}"]
    for index, (start, end) in enumerate(zip(corners, corners[1:], strict=False)):
        if index % 2 == 0:
            commands.append(f"L{number(end[0])} {number(end[1])}")
        else:
            (ax, ay), (bx, by) = control_points(start, end)
            commands.append(f"C{number(ax)} {number(ay)} {number(bx)} {number(by)} {number(end[0])} {number(end[1])}")
    return "".join(commands)


def _arrow(route: Route, arrow: Arrow) -> str:
    return element("path", {"class": "dfml-edge", "d": _path(route), **_stroke(arrow)})


def _loop(place: Place, arrow: Arrow) -> str:
    x, y = place.x + place.width - 18, place.y
    return element(
        "path", {"class": "dfml-edge", "d": f"M{number(x - 16)} {number(y)}c0 -14 16 -14 16 0", **_stroke(arrow)}
    )


def _stroke(arrow: Arrow) -> dict[str, object]:
    strong = arrow.tone is not Tone.PLAIN
    return {
        "fill": "none",
        "stroke": colour(arrow.tone.value if strong else "edge"),
        "stroke-width": 2.2 if strong else 1.5,
        "stroke-dasharray": "4 4" if arrow.dashed else None,
        "marker-end": f"url(#dfml-head-{arrow.tone.value})",
    }


def _heads() -> str:
    heads = []
    for tone in Tone:
        ink = colour("edge" if tone is Tone.PLAIN else tone.value)
        frame = {"id": f"dfml-head-{tone.value}", "viewBox": "0 0 10 10", "refX": 9.0, "refY": 5.0}
        frame |= {"markerWidth": 9.0, "markerHeight": 9.0, "markerUnits": "userSpaceOnUse", "orient": "auto"}
        heads.append(element("marker", frame, element("path", {"d": "M0 1.2L9 5L0 8.8z", "fill": ink})))
    return element("defs", {}, *heads)


def _labels(layout: Layout, arrows: dict[tuple[str, str], Arrow]) -> list[str]:
    """Write each label on its curve, where it covers no other label if there is such a place."""
    taken: list[tuple[float, float, float, float]] = []
    drawn = []
    for route in layout.routes:
        arrow = arrows[route.link.edge]
        if not arrow.label:
            continue
        words = _shorten(arrow.label)
        half = text_width(words, LABEL_PX) / 2
        stops = [_along(route.label_gap, stop, half) for stop in LABEL_STOPS]
        free = (stop for stop in stops if not any(_overlap(stop, half, other) for other in taken))
        x, y = next(free, stops[0])
        taken.append((x - half, y - 8, x + half, y + 8))
        look = {"font-size": LABEL_PX, "text-anchor": "middle", "fill": colour("soft"), "paint-order": "stroke"}
        look |= {"stroke": colour("surface"), "stroke-width": 4.0, "stroke-linejoin": "round"}
        note = element("title", {}, clean(arrow.label)) if words != arrow.label else ""
        drawn.append(element("text", {"x": x, "y": y + 3.5, **look}, clean(words), note))
    return drawn


def _shorten(words: str) -> str:
    return words if text_width(words, LABEL_PX) <= 260 else words[:30] + "…"


def _along(gap: tuple[tuple[float, float], tuple[float, float]], t: float, half: float) -> tuple[float, float]:
    """Return the curve's point at ``t``, moved back along it where the label would leave the gap between the layers."""
    (x0, y0), (x1, y1) = sorted(gap)
    x = min(max(x0 + (x1 - x0) * t, x0 + half + 4), x1 - half - 12)
    # With control points half-way, x runs as 1.5t(1-t) + t**3 + ...; solving for the level needs only bisection.
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        if _bezier(x0, x1, middle, level=False) < x:
            low = middle
        else:
            high = middle
    return x, _bezier(y0, y1, low, level=True)


def _bezier(start: float, end: float, t: float, *, level: bool) -> float:
    inner = (start, end) if level else ((start + end) / 2, (start + end) / 2)
    return (1 - t) ** 3 * start + 3 * (1 - t) ** 2 * t * inner[0] + 3 * (1 - t) * t**2 * inner[1] + t**3 * end


def _overlap(stop: tuple[float, float], half: float, other: tuple[float, float, float, float]) -> bool:
    x, y = stop
    return x - half < other[2] and x + half > other[0] and y - 8 < other[3] and y + 8 > other[1]
