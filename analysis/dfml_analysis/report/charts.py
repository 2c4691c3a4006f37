"""One variable before and after, as small SVGs: shares by bin or class, and the cumulative share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from dfml.drawing.axis import spell_number, spell_share, ticks
from dfml.drawing.svg import FONT, clean, colour, element, number, text, text_width, theme_css
from dfml_analysis.columns import Kind
from dfml_analysis.variables import ABSENT, NUMBER, Scale, Variable, read_variable

Floats = npt.NDArray[np.float64]

WIDTH: Final = 400.0
HEIGHT: Final = 178.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 12.0, 10.0, 30.0
SMALL_PX = 10.5
MAX_BARS = 10
"""Classes beyond the nine most frequent ones are drawn as one."""
TAIL = 0.005
"""Where the values have long tails, this share at each end, of both windows alike, is drawn in the outermost bins."""
LONG_TAIL = 2.5
"""Tails are long when the whole range is this many times that of the values without them."""
MIN_BINS, MAX_BINS = 8, 40


@dataclass(frozen=True, slots=True)
class Bars:
    """Shares of the requests per label, in both windows; the labels' shares of one window add up to 1."""

    labels: tuple[str, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]


def distribution_svgs(
    name: str, reference: pd.Series, current: pd.Series, weights: Floats | None = None
) -> tuple[str, ...]:
    """Return the pictures of a variable in both windows.

    Parameters
    ----------
    name : str
        The column, read out as the pictures' title.
    reference, current : Series
        The column in the two windows, of any length, absent values included.
    weights : array, shape (n_reference + n_current,), optional
        What each request counts; all alike without it.

    Returns
    -------
    tuple of str
        For numbers a histogram and the cumulative share; for classes, truth values and constants paired bars; nothing
        where both windows hold no value that can be shown.

    Raises
    ------
    DataError
        If the column holds what is neither numbers, truth values nor text.
    """
    variable = read_variable(name, name, Kind.VALUE, reference, current)
    n_before = len(reference)
    if variable.scale is Scale.NUMERIC:
        counts = np.ones(variable.values.size) if weights is None else weights
        windows = [(variable.values[part], counts[part]) for part in (slice(n_before), slice(n_before, None))]
        return (_histogram_svg(name, windows), _cumulative_svg(name, windows))
    if variable.scale in {Scale.DISCRETE, Scale.CONSTANT, Scale.EMPTY} and len(variable.values):
        return (_bars_svg(name, class_shares(variable, n_before, weights)),)
    return ()


def class_shares(variable: Variable, n_before: int, weights: Floats | None = None) -> Bars:
    """Return the share of each class, of absent and of not finite values; rare classes together as ``other``."""
    weights = np.ones(len(variable.values)) if weights is None else weights
    sides = weights[:n_before], weights[n_before:]
    labels = np.array([_class_label(variable, row) for row in range(len(variable.values))], dtype=object)
    before, after = labels[:n_before], labels[n_before:]
    found, counts = np.unique(labels.astype(str), return_counts=True)
    frequent = [str(found[i]) for i in np.argsort(-counts, kind="stable")[: MAX_BARS - (len(found) > MAX_BARS)]]
    shown = sorted(frequent, key=lambda label: (label in {"absent", "not finite"}, _as_number(label), label))
    columns = [(label, _share(before == label, sides[0]), _share(after == label, sides[1])) for label in shown]
    if len(found) > MAX_BARS:
        columns.append(("other", 1 - sum(c[1] for c in columns), 1 - sum(c[2] for c in columns)))
    return Bars(tuple(c[0] for c in columns), tuple(c[1] for c in columns), tuple(c[2] for c in columns))


def bin_edges(*windows: Floats) -> Floats:
    """Return the histogram's edges: the Freedman-Diaconis width, within bounds, long tails cut off.

    ``windows`` are the finite values of each window, together at least two different ones. Windows count alike however
    long they are, so that the few values of a short one are no tail.
    """
    values = np.concatenate(windows)
    low, high = float(values.min()), float(values.max())
    inner_low, inner_high = _without_tails(windows)
    if inner_high > inner_low and (high - low) > LONG_TAIL * (inner_high - inner_low):
        low, high = float(inner_low), float(inner_high)
    quarter, three_quarters = np.quantile(values, [0.25, 0.75])
    width = 2 * (three_quarters - quarter) / len(values) ** (1 / 3)
    wanted = (high - low) / width if width > 0 else MAX_BINS
    return np.linspace(low, high, int(np.clip(wanted, MIN_BINS, MAX_BINS)) + 1)


