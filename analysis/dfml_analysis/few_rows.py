"""Few rows against many: which variables' mechanisms explain that a short window is odd, and whether it is.

For windows too short for two-sample tests (one bad request, five minutes of metrics). Each variable's score is a
product of

* *surprise*: digits of its rows given its parents, of the largest together or of their mean;
* *contrast*: how its rows move with the target's within the window, if the target moves there more than normal windows
  let it; 1 if not. Such a window catches an onset, and shows who moves with it, whatever else differs from the
  reference: then rows are surprising for how far they are from the window's calmest one;
* *coverage*: which part of all that is surprising lies in the variable and what depends on it;
* *reach*: half for what the target does not depend on.

The same scores for windows of the same length cut out of the reference give the p-values: the share of them whose
highest score is as high (conformal; the maximum makes it hold for all variables at once, Westfall, Young 1993).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np
from scipy.special import gammaln, log_ndtr

from dfml_analysis.exact import find_rule
from dfml_analysis.prediction import Deviations
from dfml_analysis.surprise import MAX_DIGITS, Surprise, surprise_beside, surprises
from dfml_analysis.variables import Floats
from dfml_analysis.verdict import ALPHA_WEAK, ALPHA_WINDOW, Verdict
from dfml_analysis.windows import Windows

MAX_ROWS = 30
"""Longer windows can be compared as samples."""
MIN_RATIO = 10
"""By so many times the reference has to be longer: normal windows of the same length are cut out of it."""
MIN_REFERENCE = 50
"""Rows, below which no normal row can be said to be rare."""
MAX_REFERENCE = 5000
"""The last rows of the reference that are learned from; more would not tell rarer things that matter."""
MAX_WINDOWS = 400
"""Windows of the reference that are scored, at even distances."""
HALF_DIGITS = 5.0
"""A surprise of so many digits counts as half explained by any cause upstream; more hardly counts for more."""
OUT_OF_REACH = 0.5
SHARPNESS = 4.0
"""The contrast counts by (1 - p)^4, p of the target's movement within the window: 0.8 at 0.05 and 0.06 at 0.5."""
CLIPPED_MEAN = 8.0


@dataclass(frozen=True, slots=True)
class Scored:
    """The scores of a short window.

    Attributes
    ----------
    names : tuple of str
    scores : array, shape (k,)
        Of each variable; 0 or more.
    p_values : array, shape (k,)
        The chance of a score as high, of any variable, in a normal window. For all but the first also of digits as
        high: what lies upstream of a fault covers much that is surprising, and need not be so itself.
    digits : array, shape (k,)
        Surprise and contrast alone.
    deviations : array, shape (k,)
        The deviation given the parents of the row that is furthest off.
    n_windows : int
        Normal windows that were compared.
    """

    names: tuple[str, ...]
    scores: Floats
    p_values: Floats
    digits: Floats
    deviations: Floats
    n_windows: int


def are_few(n_reference: int, n_current: int) -> bool:
    """Return whether the current window is to be compared with normal windows of its length."""
    return n_current < MAX_ROWS and n_reference >= max(MIN_REFERENCE, MIN_RATIO * n_current)


def score_few_rows(windows: Windows, target: str) -> Scored:
    """Score every variable of a short current window against the reference.

    Parameters
    ----------
    windows : Windows
        The current window is the shorter one, by far.
    target : str
        The variable whose change is to be explained.
    """
    found = surprises(windows)
    names = tuple(found)
    m = windows.n_rows[1]
    if not names:
        empty = np.empty(0)
        return Scored(names, empty, empty, empty, empty, 0)
    normal, here = _cut(found, m), _whole(found)
    lots = _Lots(
        _closure(windows.graph, names),
        _reach(windows.graph, names, target),
        names.index(target) if target in names else None,
        tuple(found.values()),
    )
    scores, told = (part[0] for part in _score(here, normal, lots))
    usual_scores, usual_told = _score(normal, normal, lots)
    p_values = _share_as_high(usual_scores, scores)
    beside = np.arange(scores.size) != scores.argmax()
    p_values[beside] = np.maximum(p_values, _share_as_high(usual_told, told))[beside]
    furthest = np.abs(here.given[0]).argmax(axis=0)
    return Scored(
        names=names,
        scores=scores,
        p_values=p_values,
        digits=told,
        deviations=here.given[0][furthest, np.arange(len(names))],
        n_windows=len(usual_scores),
    )


