"""The scores as figures: how often each method is right against how long it takes, and where."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dfml_analysis.evaluate.scores import OWN, Score
from dfml_analysis.evaluate.tables import by_condition, rightness

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OWN_COLOUR, OTHER_COLOUR = "#c3273a", "#5b6b82"
LIGHT_TEXT_FROM = 0.55
"""Cells darker than this have white numbers."""


def draw_methods(scores: Sequence[Score]) -> "Figure":
    """Return a figure of :func:`dfml_analysis.evaluate.scores.overview`: top-1, alarms and time, a row a method."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second that only a figure is worth

    figure = Figure(figsize=(10.0, 0.32 * len(scores) + 1.4), layout="constrained")
    right, alarms, seconds = figure.subplots(1, 3, sharey=True)
    ordered = sorted(scores, key=lambda item: item.top1.value if item.top1 else 0.0)
    for place, item in enumerate(ordered):
        for axes, share in ((right, item.top1), (alarms, item.alarms)):
            if share is not None:
                axes.plot(share.interval, [place, place], color=_colour(item), linewidth=2)
                axes.plot([share.value], [place], "o", color=_colour(item))
        seconds.plot([item.median_seconds, item.p90_seconds], [place, place], color=_colour(item), linewidth=2)
        seconds.plot([item.median_seconds], [place], "o", color=_colour(item))
    right.set(title="culprit on top", xlim=(-0.03, 1.03), xlabel="share of the faulty cases")
    alarms.set(title="alarms without a fault", xlim=(-0.03, 1.03), xlabel="share of the controls")
    seconds.set(title="time", xscale="log", xlabel="seconds a case, median to p90", xlim=_decades(scores))
    seconds.xaxis.set_major_formatter("{x:g}")
    seconds.xaxis.set_minor_formatter("")
    right.set_yticks(range(len(ordered)), [item.method for item in ordered])
    for axes in (right, alarms, seconds):
        _clean(axes)
    return figure


def draw_conditions(scores: Sequence[Score]) -> "Figure":
    """Return a figure with a row a condition and a column a method: how often each is right, as shades and numbers."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - see draw_methods

    conditions = by_condition(scores)
    methods = list(dict.fromkeys(item.method for item in scores))
    figure = Figure(figsize=(0.62 * len(methods) + 4.2, 0.26 * len(conditions) + 1.8), layout="constrained")
    axes = figure.subplots()
    values = [[rightness(found[name]) if name in found else None for name in methods] for found in conditions.values()]
    shades = [[float("nan") if value is None else value for value in row] for row in values]
    axes.imshow(shades, cmap="YlGnBu", vmin=0.0, vmax=1.0, aspect="auto")
    for place, row in enumerate(values):
        for column, value in enumerate(row):
            if value is not None:
                colour = "white" if value > LIGHT_TEXT_FROM else "black"
                axes.text(column, place, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(range(len(methods)), methods, rotation=45, ha="left", fontsize=8)
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(conditions)), list(conditions), fontsize=8)
    axes.tick_params(length=0)
    axes.set_xlabel("culprit on top; for conditions without a fault: left alone; blank: cannot say", fontsize=8)
    for side in axes.spines.values():
        side.set_visible(False)
    return figure


def _decades(scores: Sequence[Score]) -> tuple[float, float] | None:
    """Return the powers of ten around all times, so that the axis has two labels or more; None without a time."""
    times = [time for item in scores for time in (item.median_seconds, item.p90_seconds) if time > 0]
    if not times:
        return None
    return 10.0 ** math.floor(math.log10(min(times))), 10.0 ** (math.floor(math.log10(max(times))) + 1)


def _colour(item: Score) -> str:
    return OWN_COLOUR if item.method == OWN else OTHER_COLOUR


def _clean(axes: "Axes") -> None:
    axes.grid(axis="x", alpha=0.3)
    axes.tick_params(length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
