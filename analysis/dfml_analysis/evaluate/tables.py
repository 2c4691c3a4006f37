"""The scores for the terminal: one table a suite, a block a condition, a row a method."""

import math
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from dfml_analysis.evaluate.scores import OWN, Score, Share

HEADINGS = ("n", "top-1", "top-3", "Avg@5", "false flags", "alarms", "failed", "median", "p90", "memory", "x dfml")


def render(scores: Sequence[Score]) -> list[Table]:
    """Return a table for each suite; shares stand with their 95 % interval."""
    suites = dict.fromkeys(item.suite for item in scores)
    return [_table(suite, [item for item in scores if item.suite == suite]) for suite in suites]


def _table(suite: str, scores: Sequence[Score]) -> Table:
    table = Table(
        title=f"{suite}: shares with 95 % Wilson intervals", box=SIMPLE_HEAD, pad_edge=False, title_justify="left"
    )
    table.add_column("condition")
    table.add_column("method", no_wrap=True)
    for heading in HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    previous = ""
    for index, item in enumerate(scores):
        last = index + 1 == len(scores) or scores[index + 1].condition != item.condition
        condition = "" if item.condition == previous else item.condition
        style = "bold" if item.method == OWN else None
        table.add_row(condition, *cells(item), end_section=last, style=style)
        previous = item.condition
    return table


def cells(item: Score) -> tuple[str, ...]:
    """Return the method and what stands under ``HEADINGS``."""
    return (
        item.method,
        str(item.n),
        spell_share(item.top1),
        spell_share(item.top3),
        "" if item.avg5 is None else f"{item.avg5:.2f}",
        spell_share(item.false_flags),
        spell_share(item.alarms) if item.control else "",
        str(item.failed or ""),
        spell_seconds(item.median_seconds),
        spell_seconds(item.p90_seconds),
        "" if item.peak_mb is None else f"{item.peak_mb:.0f} MB",
        "" if item.time_ratio is None or item.method == OWN else f"{item.time_ratio:.3g}",
    )


def spell_share(share: Share | None) -> str:
    """Return a share with its interval: ``0.90 (0.60-0.98)``; nothing for what does not apply."""
    if share is None or not share.n:
        return ""
    low, high = share.interval
    return f"{share.value:.2f} ({low:.2f}-{high:.2f})"


def spell_seconds(seconds: float) -> str:
    """Return a time in ms under a second, else in s."""
    if math.isnan(seconds):
        return ""
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
