"""The figure of a localisation: how strongly each variable speaks."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dfml_analysis.localisation import Localisation

MAX_DIGITS = 50.0
"""Bars end here: 1e-50 and 1e-300 mean the same to a reader."""


def plot_evidence(localisation: "Localisation", ax: "Axes | None" = None) -> "Axes":
    """Draw one bar a variable, -log10 of its p-value; suspects in colour, what could not be compared hatched.

    Parameters
    ----------
    localisation : Localisation
    ax : matplotlib Axes, optional
        Where to draw; a new figure without it.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second that only a figure is worth

    if ax is None:
        ax = Figure(figsize=(7.0, 0.4 * max(len(localisation.evidence), 2) + 1.0), layout="constrained").subplots()
    guilty = {(suspect.variable, suspect.kind) for suspect in localisation.suspects}
    for place, item in enumerate(reversed(localisation.evidence)):
        digits = min(-np.log10(max(item.p_value, 1e-300)), MAX_DIGITS)
        colour = "tab:red" if (item.variable, item.kind) in guilty else "tab:gray"
        ax.barh(place, digits, color=colour, hatch=None if item.comparable else "//")
    labels = [f"{item.variable} ({item.kind.value})" for item in reversed(localisation.evidence)]
    ax.set_yticks(range(len(labels)), labels)
    ax.set_xlabel("evidence of a changed mechanism, -log10 p")
    ax.set_title(localisation.sentence, fontsize="medium", wrap=True)
    return ax
