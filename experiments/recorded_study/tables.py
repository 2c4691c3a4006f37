"""The study's scores for the screen and as a figure."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from rich.table import Table

from experiments.recorded_study.scoring import Score, wilson


def render(scores: Sequence[Score]) -> Table:
    """Return the scores as a table for the terminal."""
    table = Table(title="Recorded study: the true node on top; 95 % Wilson interval")
    table.add_column("method", no_wrap=True)
    for heading in ("system", "condition"):
        table.add_column(heading)
    for heading in ("top-1", "interval", "false flags", "alarms, no fault", "failed", "median"):
        table.add_column(heading, justify="right")
    for index, item in enumerate(scores):
        low, high = wilson(item.hits, item.n)
        last = index + 1 == len(scores) or scores[index + 1].method != item.method
        table.add_row(
            item.method,
            item.system,
            item.condition,
            f"{item.hits}/{item.n}",
            f"{low:.2f}-{high:.2f}",
            "-" if item.false_flags is None else f"{item.false_flags}/{item.n}",
            "-" if item.alarms is None else f"{item.alarms}/{item.n_control}",
            str(item.failed),
            f"{item.median_seconds * 1000:.1f} ms",
            end_section=last,
        )
    return table


def draw(scores: Sequence[Score], path: Path) -> None:
    """Write a figure: top-1 of each method in each condition, with its interval."""
    conditions = list(dict.fromkeys((item.system, item.condition) for item in scores))
    methods = list(dict.fromkeys(item.method for item in scores))
    figure = Figure(figsize=(3.2 * len(conditions) + 1.5, 0.42 * len(methods) + 1.3), layout="constrained")
    panels = figure.subplots(1, len(conditions), sharey=True, squeeze=False)[0]
    for panel, (system, condition) in zip(panels, conditions, strict=True):
        for item in scores:
            if (item.system, item.condition) != (system, condition):
                continue
            share, (low, high) = item.hits / max(item.n, 1), wilson(item.hits, item.n)
            height = len(methods) - methods.index(item.method)
            colour = "tab:blue" if item.method == "dfml" else "tab:gray"
            panel.plot([low, high], [height, height], color=colour, linewidth=2)
            panel.plot([share], [height], "o", color=colour)
        panel.set(title=f"{system}\n{condition}", xlim=(-0.03, 1.03), xlabel="top-1")
        panel.set_yticks([len(methods) - index for index in range(len(methods))], methods)
        panel.grid(axis="x", alpha=0.3)
    figure.savefig(path, dpi=120)
