"""The figures of a localisation: how strongly each variable speaks, and since when the first suspect does."""

from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from dfml.drawing.svg import LIGHT
from dfml_analysis.onset import Since
from dfml_analysis.verdict import ALPHA
from dfml_analysis.wording import spell_p_is, spell_since

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dfml_analysis.localisation import Localisation, VariableEvidence

MAX_DIGITS = 50.0
"""Bars end here: 1e-50 and 1e-300 look the same; which it is stands beside them."""
MAX_BARS = 40
"""Variables in the figure, those with the strongest evidence; more would have no room for their names."""
MAX_LETTERS = 40
"""Of a name; longer ones lose their middle, or no room would be left for the bars."""
LINE_LETTERS = 100
"""Of the title."""


def plot_evidence(localisation: "Localisation", ax: "Axes | None" = None) -> "Axes":
    """Draw a bar a variable, -log10 of its p-value; suspects red (pale: the same change) with their p-value.

    Hatched: it could not be compared.

    Parameters
    ----------
    localisation : Localisation
    ax : matplotlib Axes, optional
        Where to draw; a new figure without it.
    """
    shown = _strongest(localisation)
    ax = ax if ax is not None else _new_axes(0.3 * max(len(shown), 2) + 1.3)
    guilty = {(suspect.variable, suspect.kind) for suspect in localisation.suspects}
    same = {(name, suspect.kind) for suspect in localisation.suspects for name in suspect.also}
    for place, item in enumerate(reversed(shown)):
        digits = min(-np.log10(max(item.p_value, 1e-300)), MAX_DIGITS)
        known = (item.variable, item.kind)
        colour = LIGHT["bad"] if known in guilty | same else LIGHT["muted"]
        shade = 0.4 if known in same else 1.0
        ax.barh(place, digits, color=colour, alpha=shade, height=0.7, hatch=None if item.comparable else "//")
        if known in guilty:
            ax.annotate(spell_p_is(item.p_value), (digits, place), (4, 0), textcoords="offset points", va="center")
    ax.axvline(-np.log10(ALPHA), color=LIGHT["ink"], linewidth=1, linestyle=":")
    ax.set_yticks(range(len(shown)), [_label(item) for item in reversed(shown)])
    ax.set_xlabel(f"evidence, -log10 p (dotted: {ALPHA})")
    ax.set_xlim(0.0, 1.2 * ax.get_xlim()[1])
    return _titled(ax, localisation.sentence)


def plot_timeline(localisation: "Localisation", ax: "Axes | None" = None) -> "Axes":
    """Draw the first suspect's evidence as it came in, with the request where it begins and its 95 % interval.

    Parameters
    ----------
    localisation : Localisation
        Without a suspect whose time was asked, the axes hold the sentence alone.
    ax : matplotlib Axes, optional
        Where to draw; a new figure without it.
    """
    ax = ax if ax is not None else _new_axes(3.2)
    onset = localisation.suspects[0].onset if localisation.suspects else None
    if onset is None:
        ax.set_axis_off()
        return _titled(ax, localisation.sentence)
    rows, odds = onset.timeline.row, onset.timeline.log10_odds
    ax.axvspan(min(rows), 0, color=LIGHT["before"], alpha=0.1, linewidth=0)
    ax.axvspan(0, max(rows), color=LIGHT["after"], alpha=0.1, linewidth=0)
    ax.plot(rows, odds, color=LIGHT["bad"])
    ax.fill_between(rows, odds, color=LIGHT["bad"], alpha=0.15)
    if onset.since is not Since.UNCLEAR:
        ax.axvspan(onset.earliest, onset.latest, color=LIGHT["bad"], alpha=0.2, linewidth=0)
        ax.axvline(onset.row, color=LIGHT["ink"], linestyle="--", linewidth=1)
    ax.set_xlim(min(rows), max(rows))
    ax.set_ylim(bottom=0.0)
    ax.set_xlabel("requests, counted from the first of the current window")
    ax.set_ylabel("evidence so far, log10 odds")
    return _titled(ax, f"{localisation.suspects[0].variable}, since {spell_since(onset)}")


def _strongest(localisation: "Localisation") -> "list[VariableEvidence]":
    if len(localisation.evidence) <= MAX_BARS:
        return list(localisation.evidence)
    return sorted(localisation.evidence, key=lambda item: item.p_value)[:MAX_BARS]


def _label(item: "VariableEvidence") -> str:
    name, half = item.variable, MAX_LETTERS // 2
    short = name if len(name) <= MAX_LETTERS else f"{name[: half - 1]}…{name[-half:]}"
    return f"{short} ({item.kind.value})"


def _new_axes(height: float) -> "Axes":
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second that only a figure is worth

    return Figure(figsize=(8.0, height), layout="constrained").subplots()


def _titled(ax: "Axes", title: str) -> "Axes":
    """Write the title over the whole figure if nothing else is in it: narrow axes have no room for it."""
    if len(ax.figure.axes) == 1:
        ax.figure.suptitle(fill(title, LINE_LETTERS), fontsize="medium", x=0.01, ha="left")
    else:
        ax.set_title(title, fontsize="medium", loc="left", wrap=True)
    ax.spines[["top", "right"]].set_visible(False)
    return ax
