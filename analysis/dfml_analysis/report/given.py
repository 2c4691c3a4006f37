"""A variable given its parents, before and after: by the parent that tells most of it, and between like requests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from dfml.drawing.axis import spell_number, ticks
from dfml.drawing.svg import FONT, clean, colour, element, number, text, text_width, theme_css
from dfml_analysis.basis import most_telling, parent_columns
from dfml_analysis.columns import Kind
from dfml_analysis.few_rows import MAX_ROWS
from dfml_analysis.overlap import estimate_overlap
from dfml_analysis.variables import Floats, Scale, Variable
from dfml_analysis.windows import Windows

WIDTH: Final = 400.0
HEIGHT: Final = 178.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 14.0, 10.0, 30.0
SMALL_PX = 10.5
N_BINS = 8
MAX_CLASSES = 10
MIN_IN_BIN = 3
"""Fewer requests than that of a window in a bin have no mean worth a point."""
MIN_PRESENT = 0.5
NORMAL_95 = 1.96


@dataclass(frozen=True, slots=True)
class Line:
    """Means of one window by bin of the parent: places, means and half widths of their 95 % intervals."""

    places: Floats
    means: Floats
    halves: Floats


@dataclass(frozen=True, slots=True)
class Given:
    """The picture, and the name of the parent on its axis."""

    parent: str
    svg: str


def given_svg(windows: Windows, name: str, kind: Kind) -> Given | None:
    """Return a variable's mean (of presence and errors the share) by the parent that tells most of it.

    None where it has no parent that varies, or is of more than two classes: then there is nothing to draw.
    """
    child = _as_asked(windows.variables[name], kind)
    if child is None:
        return None
    found = [(parent, *_binned(parent)) for parent in windows.parents(name) if parent.present.mean() >= MIN_PRESENT]
    known = [each for each in found if each[2].size >= 2]
    if not known:
        return None
    parent, bins, places = max(known, key=lambda each: _told(child, each[1], windows.window))
    lines = [_line(child, bins, places, windows.window == side) for side in (0, 1)]
    if any(line.places.size == 0 for line in lines):
        return None
    labels = _labels(parent, places)
    return Given(
        parent.name, _draw(f"{name} by {parent.name}", lines, labels, share=kind in {Kind.PRESENCE, Kind.ERROR})
    )


def alike_weights(windows: Windows, name: str) -> Floats | None:
    """Return what each request counts so that both windows were fed alike.

    Overlap weights (Li, Morgan, Zalewski 2018): a request counts as much as its like is probable in the other one.
    None for a root, which nothing feeds, and where a window has too few requests to tell what is alike.
    """
    parents = windows.parents(name)
    if not parents or min(windows.n_rows) < MAX_ROWS:
        return None
    rows = np.ones(windows.window.size, dtype=bool)
    parents = most_telling(parents, rows, (windows.window,))
    overlap = estimate_overlap(parent_columns(parents, rows).columns, windows.window)
    return np.where(overlap.weight > 0, np.abs(overlap.surplus), 0.0)


def _as_asked(variable: Variable, kind: Kind) -> Floats | None:
    if kind is Kind.PRESENCE and variable.kind is not Kind.PRESENCE:
        return variable.present.astype(np.float64)
    if variable.scale is Scale.OPAQUE or len(variable.classes) > 2:
        return None
    return variable.values


def _binned(parent: Variable) -> tuple[np.ndarray, Floats]:
    """Return each row's bin, -1 where the parent is absent, and where the bins stand on the axis."""
    values = parent.values
    distinct = np.unique(values[parent.present])
    bins = np.full(values.size, -1)
    if distinct.size <= MAX_CLASSES:
        bins[parent.present] = np.searchsorted(distinct, values[parent.present])
        return bins, distinct
    if parent.scale is not Scale.NUMERIC:
        return bins, np.zeros(0)
    edges = np.unique(np.quantile(values[parent.present], np.arange(1, N_BINS) / N_BINS))
    bins[parent.present] = np.searchsorted(edges, values[parent.present], side="right")
    return bins, np.array([np.median(values[bins == each]) for each in np.unique(bins[bins >= 0])])


