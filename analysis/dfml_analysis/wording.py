"""What changed, in one clear sentence, and a variable's short name."""

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dfml_analysis.columns import Kind, parse_column
from dfml_analysis.elements import Elements
from dfml_analysis.onset import Onset, Since
from dfml_analysis.verdict import ALPHA
from dfml_analysis.versions import Load

if TYPE_CHECKING:
    from dfml_analysis.localisation import Summary, Suspect

SPREAD_TESTS = frozenset({"spread", "tails"})
SAME_MEAN_SD = 0.05
"""Means nearer than this many standard deviations read as "the same": then the shape is what changed."""
MAX_ELEMENTS = 6
"""More elements than this in a sentence are not read."""
ELEMENT = re.compile(r"(?P<name>.+)\[(?P<at>\d+)\]")
SUMMARIES = {
    "mean": "mean",
    "std": "spread",
    "min": "smallest element",
    "max": "largest element",
    "size": "size",
    "length": "length",
    "words": "number of words",
    "digits": "share of digits",
    "capitals": "share of capitals",
    "unknown": "share of unknown words",
}
SUMMARY = re.compile(rf"(?P<name>.+)\.(?P<of>{'|'.join(SUMMARIES)})")
MANY = 10_000
"""From here a number is told without decimals."""
FINE_MS = 5000
"""Within an interval shorter than this, milliseconds tell something."""
CERTAINTIES = ((1e-6, "certain"), (1e-3, "very likely"), (ALPHA, "likely"), (math.inf, "weak evidence"))
"""Up to which corrected p-value a change is called what."""
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
SMALLEST_P = 1e-300
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
        return f"{_value_of(suspect, '')}{_level(suspect, change)}"
    answer = "it answers differently" if suspect.variable == suspect.step else f"{_value_of(suspect, 'its ')} changed"
    return f"{answer}{_level(suspect, change)} for the same inputs"


def _value_of(suspect: "Suspect", whose: str) -> str:
    """Return the value's name: of a vector's elements all that show the change, of a long tensor what of it changed."""
    name = short_name(suspect.variable, suspect.step)
    if match := ELEMENT.fullmatch(name):
        also = (ELEMENT.fullmatch(short_name(other, suspect.step)) for other in suspect.also)
        places = sorted({int(found["at"]) for found in (match, *also) if found and found["name"] == match["name"]})
        return f"element{'s' if len(places) > 1 else ''} {_listed(places)} of {whose}`{match['name']}`"
    if match := SUMMARY.fullmatch(name):
        return f"the {SUMMARIES[match['of']]} of {whose}`{match['name']}`"
    return f"{whose}`{name}`"


def _listed(places: "list[int]") -> str:
    shown = [str(place) for place in places[:MAX_ELEMENTS]]
    if len(places) > MAX_ELEMENTS:
        return f"{', '.join(shown)} and {len(places) - MAX_ELEMENTS} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def spell_p(p_value: float) -> str:
    """Return a p-value as a reader takes it in: ``0.032``, ``3·10⁻¹²``."""
    if not math.isfinite(p_value):
        return "–"
    if p_value <= SMALLEST_P:
        return "< 10" + "-300".translate(SUPERSCRIPTS)
    if p_value >= 0.001:
        return f"{p_value:.2g}"
    digits, power = f"{p_value:.0e}".split("e")
    return f"{digits}·10{str(int(power)).translate(SUPERSCRIPTS)}"


def spell_p_is(p_value: float) -> str:
    """Return a p-value with its name: ``p = 0.032``, ``p < 10⁻³⁰⁰``."""
    spelled = spell_p(p_value)
    return f"p {spelled}" if spelled.startswith("<") else f"p = {spelled}"


def spell_certainty(p_value: float) -> str:
    """Return how sure a change with such a p-value is: ``certain: p = 3·10⁻¹²``."""
    word = next(word for limit, word in CERTAINTIES if p_value <= limit)
    return f"{word}: {spell_p_is(p_value)}"


def spell_compared(suspect: "Suspect") -> str:
    """Return in what a suspect's evidence was found: ``568 requests a window``; empty if not known."""
    if math.isnan(suspect.n_compared):
        return ""
    if suspect.test != "surprise":
        return f"{suspect.n_compared:,.0f} requests a window compared"
    which = "one request" if suspect.n_compared == 1 else f"{suspect.n_compared:,.0f} requests"
    return f"{which} against {suspect.before.n:,} normal ones" if suspect.before else f"{which} against normal ones"


