"""What changed, in one clear sentence, and a variable's short name."""

import math
from typing import TYPE_CHECKING

from dfml_analysis.columns import Kind, parse_column

if TYPE_CHECKING:
    from dfml_analysis.localisation import Summary, Suspect

SPREAD_TESTS = frozenset({"spread", "tails"})
SAME_MEAN_SD = 0.05
"""Means nearer than this many standard deviations read as "the same": then the shape is what changed."""
MANY = 10_000
"""From here a number is told without decimals."""
SHARES = frozenset({Kind.PRESENCE, Kind.ERROR})


def short_name(variable: str, step: str) -> str:
    """Return a variable's name without its step and port: ``payout`` for ``simple.outputs.payout``.

    Examples
    --------
    >>> short_name("simple.outputs.scores[1]", "simple")
    'scores[1]'
    >>> short_name("simple.latency_ms", "simple")
    'latency'
    >>> short_name("count1", "count1")
    'count1'
    """
    column = parse_column(variable)
    if column.port is not None:
        return variable.removeprefix(f"{column.step}.{column.port}.")
    return variable.removeprefix(f"{step}.").removesuffix("_ms")


def spell_before_after(suspect: "Suspect") -> tuple[str, str]:
    """Return what a suspect was and is: a share, a median in ms or a mean; empty where it is not known."""
    if suspect.before is None or suspect.after is None:
        return "", ""
    return _spell(suspect.before, suspect), _spell(suspect.after, suspect)


def spell_change(suspect: "Suspect") -> str:
    """Return the part of a sentence that tells what changed: ``it fails more often than before (0% -> 15%)``."""
    before, after = spell_before_after(suspect)
    change = f" ({before} -> {after})" if before or after else ""
    name = f"`{short_name(suspect.variable, suspect.step)}`"
    column = parse_column(suspect.variable)
    is_input = column.port == "inputs"
    if suspect.kind is Kind.ERROR:
        return f"it fails more often than before{change}"
    if suspect.kind is Kind.LATENCY:
        return f"it is slower than before{change}"
    if suspect.kind is Kind.PRESENCE:
        what = f"{name} is there" if is_input else "it answers" if column.port is None else f"it answers {name}"
        return f"{what} {_how_often(suspect)}{change}" + ("" if is_input else " for the same inputs")
    if suspect.kind is Kind.INPUT:
        return f"{name}{_level(suspect, change)}"
    answer = "it answers differently" if suspect.variable == suspect.step else f"its {name} changed"
    return f"{answer}{_level(suspect, change)} for the same inputs"


def _level(suspect: "Suspect", change: str) -> str:
    before, after = suspect.before, suspect.after
    if before is None or after is None or not change:
        return ""
    if abs(after.mean - before.mean) > SAME_MEAN_SD * max(before.sd, 1e-300):
        return f" (mean {change.removeprefix(' (')}"
    if suspect.test in SPREAD_TESTS:
        return f" (spread {before.sd:,.4g} -> {after.sd:,.4g})"
    return ""


def _how_often(suspect: "Suspect") -> str:
    before, after = suspect.before, suspect.after
    if before is None or after is None or _share(before, suspect) == _share(after, suspect):
        return "in other cases than before"
    return f"{'more' if _share(after, suspect) > _share(before, suspect) else 'less'} often than before"


def _spell(summary: "Summary", suspect: "Suspect") -> str:
    if suspect.kind in SHARES:
        share = 100 * _share(summary, suspect)
        return f"{share:.0f}%" if share in {0.0, 100.0} or 1 <= share <= 99 else f"{share:.2g}%"
    value = summary.median if suspect.kind is Kind.LATENCY else summary.mean
    if math.isnan(value):
        return "none"
    unit = " ms" if suspect.kind is Kind.LATENCY else ""
    if abs(value) >= MANY:
        return f"{value:,.0f}{unit}"
    return f"{value:,.2g}{unit}" if unit else f"{value:,.4g}"


def _share(summary: "Summary", suspect: "Suspect") -> float:
    """Return how often the event is: the mean of a column of zeros and ones, else how often there is a value."""
    if suspect.variable.endswith((".presence", ".error")) or suspect.kind is Kind.ERROR:
        return 0.0 if math.isnan(summary.mean) else summary.mean
    return summary.n_present / max(summary.n, 1)