def _share_as_high(usual: Floats, found: Floats) -> Floats:
    """Return the share of normal windows, the found one among them, whose highest of any variable is as high."""
    highest = np.sort(usual.max(axis=1))
    as_high = highest.size - np.searchsorted(highest, found - 1e-9, side="left")
    return np.asarray((1.0 + as_high) / (1.0 + highest.size))


def shows_more(windows: Windows, name: str, standing: Sequence[str]) -> bool:
    """Return whether a variable's rows are surprising given other variables of its step too.

    If not, it shows what those show already (:mod:`dfml_analysis.distinct` asks the same of long windows).
    """
    variable, known = windows.variables[name], [windows.variables[each] for each in standing]
    rows = np.all([each.present for each in (variable, *known)], axis=0)
    rule = find_rule(variable, known, rows, windows.window[rows])
    if rule is not None:
        return bool(rule.broken[windows.window[rows] == 1].any())
    found = {name: surprise_beside(windows, name, standing)}
    normal, here = _cut(found, windows.n_rows[1]), _whole(found)
    usual, told = (np.maximum(cut.largest, _of_the_mean(cut.given, normal.given)) for cut in (normal, here))
    return bool(_share_as_high(usual, told[0])[0] <= ALPHA_WINDOW)


def decide_window(scored: Scored, graph: nx.DiGraph) -> Verdict:
    """Return the verdict on a short window: of the most suspect variable, a root or a step."""
    if not scored.names:
        return Verdict.NO_CHANGE
    first = int(np.argmax(scored.scores))
    if scored.p_values[first] > ALPHA_WEAK:
        return Verdict.NO_CHANGE
    if scored.p_values[first] > ALPHA_WINDOW:
        return Verdict.UNDECIDED
    return Verdict.FAULT if graph.in_degree(scored.names[first]) else Verdict.INPUT_SHIFT


@dataclass(frozen=True, slots=True)
class _Lots:
    """What does not depend on the window.

    ``covers`` (k, k) is 1 where the row's variable reaches the column's; ``reach`` (k,) is less where it does not reach
    the target.
    """

    covers: Floats
    reach: Floats
    target: int | None
    surprises: tuple[Surprise, ...]


@dataclass(frozen=True, slots=True)
class _Cut:
    """Windows of equal length: deviations (w, m, k) alone and given the parents, and largest digits (w, k)."""

    alone: Floats
    given: Floats
    largest: Floats


def _cut(found: Mapping[str, Surprise], m: int) -> _Cut:
    alone, given, digits = (np.column_stack([part.reference for part in parts]) for parts in _columns(found))
    last = max(len(alone) - m, 0)
    starts = np.unique(np.linspace(0, last, min(MAX_WINDOWS, last + 1)).astype(int))
    rows = starts[:, None] + np.arange(m)
    return _Cut(alone[rows], given[rows], _of_the_largest(digits[rows]))


def _whole(found: Mapping[str, Surprise]) -> _Cut:
    alone, given, digits = (np.column_stack([part.current for part in parts])[None] for parts in _columns(found))
    return _Cut(alone, given, _of_the_largest(digits))


def _columns(found: Mapping[str, Surprise]) -> list[list[Deviations]]:
    every = found.values()
    return [[item.alone for item in every], [item.given for item in every], [item.digits for item in every]]


def _of_the_largest(digits: Floats) -> Floats:
    """Return the digits of the largest rows of each window, shape (w, k), from those of all rows, shape (w, m, k).

    If the k-th largest row of m has the chance p, so many as large have about C(m, k) p^k. The smallest of these over k
    counts, corrected for the choice (Berk, Jones 1979).
    """
    m = digits.shape[1]
    ordered = -np.sort(-digits, axis=1)
    size = np.arange(1, m + 1)
    choices = (gammaln(m + 1) - gammaln(size + 1) - gammaln(m - size + 1)) / np.log(10.0)
    together = size[:, None] * ordered - choices[:, None]
    return np.asarray(np.clip(together.max(axis=1) - np.log10(m), 0.0, MAX_DIGITS))