def _without_tails(windows: Sequence[Floats]) -> tuple[float, float]:
    """Return between which values all but ``TAIL`` at each end lies, each window counting as a whole."""
    values = np.concatenate(windows)
    counts = np.concatenate([np.full(window.size, 1.0 / window.size) for window in windows if window.size])
    order = np.argsort(values, kind="stable")
    at_most = counts[order].cumsum() / counts.sum()
    inner = values[order][(at_most > TAIL) & (at_most - counts[order] / counts.sum() < 1.0 - TAIL)]
    return float(inner[0]), float(inner[-1])


def _class_label(variable: Variable, row: int) -> str:
    if variable.state[row] != NUMBER:
        return "absent" if variable.state[row] == ABSENT else "not finite"
    value = variable.values[row]
    return variable.classes[int(value)] if variable.classes else spell_number(float(value))


def _as_number(label: str) -> float:
    try:
        return float(label.replace(",", ""))
    except ValueError:
        return 0.0


def _share(chosen: npt.NDArray[np.bool_], weights: Floats) -> float:
    return float(weights[chosen].sum() / weights.sum()) if weights.sum() > 0 else 0.0


def _frame(name: str, *content: str) -> str:
    size = {"viewBox": f"0 0 {number(WIDTH)} {number(HEIGHT)}", "width": WIDTH, "height": HEIGHT}
    outer = {"xmlns": "http://www.w3.org/2000/svg", "class": "dfml-chart", **size, "role": "img", "font-family": FONT}
    return element(
        "svg", outer, element("title", {}, clean(name)), element("style", {}, theme_css(".dfml-chart")), *content
    )


def _share_axis(top: float) -> list[str]:
    """Draw level lines with their share, from 0 to ``top``."""
    drawn = []
    for share in ticks(0.0, top):
        y = _level(share, top)
        line = {"x1": LEFT, "x2": WIDTH - RIGHT, "y1": y, "y2": y, "stroke": colour("line"), "stroke-opacity": 0.6}
        drawn.append(element("line", line))
        look = {"font-size": SMALL_PX, "text-anchor": "end", "fill": colour("soft")}
        drawn.append(text(LEFT - 6, y + 3.5, f"{100 * share:.3g} %", look))
    return drawn


def _value_axis(low: float, high: float) -> list[str]:
    """Draw the round values below the picture, as many as have room."""
    found = ticks(low, high)
    words = [spell_number(value) for value in found]
    room = (WIDTH - LEFT - RIGHT) / max(1, len(found))
    widest = max((text_width(word, SMALL_PX) for word in words), default=0.0) + 10
    every = max(1, int(np.ceil(widest / room)))
    look = {"font-size": SMALL_PX, "text-anchor": "middle", "fill": colour("soft")}
    drawn = []
    for value, word in list(zip(found, words, strict=True))[::every]:
        half = text_width(word, SMALL_PX) / 2
        x = min(max(_across(value, low, high), half), WIDTH - half)
        drawn.append(text(x, HEIGHT - BOTTOM + 16, word, look))
    return drawn


def _level(share: float, top: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share / top)


