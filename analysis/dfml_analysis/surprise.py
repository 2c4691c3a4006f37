"""How surprising each row of each variable is, alone and given its parents, calibrated on the reference's own rows.

A surprise is counted in digits: minus the logarithm to base 10 of the chance of something as far off in a normal row.
The chance is the share of the reference's rows (left out when predicted) that are as far off; beyond the largest of
them a Pareto tail is fitted to the upper 5 % (peaks over threshold, Pickands 1975), never lighter than ``LIGHTEST``.
Whether a variable is there at all is a surprise of its own, given which of its parents are there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dfml_analysis.columns import Kind
from dfml_analysis.prediction import MIN_SHARE, Deviations, Known, conditional, unconditional
from dfml_analysis.variables import ABSENT, Floats, Scale, Variable
from dfml_analysis.windows import Windows

MAX_DEVIATION = 30.0
"""Beyond this a value is as far off as can be: further digits would order nothing."""
MAX_DIGITS = 20.0
TAIL_SHARE = 0.05
MIN_TAIL_ROWS = 5
LIGHTEST, HEAVIEST = 0.05, 0.5
"""Bounds of the tail's index: lighter tails are not known from a few hundred rows, heavier ones have no variance."""


@dataclass(frozen=True, slots=True)
class Surprise:
    """One variable's rows.

    Attributes
    ----------
    alone, given : Deviations
        Signed deviations without and with the parents; upwards only where only that is bad.
    digits : Deviations
        Digits of surprise of each row given the parents, absence included.
    """

    alone: Deviations
    given: Deviations
    digits: Deviations

    def digits_of(self, deviations: Floats) -> Floats:
        """Return the digits of deviations (of any shape) given the parents, were they a new row's."""
        known = np.abs(self.given.reference)
        return _tail(known, np.abs(deviations).ravel(), own=False).reshape(deviations.shape)


def surprises(windows: Windows) -> dict[str, Surprise]:
    """Return the surprise of every variable that can be predicted, in topological order."""
    n = windows.n_rows[0]
    return {
        name: _surprise(variable, windows.parents(name), n, remembers=windows.series is not False)
        for name, variable in windows.variables.items()
        if variable.present[:n].any() and variable.kind is not Kind.QUEUE and _varies(variable)
    }


def surprise_beside(windows: Windows, name: str, known: Sequence[str]) -> Surprise:
    """Return the surprise of one variable that is also given other variables, none of which depends on it."""
    parents = [*windows.parents(name), *(windows.variables[each] for each in known)]
    return _surprise(windows.variables[name], parents, windows.n_rows[0], remembers=windows.series is not False)


def _varies(variable: Variable) -> bool:
    """Return whether anything can be surprising: not where all is the same, nor in texts unless some are absent."""
    return variable.scale not in {Scale.CONSTANT, Scale.OPAQUE} or bool(np.ptp(variable.state))


def _surprise(variable: Variable, parents: Sequence[Variable], n: int, *, remembers: bool) -> Surprise:
    child = _filled(variable, n)
    usable = [parent for parent in parents if parent.present[:n].any()]
    alone = _one_sided(variable, unconditional(child, n))
    given = _one_sided(variable, conditional(Known(child, usable, [variable, *usable] if remembers else [], n)))
    unknown = _unlearned_absence(usable, n)
    given = Deviations(given.reference, np.where(unknown, alone.current, given.current))
    digits, missing = _digits(given), _digits_of_absence(variable, parents, n)
    if missing is not None:
        digits = Deviations(
            np.maximum(digits.reference, missing.reference), np.maximum(digits.current, missing.current)
        )
    return Surprise(alone, given, digits)


def _unlearned_absence(parents: Sequence[Variable], n: int) -> np.ndarray:
    """Return the current rows that lack a parent which hardly ever was absent: they can only be looked at alone."""
    absences = [~parent.present for parent in parents if (~parent.present[:n]).mean() < MIN_SHARE]
    return np.any(absences, axis=0)[n:] if absences else np.zeros(1, dtype=bool)


def _filled(variable: Variable, n: int) -> Floats:
    """Return the values with absent ones at the reference's median; classes by how rare they are there."""
    values = variable.values
    known = values[:n][variable.present[:n]]
    if variable.scale is Scale.OPAQUE:
        return np.zeros(values.size)
    if variable.classes:
        levels, counts = np.unique(known, return_counts=True)
        share = dict(zip(levels, counts / known.size, strict=True))
        rarity = [-np.log10(share.get(value, 1.0 / (known.size + 1))) for value in values]
        return np.where(variable.present, rarity, 0.0)
    return np.where(variable.present, values, np.median(known))


def _one_sided(variable: Variable, found: Deviations) -> Deviations:
    lowest = 0.0 if variable.bad_upwards or variable.classes else -MAX_DEVIATION
    reference, current = (np.clip(part, lowest, MAX_DEVIATION) for part in (found.reference, found.current))
    return Deviations(reference, current)


def _digits(found: Deviations) -> Deviations:
    known = np.abs(found.reference)
    return Deviations(_tail(known, known, own=True), _tail(known, np.abs(found.current), own=False))


def _tail(known: Floats, values: Floats, *, own: bool) -> Floats:
    """Return the digits of values among known ones; ``own``: they are the known ones, and do not count themselves."""
    ordered = np.sort(known)
    n = ordered.size
    as_large = n - np.searchsorted(ordered, values, side="left") + (0 if own else 1)
    p = np.maximum(as_large, 1) / (n + (0 if own else 1))
    k = min(max(int(TAIL_SHARE * n), MIN_TAIL_ROWS), n - 1)
    if k < MIN_TAIL_ROWS:
        return np.asarray(-np.log10(p))
    threshold = ordered[n - k - 1]
    excess = ordered[n - k :] - threshold
    mean, variance = float(excess.mean()), float(excess.var())
    if mean <= 0.0:
        return np.asarray(-np.log10(p))
    index = float(np.clip(0.5 * (1.0 - mean**2 / max(variance, 1e-300)), LIGHTEST, HEAVIEST))
    far = np.maximum(values - threshold, 0.0) / (mean * (1.0 - index))
    beyond = np.log10(n / k) + np.log10(1.0 + index * far) / index
    return np.minimum(np.where(values > threshold, beyond, -np.log10(p)), MAX_DIGITS)


def _digits_of_absence(variable: Variable, parents: Sequence[Variable], n: int) -> Deviations | None:
    """Return the digits of each row's state among the reference's rows with the same parents there; None if all are."""
    state = variable.state
    if not state.any():
        return None
    patterns = np.column_stack([parent.state == ABSENT for parent in parents]) if parents else np.zeros((state.size, 1))
    _, pattern = np.unique(patterns, axis=0, return_inverse=True)
    pattern = pattern.reshape(-1)
    digits = np.zeros(state.size)
    for code in np.unique(pattern[state.astype(bool)]):
        alike = pattern == code
        n_known = int(alike[:n].sum())
        for kind in np.unique(state[alike]):
            rows = alike & (state == kind)
            digits[rows & (kind != 0)] = np.log10((n_known + 1) / (int(rows[:n].sum()) + 1))
    return Deviations(digits[:n], digits[n:])