def _score(cut: _Cut, normal: _Cut, lots: _Lots) -> tuple[Floats, Floats]:
    """Return scores, and surprise and contrast alone, shape (w, k)."""
    weight = _contrast_weight(cut, normal, lots.target)
    digits = (1.0 - weight) * np.maximum(cut.largest, _of_the_mean(cut.given, normal.given))
    if weight.any():
        digits += weight * _of_the_contrast(cut.given, lots.surprises)
    told = digits * (1.0 - weight * (1.0 - _together(cut.alone, lots.target)))
    mass = told / (told + HALF_DIGITS)
    coverage = (mass @ lots.covers.T) / np.maximum(mass.sum(axis=1, keepdims=True), 1e-300)
    return told * coverage * lots.reach, told


def _of_the_mean(given: Floats, normal: Floats) -> Floats:
    """Return the digits of each window's mean deviation, whose spread the normal windows tell."""
    if given.shape[1] == 1:
        return np.zeros((given.shape[0], given.shape[2]))
    usual = np.clip(normal, -CLIPPED_MEAN, CLIPPED_MEAN).mean(axis=1)
    means = np.clip(given, -CLIPPED_MEAN, CLIPPED_MEAN).mean(axis=1)
    unit = np.maximum(usual.std(axis=0), 1.0 / np.sqrt(given.shape[1]))
    z = np.abs(means - usual.mean(axis=0)) / unit
    return np.asarray(np.clip(-(log_ndtr(-z) + np.log(2.0)) / np.log(10.0), 0.0, MAX_DIGITS))


def _of_the_contrast(given: Floats, found: Sequence[Surprise]) -> Floats:
    """Return the digits of how far each window's rows are from its calmest row, shape (w, k)."""
    calmest = np.abs(given).argmin(axis=1)[:, None, :]
    apart = given - np.take_along_axis(given, calmest, axis=1)
    return _of_the_largest(np.stack([item.digits_of(apart[:, :, j]) for j, item in enumerate(found)], axis=2))


def _contrast_weight(cut: _Cut, normal: _Cut, target: int | None) -> Floats:
    """Return by how much the contrast counts in each window, shape (w, 1)."""
    if target is None or cut.alone.shape[1] == 1:
        return np.zeros((cut.alone.shape[0], 1))
    p = np.zeros(cut.alone.shape[0])
    for moves, usual in ((cut.alone, normal.alone), (cut.given, normal.given)):
        ranges, known = (np.ptp(part[:, :, target], axis=1) for part in (moves, usual))
        larger = known.size - np.searchsorted(np.sort(known), ranges - 1e-9)
        p = np.maximum(p, (1.0 + larger) / (1.0 + known.size))
    return (1.0 - np.minimum(p, 1.0))[:, None] ** SHARPNESS


def _together(alone: Floats, target: int | None) -> Floats:
    """Return the absolute correlation of each variable with the target within each window, shape (w, k)."""
    if target is None:
        return np.ones((alone.shape[0], alone.shape[2]))
    centred = alone - alone.mean(axis=1, keepdims=True)
    norms = np.sqrt((centred**2).sum(axis=1))
    products = np.einsum("wmk,wm->wk", centred, centred[:, :, target])
    both = norms * norms[:, target][:, None]
    return np.where(both > 0, np.abs(products) / np.maximum(both, 1e-300), 0.0)


def _closure(graph: nx.DiGraph, names: tuple[str, ...]) -> Floats:
    index = {name: place for place, name in enumerate(names)}
    covers = np.eye(len(names))
    for name in names:
        covers[index[name], [index[each] for each in nx.descendants(graph, name) if each in index]] = 1.0
    return covers


def _reach(graph: nx.DiGraph, names: tuple[str, ...], target: str) -> Floats:
    upstream = nx.ancestors(graph, target) | {target}
    return np.array([1.0 if name in upstream else OUT_OF_REACH for name in names])
