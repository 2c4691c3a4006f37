"""Since when is a suspect different, and which requests say so: a change point on the suspect's own evidence.

What is followed in time is what the parents do not explain: the variable minus its overlap-weighted fit on them (for
classes and presence, each class's indicator), and the same times what the two windows' fits differ by, which shows a
dependence that turned round. Rows whose parents occur in one window only are left out.
:mod:`dfml_analysis.change_point` finds where that begins to be distributed otherwise, in either window.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import pandas as pd

from dfml_analysis.basis import most_telling, parent_columns
from dfml_analysis.change_point import ChangePoint, find_change
from dfml_analysis.columns import Kind
from dfml_analysis.exact import find_rule
from dfml_analysis.overlap import Overlap, estimate_overlap
from dfml_analysis.variables import Floats, Scale, Variable
from dfml_analysis.windows import Windows

MIN_ROWS = 5
"""Comparable rows a window; fewer tell no time."""
MAX_ROWS = 100_000
"""More are followed at every n-th: a change is then placed to within n requests."""
MIN_LOG_ODDS = float(np.log(20.0))
"""A change must be twenty times likelier than none at that place before a time is named."""
WIDEST = 0.5
"""An interval wider than this part of the current window names no time."""
N_POINTS = 200
"""Of the timeline, for a picture of some hundred pixels."""
MAX_CARRIERS = 200
"""Requests among which the guilty are chosen; each is compared with those of the reference."""
MAX_CLASSES = 12
CLIP_SD = 4.0
PATTERN_RIDGE = 1.0
SHORTEST_MS = 1e-3


class Since(StrEnum):
    """What can be said of the time."""

    WITHIN = "within"
    FROM_START = "from_start"
    BEFORE = "before"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Timeline:
    """The evidence as it came in: at most ``N_POINTS`` points over both windows.

    Attributes
    ----------
    row : tuple of int
        The request, counted from the first of the current window; negative in the reference.
    log10_odds : tuple of float
        Evidence up to there that a changed mechanism is at work, as a power of ten: Page's (1954) cumulated sum of
        the log ratios, never below 0.
    """

    row: tuple[int, ...]
    log10_odds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Onset:
    """Since when a suspect is different.

    Requests are counted from the first of the current window, 0; those of the reference are negative.

    Attributes
    ----------
    since : Since
        ``within`` the current window, ``from_start`` of it, ``before`` it (so that the reference holds some of it), or
        ``unclear``: the evidence does not tell.
    row, earliest, latest : int
        Most probable first request that shows the change, and its 95 % interval.
    until : int or None
        The first request that is as before again; None where the change goes on.
    request : str
        The id of the request at ``row``.
    time_ms, earliest_ms, latest_ms, until_ms : int or None
        When those requests entered, ms since the epoch; None where the frames do not tell.
    before_ms : int or None
        When the last request before ``earliest`` entered.
    timeline : Timeline
    """

    since: Since
    row: int
    earliest: int
    latest: int
    until: int | None
    request: str
    timeline: Timeline
    time_ms: int | None = None
    earliest_ms: int | None = None
    latest_ms: int | None = None
    until_ms: int | None = None
    before_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Followed:
    """A suspect's evidence, request by request.

    Attributes
    ----------
    rows : array of int, shape (n,)
        The requests that could be compared, the reference's first, as rows of both windows together.
    change : ChangePoint
        Where among them another mechanism begins, and how much each speaks for it.
    n_reference, n_current : int
        Requests of the windows.
    """

    rows: np.ndarray
    change: ChangePoint
    n_reference: int
    n_current: int

    def carriers(self) -> np.ndarray:
        """Return the requests that carry the evidence, as rows of the current window, the strongest first."""
        speaks = np.flatnonzero((self.rows >= self.n_reference) & (self.change.log_ratio > 0))
        strongest = speaks[np.argsort(-self.change.log_ratio[speaks], kind="stable")][:MAX_CARRIERS]
        return np.asarray(self.rows[strongest] - self.n_reference)

    def onset(self, reference: pd.DataFrame, current: pd.DataFrame) -> Onset:
        """Return since when, with ids and times of the frames that the windows were read from.

        Ids are the frames' index; times are ``attrs["started_ms"]``, or the index where it holds times.
        """
        found, at = self.change, self.rows - self.n_reference
        earliest, latest = int(at[found.earliest]), int(at[found.latest])
        since = _since((earliest, latest), found.log_odds, self.n_current)
        # Windows are parted where something happened: where the evidence allows it, that is when it began.
        row = 0 if since is Since.FROM_START else int(at[found.start])
        onset = Onset(
            since=since,
            row=row,
            earliest=earliest,
            latest=latest,
            until=int(at[found.end]) if found.end < at.size else None,
            request=str(current.index[row] if row >= 0 else reference.index[row]),
            timeline=_timeline(at, found.log_ratio),
        )
        n_rows = self.n_reference + self.n_current
        return _timed(onset, [*_times(reference), *_times(current)], self.n_reference, n_rows)


def follow(windows: Windows, name: str, kind: Kind) -> Followed | None:
    """Return the evidence of a changed variable, request by request; None where too little can be compared.

    Parameters
    ----------
    windows : Windows
    name : str
        The variable.
    kind : Kind
        Its changed aspect; ``presence`` asks whether it was there.
    """
    rows, views = _views(windows, name, kind)
    window = windows.window[rows]
    if min(int((window == side).sum()) for side in (0, 1)) < MIN_ROWS:
        return None
    return Followed(rows, find_change(views, window), *windows.n_rows)


def _since(interval: tuple[int, int], log_odds: float, n_current: int) -> Since:
    earliest, latest = interval
    if log_odds < MIN_LOG_ODDS or latest - earliest > WIDEST * n_current:
        return Since.UNCLEAR
    if latest < 0:
        return Since.BEFORE
    return Since.FROM_START if earliest <= 0 else Since.WITHIN


def _timeline(at: np.ndarray, log_ratio: Floats) -> Timeline:
    chosen = np.unique(np.linspace(0, at.size - 1, min(at.size, N_POINTS)).astype(int))
    sums = log_ratio.cumsum() / np.log(10.0)
    odds = sums - np.minimum(np.minimum.accumulate(sums), 0.0)
    return Timeline(tuple(map(int, at[chosen])), tuple(round(float(value), 3) for value in odds[chosen]))


def _times(frame: pd.DataFrame) -> list[int]:
    """Return when each request entered, ms since the epoch; nothing where the frame does not tell."""
    if isinstance(frame.index, pd.DatetimeIndex):
        return [int(moment.timestamp() * 1000) for moment in frame.index]
    started = frame.attrs.get("started_ms", ())
    return [int(moment) for moment in started] if len(started) == len(frame) else []


def _timed(onset: Onset, times: Sequence[int], n_reference: int, n_rows: int) -> Onset:
    if len(times) != n_rows:
        return onset
    first, earliest, latest = (times[row + n_reference] for row in (onset.row, onset.earliest, onset.latest))
    until = None if onset.until is None else times[onset.until + n_reference]
    before = times[max(onset.earliest + n_reference - 1, 0)]
    return replace(onset, time_ms=first, earliest_ms=earliest, latest_ms=latest, until_ms=until, before_ms=before)


def _views(windows: Windows, name: str, kind: Kind) -> tuple[np.ndarray, Floats]:
    """Return the comparable rows and what is followed over them, shape (n, k)."""
    variable, parents = _as_asked(windows.variables[name], windows.parents(name), kind)
    rows = _thinned(windows.independent(variable, variable.present))
    window = windows.window[rows]
    if not rows.any() or np.ptp(window) == 0:
        return np.zeros(0, dtype=int), np.zeros((0, 1))
    parents = most_telling(parents, rows, (window, variable.values[rows]))
    overlap = estimate_overlap(parent_columns(parents, rows).columns, window)
    met = overlap.weight > 0
    net = overlap.net_of_parents(_scores(variable, rows))
    views = [net, net * _turned(net, overlap, window)] if parents else [net]
    broken = _broken(variable, parents, rows, windows.window)
    return np.flatnonzero(rows)[met], np.column_stack([*views, *([broken] if broken is not None else [])])[met]


def _thinned(rows: np.ndarray) -> np.ndarray:
    """Return the rows, every n-th of them where they are too many."""
    chosen = np.flatnonzero(rows)
    stride = -(-chosen.size // MAX_ROWS)
    if stride <= 1:
        return rows
    kept = np.zeros_like(rows)
    kept[chosen[::stride]] = True
    return kept


def _as_asked(variable: Variable, parents: Sequence[Variable], kind: Kind) -> tuple[Variable, Sequence[Variable]]:
    """Return the variable as its changed aspect: times in logarithms, whether it is there as a class."""
    if kind is Kind.PRESENCE and variable.kind is not Kind.PRESENCE:
        state = variable.state.astype(np.float64)
        return replace(variable, values=state, state=np.zeros_like(variable.state), scale=Scale.DISCRETE), parents
    if kind is Kind.LATENCY:
        return _in_logs(variable), [_in_logs(each) if each.name.endswith("_ms") else each for each in parents]
    return variable, parents


def _in_logs(variable: Variable) -> Variable:
    return replace(variable, values=np.log(np.maximum(variable.values, SHORTEST_MS)))


def _scores(variable: Variable, rows: np.ndarray) -> Floats:
    values = variable.values[rows]
    if variable.scale is not Scale.DISCRETE:
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
        reach = 10.0 * (high - low) or np.inf
        return np.asarray(np.clip(values, middle - reach, middle + reach)[:, None])
    levels, counts = np.unique(values, return_counts=True)
    levels = levels[np.argsort(-counts, kind="stable")][:MAX_CLASSES]
    return np.asarray((values[:, None] == levels[: max(levels.size - 1, 1)]).astype(np.float64))


def _turned(net: Floats, overlap: Overlap, window: Floats) -> Floats:
    """Return by how much the windows' fits to what is left differ at each row, fitted to the other half of the rows."""
    difference = np.zeros_like(net)
    odd = np.arange(window.size) % 2 == 1
    for half in (odd, ~odd):
        current, reference = (~half & (window == side) for side in (1, 0))
        fits = [_ridge(overlap.columns[part], net[part]) for part in (current, reference)]
        difference[half] = overlap.columns[half] @ (fits[0] - fits[1])
    reach = CLIP_SD * difference.std(axis=0)
    return np.clip(difference, -reach, reach)


def _ridge(columns: Floats, targets: Floats) -> Floats:
    gram = columns.T @ columns
    gram[np.diag_indices_from(gram)] += PATTERN_RIDGE
    return np.asarray(np.linalg.solve(gram, columns.T @ targets))


def _broken(variable: Variable, parents: Sequence[Variable], rows: np.ndarray, window: Floats) -> Floats | None:
    """Return which rows break the exact rule that the reference keeps; None where it keeps none."""
    whole = rows & np.all([parent.present for parent in parents], axis=0) if parents else np.zeros_like(rows)
    rule = find_rule(variable, parents, whole, window[whole]) if whole.any() else None
    if rule is None:
        return None
    broken = np.zeros(rows.size)
    broken[whole] = rule.broken
    return np.asarray(broken[rows])
