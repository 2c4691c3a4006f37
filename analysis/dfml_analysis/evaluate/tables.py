"""The scores for the terminal: each method over all conditions, and each condition in a line."""

import math
from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from dfml_analysis.evaluate.answer import Answer
from dfml_analysis.evaluate.scores import OWN, Score, Share, overview, score

HEADINGS = (
    "n",
    "top-1",
    "top-3",
    "Avg@5",
    "false flags",
    "alarms",
    "failed",
    "median",
    "p90",
    "memory",
    "x dfml",
    "dfml there",
)


def render(answers: Sequence[Answer]) -> list[Table]:
    """Return two tables: the methods over all conditions, and the conditions with ``dfml`` and the best other."""
    if not answers:
        return []
    return [_methods_table(overview(answers)), _conditions_table(score(answers))]


def _methods_table(scores: Sequence[Score]) -> Table:
    table = _table(f"{scores[0].suite}, all conditions; shares with 95 % Wilson intervals", "method", HEADINGS)
    for item in scores:
        table.add_row(item.method, *cells(item), style="bold" if item.method == OWN else None)
    return table


def _conditions_table(scores: Sequence[Score]) -> Table:
    first = OWN if any(item.method == OWN for item in scores) else scores[0].method
    headings = ("n", f"{first}: top-1, or alarms", "false flags", "failed", "median", "best other")
    table = _table(f"{scores[0].suite}, each condition", "condition", headings)
    for condition, methods in by_condition(scores).items():
        if (item := methods.get(first)) is not None:
            others = [other for name, other in methods.items() if name != first]
            table.add_row(condition, *_line(item, others))
    return table


def _line(item: Score, others: Sequence[Score]) -> tuple[str, ...]:
    shown = spell_share(item.top1) or f"{spell_share(item.alarms)} alarms"
    best = max((other for other in others if rightness(other) is not None), key=_order, default=None)
    told = "" if best is None else f"{_spell_as(item, best)} {best.method}"
    return (str(item.n), shown, spell_share(item.false_flags), *cells(item)[6:8], told)


def _spell_as(item: Score, other: Score) -> str:
    """Return of another method what is told of this one: its top-1, or its alarms where nothing was broken."""
    share = other.alarms if item.top1 is None else other.top1
    return "" if share is None else f"{share.value:.2f}"


def _order(item: Score) -> float:
    return rightness(item) or 0.0


def by_condition(scores: Sequence[Score]) -> dict[str, Mapping[str, Score]]:
    """Return each condition's scores by method, in their order."""
    found: dict[str, dict[str, Score]] = {}
    for item in scores:
        found.setdefault(item.condition, {})[item.method] = item
    return dict(found)


def rightness(item: Score) -> float | None:
    """Return the share of faulty cases with a broken step on top, or of controls left alone; None if it cannot say."""
    if item.top1 is not None:
        return item.top1.value
    return None if item.alarms is None else 1.0 - item.alarms.value


def cells(item: Score) -> tuple[str, ...]:
    """Return what stands under ``HEADINGS``."""
    return (
        str(item.n),
        spell_share(item.top1),
        spell_share(item.top3),
        "" if item.avg5 is None else f"{item.avg5:.2f}",
        spell_share(item.false_flags),
        spell_share(item.alarms),
        str(item.failed or ""),
        spell_seconds(item.median_seconds),
        spell_seconds(item.p90_seconds),
        "" if item.peak_mb is None else f"{item.peak_mb:.0f} MB",
        "" if item.time_ratio is None or item.method == OWN else f"{item.time_ratio:.3g}",
        "" if item.own_top1 is None or item.method == OWN else f"{item.own_top1.value:.2f}",
    )


def spell_share(share: Share | None) -> str:
    """Return a share with its interval: ``0.90 (0.60-0.98)``; nothing for what does not apply."""
    if share is None:
        return ""
    low, high = share.interval
    return f"{share.value:.2f} ({low:.2f}-{high:.2f})"


def spell_seconds(seconds: float) -> str:
    """Return a time in ms under a second, else in s."""
    if math.isnan(seconds):
        return ""
    return f"{seconds * 1000:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def _table(title: str, first: str, headings: Sequence[str]) -> Table:
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False, title_justify="left")
    table.add_column(first, no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "best other" else "right")
    return table
