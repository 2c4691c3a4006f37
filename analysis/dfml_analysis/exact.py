"""Exact functions: a child that its parents determine in the reference, and the current rows that break the rule.

Three forms are recognised: a polynomial of degree two (sums, copies, products, choices between columns), a product of
powers (ratios, rescalings; all numbers positive), and a step function of one number. A rule that held in n rows is
believed to go on holding: the chance that a row breaks it has the prior Beta(``PRIOR``, 1), so two broken rows in a
thousand are already strong evidence for a number, as they are to a programmer.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
from scipy.special import logsumexp
from scipy.stats import betabinom

from dfml_analysis.evidence import Evidence
from dfml_analysis.variables import Floats, Scale, Variable

TOLERANCE = 1e-6
"""Part of the child's range within which a value is the rule's: above single precision, below any effect."""
PRIOR = 0.01
CLASS_PRIOR = 1.0
"""A discrete child may agree n times by luck (an error of one request in a thousand), so nothing is presumed of it."""
MIN_ROWS = 8
ROWS_PER_COLUMN = 3
REFUTING_ROWS = 2
"""So many rows a column are asked first whether any rule can hold: mostly they say that none does."""
REFUTED = 2.0
"""Times the tolerance, for what rounding leaves."""
MAX_LINEAR = 8
"""Products are tried up to this many columns: 8 make 44, which a window of 132 rows can still refute."""
MAX_STEPS = 4
ROWS_PER_STEP = 20
MAX_PROBABILITY = 0.98
"""Current rows whose parents are almost never met in the reference do not count: the rule was not seen there."""


@dataclass(frozen=True, slots=True)
class Rule:
    """An exact rule found in the reference.

    Attributes
    ----------
    form : str
        ``polynomial``, ``powers`` or ``steps``.
    broken : array of bool, shape (n,)
        Rows of either window that break it.
    """

    form: str
    broken: np.ndarray


@dataclass(frozen=True, slots=True)
class _Form:
    """A kind of rule: its columns at chosen rows, and what they have to add up to, shape (n,)."""

    name: str
    columns: Callable[[np.ndarray], Floats]
    target: Floats


def find_rule(child: Variable, parents: Sequence[Variable], rows: np.ndarray, window: Floats) -> Rule | None:
    """Return the exact rule that the reference obeys without exception, or None.

    Parameters
    ----------
    child, parents : Variable
    rows : array of bool
        The rows to look at; child and parents are present there.
    window : array
        0 reference, 1 current, for those rows.
    """
    y, reference = child.values[rows], window == 0
    if int(reference.sum()) < MIN_ROWS or not parents:
        return None
    for form in _forms(y, parents, rows):
        broken = _broken_rows(form, reference)
        if broken is not None:
            return Rule(form.name, broken)
    return _step_rule(child, parents, rows, reference) if child.scale is Scale.DISCRETE else None


def rule_evidence(rule: Rule, probability: Floats, window: Floats, scale: Scale) -> Evidence:
    """Return the evidence that the current window breaks a rule of the reference.

    Parameters
    ----------
    rule : Rule
    probability, window : arrays, shape (n,)
        For the rule's rows: of the current window given the parents (:mod:`dfml_analysis.overlap`), and which it is.
    scale : Scale
        The child's.
    """
    comparable = (window == 1) & (probability <= MAX_PROBABILITY)
    n_current, n_broken = int(comparable.sum()), int((rule.broken & comparable).sum())
    if n_broken == 0:
        return Evidence("exact rule", 0.0, 0.0, float(n_current))
    n_reference = int((window == 0).sum())
    at_least = np.arange(n_broken, n_current + 1)
    prior = CLASS_PRIOR if scale is Scale.DISCRETE else PRIOR
    log_p = float(logsumexp(betabinom.logpmf(at_least, n_current, prior, n_reference + 1)))
    return Evidence("exact rule", log_p, n_broken / n_current, float(n_current))


def _forms(y: Floats, parents: Sequence[Variable], rows: np.ndarray) -> Iterator[_Form]:
    numbers = [parent.values[rows] for parent in parents if parent.scale is Scale.NUMERIC]
    flags = [
        (parent.values[rows] == level).astype(np.float64)
        for parent in parents
        if parent.scale is Scale.DISCRETE
        for level in np.unique(parent.values[rows])[1:]
    ]
    scaled = [_scaled(column) for column in numbers]
    yield _Form("polynomial", partial(_linear, [*flags, *scaled]), y)
    if len(flags) + len(scaled) <= MAX_LINEAR:
        yield _Form("polynomial", partial(_quadratic, flags, scaled), y)
    if numbers and (y > 0).all() and all((column > 0).all() for column in numbers):
        yield _Form("powers", partial(_powers, flags, numbers), np.log(y))


def _linear(columns: Sequence[Floats], rows: np.ndarray) -> Floats:
    return np.column_stack([np.ones(rows.size), *(column[rows] for column in columns)])


def _quadratic(flags: Sequence[Floats], numbers: Sequence[Floats], rows: np.ndarray) -> Floats:
    linear = _linear([*flags, *numbers], rows)
    squares = linear[:, 1 + len(flags) :] ** 2
    return np.column_stack([linear, squares, *(left * right for left, right in combinations(linear.T[1:], 2))])


def _powers(flags: Sequence[Floats], numbers: Sequence[Floats], rows: np.ndarray) -> Floats:
    return np.column_stack([_linear(flags, rows), *(np.log(column[rows]) for column in numbers)])


def _broken_rows(form: _Form, reference: np.ndarray) -> np.ndarray | None:
    known = np.flatnonzero(reference)
    target = form.target[known]
    spread = float(np.ptp(target))
    if spread == 0.0 or _is_refuted(form, known, spread):
        return None
    columns = form.columns(np.arange(reference.size))
    left, singular, right = np.linalg.svd(columns[known], full_matrices=False)
    kept = singular > 1e-10 * singular[0]
    if kept.sum() * ROWS_PER_COLUMN > known.size:
        return None
    coefficients = right[kept].T @ (left[:, kept].T @ target / singular[kept])
    error = np.abs(form.target - columns @ coefficients)
    leverage = (left[:, kept] ** 2).sum(axis=1)
    left_out = error[reference] / np.maximum(1.0 - leverage, 1e-12)
    return None if left_out.max() > TOLERANCE * spread else np.asarray(error > 10 * TOLERANCE * spread)


def _is_refuted(form: _Form, known: np.ndarray, spread: float) -> bool:
    """Return whether some of the known rows already tell that no coefficients obey; never True where all rows obey.

    The rule's own coefficients leave at most ``TOLERANCE`` of each row, and least squares leave these rows no more.
    """
    n_rows = REFUTING_ROWS * form.columns(known[:1]).shape[1]
    if n_rows >= known.size:
        return False
    few = known[:: known.size // n_rows]
    columns, wanted = form.columns(few), form.target[few]
    rest = wanted - columns @ np.linalg.lstsq(columns, wanted, rcond=None)[0]
    return bool(np.sqrt(rest @ rest) > REFUTED * TOLERANCE * spread * np.sqrt(wanted.size))


def _step_rule(child: Variable, parents: Sequence[Variable], rows: np.ndarray, reference: np.ndarray) -> Rule | None:
    y = child.values[rows]
    for parent in parents:
        if parent.scale is not Scale.NUMERIC:
            continue
        x = parent.values[rows]
        order = np.argsort(x[reference], kind="stable")
        known_x, known_y = x[reference][order], y[reference][order]
        n_steps = int((np.diff(known_y) != 0).sum())
        if not 0 < n_steps <= min(MAX_STEPS, known_x.size // ROWS_PER_STEP):
            continue
        below = known_y[np.clip(np.searchsorted(known_x, x, side="right") - 1, 0, known_x.size - 1)]
        above = known_y[np.clip(np.searchsorted(known_x, x, side="left"), 0, known_x.size - 1)]
        return Rule("steps", (below == above) & (y != below))
    return None


def _scaled(column: Floats) -> Floats:
    spread = column.std()
    return (column - column.mean()) / spread if spread > 0 else np.zeros_like(column)