def _told(child: Floats, bins: np.ndarray, window: Floats) -> float:
    """Return which part of the child's variance in the reference lies between the bins."""
    rows = (bins >= 0) & ~np.isnan(child) & (window == 0)
    if rows.sum() <= N_BINS:
        return 0.0
    values, at = child[rows], bins[rows]
    counts = np.bincount(at)
    means = np.bincount(at, values) / np.maximum(counts, 1)
    total = float(((values - values.mean()) ** 2).sum())
    between = float((counts * (means - values.mean()) ** 2).sum())
    return float(between / total) if total > 0 else 0.0


def _line(child: Floats, bins: np.ndarray, places: Floats, rows: np.ndarray) -> Line:
    found = []
    for each, place in enumerate(places):
        values = child[rows & (bins == each)]
        values = values[~np.isnan(values)]
        if values.size >= MIN_IN_BIN:
            found.append((place, values.mean(), NORMAL_95 * values.std() / np.sqrt(values.size)))
    return Line(*np.array(found).reshape(-1, 3).T)


def _labels(parent: Variable, places: Floats) -> list[tuple[float, str]]:
    if parent.classes:
        return [(float(place), parent.classes[int(place)]) for place in places]
    if places.size <= MAX_CLASSES and parent.scale is Scale.DISCRETE:
        return [(float(place), spell_number(float(place))) for place in places]
    return [(value, spell_number(value)) for value in ticks(float(places[0]), float(places[-1]))]


def _draw(title: str, lines: Sequence[Line], labels: Sequence[tuple[float, str]], *, share: bool) -> str:
    low, high = _reach(lines, share=share)
    first = min(float(line.places.min()) for line in lines)
    last = max(float(line.places.max()) for line in lines)
    span = (last - first) or 1.0

    def x_of(value: float) -> float:
        return LEFT + 12 + (WIDTH - LEFT - RIGHT - 24) * (value - first) / span

    def y_of(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low))

    drawn = []
    for value in ticks(low, high):
        y = y_of(value)
        level = {"x1": LEFT, "x2": WIDTH - RIGHT, "y1": y, "y2": y, "stroke": colour("line"), "stroke-opacity": 0.6}
        words = f"{100 * value:.3g} %" if share else spell_number(value)
        drawn += [element("line", level), text(LEFT - 6, y + 3.5, words, _look("end"))]
    drawn += _axis([(x_of(value), word) for value, word in labels if first <= value <= last])
    for line, ink in zip(lines, ("before", "after"), strict=True):
        points = [(x_of(place), y_of(mean)) for place, mean in zip(line.places, line.means, strict=True)]
        joined = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        drawn.append(
            element("polyline", {"points": joined, "fill": "none", "stroke": colour(ink), "stroke-width": 2.0})
        )
        for (x, _), mean, half in zip(points, line.means, line.halves, strict=True):
            ends = {"x1": x, "x2": x, "y1": y_of(mean - half), "y2": y_of(mean + half)}
            drawn.append(element("line", {**ends, "stroke": colour(ink), "stroke-width": 1.4}))
            drawn.append(element("circle", {"cx": x, "cy": y_of(mean), "r": 3.0, "fill": colour(ink)}))
    size = {"viewBox": f"0 0 {number(WIDTH)} {number(HEIGHT)}", "width": WIDTH, "height": HEIGHT}
    outer = {"xmlns": "http://www.w3.org/2000/svg", "class": "dfml-given", **size, "role": "img", "font-family": FONT}
    head = [element("title", {}, clean(title)), element("style", {}, theme_css(".dfml-given"))]
    return element("svg", outer, *head, *drawn)


def _reach(lines: Sequence[Line], *, share: bool) -> tuple[float, float]:
    low = min(float((line.means - line.halves).min()) for line in lines)
    high = max(float((line.means + line.halves).max()) for line in lines)
    if share:
        low, high = 0.0, min(max(high, 0.05), 1.0)
    room = 0.06 * (high - low) or 0.5
    return low - room, high + room


def _axis(places: Sequence[tuple[float, str]]) -> list[str]:
    """Draw the labels that have room beside one another."""
    drawn: list[str] = []
    end = 0.0
    for x, word in places:
        half = text_width(word, SMALL_PX) / 2
        if x - half > end:
            drawn.append(text(x, HEIGHT - BOTTOM + 16, word, _look("middle")))
            end = x + half + 6
    return drawn


def _look(anchor: str) -> dict[str, object]:
    return {"font-size": SMALL_PX, "text-anchor": anchor, "fill": colour("soft")}