def spell_part(value: float) -> str:
    """Return a difference with its sign: ``+1,520``, ``-0.034``."""
    if abs(value) >= MANY:
        return f"{value:+,.0f}"
    return f"{value:+,.3g}" if abs(value) < 1000 else f"{value:+,.0f}"


def spell_no_damage(unit: str, target: str) -> str:
    """Return why no part of the target's change can be told: it has no value in one of the windows."""
    return f"cannot be told in {spell_unit(unit)}: {target} has no value in one of the windows (ask in the unit absent)"


def spell_load(load: Load) -> str:
    """Return what was loaded, and when: ``2 of model classifier was loaded 2024-05-01 12:00:06 UTC``."""
    moment = datetime.fromtimestamp(load.loaded_ms / 1000, UTC).isoformat(" ", "seconds")[:-6]
    return f"{load.version} of {load.kind.lower()} {load.name} was loaded {moment} UTC"


def spell_elements(elements: Elements) -> str:
    """Return which elements changed: ``12 of 784, within [3, 4] to [5, 9], most [4, 7] (0.1 -> 0.9)``."""
    if not elements.n_changed:
        return f"none of {elements.n_elements:,} differs by itself"
    first = elements.strongest[0]
    most = f"most {list(first.place)} ({first.before:,.4g} -> {first.after:,.4g})"
    within = f"within {list(elements.first)} to {list(elements.last)}, " if elements.n_changed > 1 else ""
    return f"{elements.n_changed:,} of {elements.n_elements:,} changed, {within}{most}"


def spell_unit(unit: str) -> str:
    """Return a unit of damage in words: ``the mean``, ``the 95 % quantile``, ``the share over 250``."""
    if unit.startswith("over "):
        return f"the share {unit}"
    if unit.startswith("p"):
        return f"the {unit[1:]} % quantile"
    return "the absent share" if unit == "absent" else f"the {unit}"


def spell_since(onset: Onset) -> str:
    """Return since when, with its interval: ``2024-05-01 12:00:07 UTC (95 %: 12:00:05 to 12:00:09)``.

    Where the times are not known, requests are counted from 1 within their window.
    """
    if onset.since is Since.UNCLEAR:
        return "cannot be told: the evidence does not say where it begins"
    first, (low, high) = _moment(onset), _interval(onset)
    between = "" if low == high else f" (95 %: {low} to {high})"
    end = "" if onset.until is None else f", until {_until(onset)}"
    match onset.since:
        case Since.FROM_START:
            by = "" if high in first else f" (95 %: by {high})"
            return f"the current window's start, {first}{by}{end}"
        case Since.BEFORE:
            return f"{first}{between}, within the reference: an earlier one would show it better{end}"
        case Since.WITHIN:
            return f"{first}{between}{end}"


def _moment(onset: Onset) -> str:
    return _spell_row(onset.row) if onset.time_ms is None else f"{_spell_time(onset.time_ms, onset)} UTC"


def _interval(onset: Onset) -> tuple[str, str]:
    if onset.earliest_ms is None or onset.latest_ms is None:
        return _spell_row(onset.earliest), _spell_row(onset.latest)
    low, high = (_spell_time(moment, onset) for moment in (onset.earliest_ms, onset.latest_ms))
    return (low[11:], high[11:]) if low[:10] == high[:10] else (low, high)


def _until(onset: Onset) -> str:
    if onset.until_ms is not None:
        return _spell_time(onset.until_ms, onset)[11:]
    return _spell_row(onset.until or 0)


def _spell_row(row: int) -> str:
    return f"request {row + 1}" if row >= 0 else f"{-row} before the window"


def _spell_time(time_ms: int, onset: Onset) -> str:
    """Return a time in UTC, to the millisecond where the interval is of seconds."""
    span_ms = (onset.latest_ms or 0) - (onset.earliest_ms or 0)
    fine = "milliseconds" if span_ms < FINE_MS else "seconds"
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(" ", fine)[:-6]


def _level(suspect: "Suspect", change: str) -> str:
    before, after = suspect.before, suspect.after
    if before is None or after is None or not change:
        return ""
    if after.n == 1 < before.n:
        now, usual = change.removeprefix(" (").removesuffix(")").split(" -> ")[::-1]
        return f" ({now}; the mean is {usual})"
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
