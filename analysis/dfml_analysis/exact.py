"""Exact functions: a child that its parents determine in the reference, and the current rows that break the rule.

Three forms are recognised: a polynomial of degree two (sums, copies, products, choices between columns), a product of
powers (ratios, rescalings; all numbers positive), and a step function of one number. A rule that held in n rows is
believed to go on holding: the chance that a row breaks it has the prior Beta(``PRIOR``, 1), so two broken rows in a
thousand are already strong evidence for a number, as they are to a programmer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
    for form, columns, target in _forms(y, parents, rows):
        broken = _broken_rows(columns, target, reference)
        if broken is not None:
            return Rule(form, broken)
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


def _forms(y: Floats, parents: Sequence[Variable], rows: np.ndarray) -> Iterator[tuple[str, Floats, Floats]]:
    numbers = [parent.values[rows] for parent in parents if parent.scale is Scale.NUMERIC]
    flags = [
        (parent.values[rows] == level).astype(np.float64)
        for parent in parents
        if parent.scale is Scale.DISCRETE
        for level in np.unique(parent.values[rows])[1:]
    ]
    linear = [*flags, *(_scaled(column) for column in numbers)]
    squares = [_scaled(column) ** 2 for column in numbers]
    products = [left * right for left, right in combinations(linear, 2)] if len(linear) <= MAX_LINEAR else []
    ones = np.ones(y.size)
    yield "polynomial", np.column_stack([ones, *linear]), y
    if len(linear) <= MAX_LINEAR:
        yield "polynomial", np.column_stack([ones, *linear, *squares, *products]), y
    if numbers and (y > 0).all() and all((column > 0).all() for column in numbers):
        yield "powers", np.column_stack([ones, *flags, *(np.log(column) for column in numbers)]), np.log(y)


def _broken_rows(columns: Floats, target: Floats, reference: np.ndarray) -> np.ndarray | None:
    n = int(reference.sum())
    known = columns[reference]
    spread = float(np.ptp(target[reference]))
    if spread == 0.0 or _is_refuted(known, target[reference], spread):
        return None
    left, singular, right = np.linalg.svd(known, full_matrices=False)
    kept = singular > 1e-10 * singular[0]
    if kept.sum() * ROWS_PER_COLUMN > n:
        return None
    coefficients = right[kept].T @ (left[:, kept].T @ target[reference] / singular[kept])
    error = np.abs(target - columns @ coefficients)
    leverage = (left[:, kept] ** 2).sum(axis=1)
    left_out = error[reference] / np.maximum(1.0 - leverage, 1e-12)
    return None if left_out.max() > TOLERANCE * spread else np.asarray(error > 10 * TOLERANCE * spread)


def _is_refuted(known: Floats, target: Floats, spread: float) -> bool:
    """Return whether some of the rows already tell that no coefficients obey; never True where all rows obey.

    The rule's own coefficients leave at most ``TOLERANCE`` of each row, and least squares leave these rows no more.
    """
    n_rows = REFUTING_ROWS * known.shape[1]
    if n_rows >= len(known):
        return False
    few, wanted = known[:: len(known) // n_rows], target[:: len(known) // n_rows]
    rest = wanted - few @ np.linalg.lstsq(few, wanted, rcond=None)[0]
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