def _across(value: float, low: float, high: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / (high - low)


def _histogram_svg(name: str, windows: Sequence[tuple[Floats, Floats]]) -> str:
    edges = bin_edges(*(values[~np.isnan(values)] for values, _ in windows))
    heights = [_bin_shares(values, weights, edges) for values, weights in windows]
    many = [shares for (values, _), shares in zip(windows, heights, strict=True) if not _is_one(values)]
    top = 1.08 * max(max(shares) for shares in many or heights) or 1.0
    drawn = [*_share_axis(top), *_value_axis(edges[0], edges[-1])]
    for (values, _), shares, ink in zip(windows, heights, ("before", "after"), strict=True):
        if many and _is_one(values):
            x = _across(float(np.clip(np.nanmax(values), edges[0], edges[-1])), edges[0], edges[-1])
            stroke = {"stroke": colour(ink), "stroke-width": 3.0}
            drawn.append(element("line", {"x1": x, "x2": x, "y1": TOP, "y2": HEIGHT - BOTTOM, **stroke}))
            continue
        corners = [(float(edges[0]), 0.0)]
        for left, right, share in zip(edges, edges[1:], shares, strict=False):
            corners += [(float(left), share), (float(right), share)]
        corners.append((float(edges[-1]), 0.0))
        points = " ".join(
            f"{number(_across(value, edges[0], edges[-1]))},{number(_level(share, top))}" for value, share in corners
        )
        look = {"points": points, "fill": colour(ink), "fill-opacity": 0.2, "stroke": colour(ink), "stroke-width": 1.6}
        drawn.append(element("polygon", {**look, "stroke-linejoin": "round"}))
    for index, (left, right) in enumerate(zip(edges, edges[1:], strict=False)):
        x = _across(left, edges[0], edges[-1])
        hover = {"x": x, "y": TOP, "width": _across(right, edges[0], edges[-1]) - x, "height": HEIGHT - TOP - BOTTOM}
        shares_here = f"before {spell_share(heights[0][index])}, after {spell_share(heights[1][index])}"
        words = f"{spell_number(left)} to {spell_number(right)}: {shares_here}"
        drawn.append(element("rect", {**hover, "fill-opacity": 0.0}, element("title", {}, clean(words))))
    return _frame(f"{name}: share of the requests", *drawn, *_cut_ends(windows, edges))


def _cut_ends(windows: Sequence[tuple[Floats, Floats]], edges: Floats) -> list[str]:
    """Say at which end the outermost bin holds what lies beyond it."""
    values = np.concatenate([values for values, _ in windows])
    look: dict[str, object] = {"font-size": SMALL_PX, "fill": colour("soft"), "paint-order": "stroke"}
    look |= {"stroke": colour("surface"), "stroke-width": 3.0}
    drawn = []
    if np.nanmin(values) < edges[0]:
        drawn.append(text(LEFT + 4, TOP + 9, "← and less", look | {"text-anchor": "start"}))
    if np.nanmax(values) > edges[-1]:
        drawn.append(text(WIDTH - RIGHT - 4, TOP + 9, "and more →", look | {"text-anchor": "end"}))
    return drawn


def _is_one(values: Floats) -> bool:
    """Return whether a window is a single value, which is drawn as a line: it has no distribution."""
    return values.size == 1 and not np.isnan(values[0])


def _bin_shares(values: Floats, weights: Floats, edges: Floats) -> list[float]:
    """Return the share of all requests per bin; values beyond the edges count to the outermost bins."""
    known = ~np.isnan(values)
    finite = np.clip(values[known], edges[0], edges[-1])
    counts, _ = np.histogram(finite, bins=edges, weights=weights[known])
    return [float(count) for count in counts / (weights.sum() or 1.0)]


def _cumulative_svg(name: str, windows: Sequence[tuple[Floats, Floats]]) -> str:
    edges = bin_edges(*(values[~np.isnan(values)] for values, _ in windows))
    low, high = float(edges[0]), float(edges[-1])
    grid = np.linspace(low, high, 121)
    drawn = [*_share_axis(1.0), *_value_axis(low, high)]
    for (values, weights), ink in zip(windows, ("before", "after"), strict=True):
        known = np.flatnonzero(~np.isnan(values) & (weights > 0))
        order = known[np.argsort(values[known], kind="stable")]
        if not len(order):
            continue
        counted = np.concatenate([[0.0], weights[order].cumsum()])
        shares = counted[np.searchsorted(values[order], grid, side="right")] / counted[-1]
        points = " ".join(
            f"{number(_across(float(value), low, high))},{number(_level(float(share), 1.0))}"
            for value, share in zip(grid, shares, strict=True)
        )
        look = {"points": points, "fill": "none", "stroke": colour(ink), "stroke-width": 2.0}
        drawn.append(element("polyline", {**look, "stroke-linejoin": "round"}))
    return _frame(f"{name}: share of the values at or below", *drawn)


def _bars_svg(name: str, bars: Bars) -> str:
    top = 1.08 * max(*bars.before, *bars.after, 0.05)
    room = (WIDTH - LEFT - RIGHT) / len(bars.labels)
    breadth = min(34.0, room * 0.36)
    drawn = _share_axis(top)
    for index, label in enumerate(bars.labels):
        middle = LEFT + room * (index + 0.5)
        for share, ink, side in ((bars.before[index], "before", -1), (bars.after[index], "after", 1)):
            x = middle - breadth - 1 if side < 0 else middle + 1
            y = _level(share, top)
            bar = {"x": x, "y": y, "width": breadth, "height": HEIGHT - BOTTOM - y, "rx": 2.5, "fill": colour(ink)}
            words = f"{label}: {ink} {spell_share(share)}"
            drawn.append(element("rect", bar, element("title", {}, clean(words))))
        look = {"font-size": SMALL_PX, "text-anchor": "middle", "fill": colour("soft")}
        fitting = _fitting(label, room - 4)
        drawn.append(text(middle, HEIGHT - BOTTOM + 16, fitting, look))
    return _frame(f"{name}: share of the requests", *drawn)


def _fitting(label: str, room: float) -> str:
    if text_width(label, SMALL_PX) <= room:
        return label
    kept = [n for n in range(len(label)) if text_width(label[:n] + "…", SMALL_PX) <= room]
    return label[: max(kept, default=0)] + "…"
