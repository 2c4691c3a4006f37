"""Steps that remember: what the row before tells of a variable, beside its parents.

Rows are in the order of time. Where what the parents leave unexplained in the reference goes on from row to row
(autocorrelation at lag 1 beyond ``STANDARD_ERRORS``), the step is taken to have a memory of one row, and its own last
value and its parents' last values are parents too: a vector autoregression, of which only the order is presumed.
Rows in any other order have no such autocorrelation, so that nothing has to be declared; what is declared counts: of a
time series every step's row before is given, however little it tells, of what is none no step's. Inputs are not asked:
what comes in is compared as it is, with fewer independent rows (:mod:`dfml_analysis.dependence`).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import t

from dfml_analysis.basis import orthonormal
from dfml_analysis.evidence import Evidence, no_evidence
from dfml_analysis.variables import ABSENT, Floats, Scale, Variable

STANDARD_ERRORS = 4.0
"""One memoryless variable of 30,000 is taken to remember, which costs it little."""
MIN_CORRELATION = 0.1
MIN_ROWS = 50
ROUNDING = 1e-20
"""Part of the child's size (both squared) below which nothing is left to remember."""
SMALLEST_P = 1e-300
"""As small as any other test's; 0 has no logarithm."""
MAX_COLUMNS = 20
"""Parents that are regressed out before the memory is looked for."""


def row_before(variable: Variable, window: Floats) -> Variable:
    """Return a variable's values of the row before; the first row of each window has none."""
    values, state = np.roll(variable.values, 1), np.roll(variable.state, 1)
    first = first_rows(window)
    return replace(variable, values=np.where(first, np.nan, values), state=np.where(first, ABSENT, state))


def first_rows(window: Floats) -> np.ndarray:
    """Return which rows begin a window, as an array of bool."""
    return np.concatenate([[True], np.diff(window) != 0])


def remembered(
    variable: Variable, parents: Sequence[Variable], window: Floats, *, declared: bool | None = None
) -> list[Variable]:
    """Return what of the row before a variable depends on; nothing where it does not remember.

    Parameters
    ----------
    variable : Variable
    parents : sequence of Variable
    window : array, shape (n,)
        0 for the reference, which alone is looked at.
    declared : bool or None
        That it remembers, or that it does not; None: the reference says so.
    """
    if declared is False:
        return []
    chosen = [variable, *(parent for parent in parents if parent.scale is Scale.NUMERIC)]
    if not parents or variable.scale is not Scale.NUMERIC or not all(each.is_complete for each in chosen):
        return []
    rows = window == 0
    if rows.sum() < MIN_ROWS:
        return []
    if not declared:
        correlation = _memory(variable.values[rows], [each.values[rows] for each in parents if each.is_complete])
        if correlation < max(MIN_CORRELATION, STANDARD_ERRORS / np.sqrt(rows.sum())):
            return []
    return [row_before(each, window) for each in chosen]


def level_evidence(variable: Variable, given: Sequence[Variable], rows: np.ndarray, window: Floats) -> Evidence:
    """Return the evidence that a variable's level moved, if it is linear in what is given in both windows alike.

    For windows that do not overlap: a step that adds to its own last value carries a change on until the windows have
    nothing in common, and only a form that extrapolates can compare them (t-test of the window's coefficient).

    Parameters
    ----------
    variable, given : Variable
        All there in the rows.
    rows : array of bool, shape (n,)
    window : array, shape (n,)
    """
    columns = [each.values[rows] for each in given if each.scale is Scale.NUMERIC]
    n = int(np.count_nonzero(rows))
    standing = orthonormal(np.column_stack([np.ones(n), *columns]))
    freedom = n - standing.shape[1] - 1
    child, side = (_net(each, standing) for each in (variable.values[rows], window[rows]))
    power = float(side @ side)
    if freedom < 1 or power < ROUNDING * n:
        return no_evidence(0.0, "no overlap")
    coefficient = float(side @ child) / power
    spread = float(np.sqrt(np.sum((child - coefficient * side) ** 2) / freedom))
    if spread == 0.0:
        return no_evidence(float(n))
    one_sided = max(float(t.sf(abs(coefficient) * np.sqrt(power) / spread, freedom)), SMALLEST_P)
    log_p = min(float(np.log(2.0 * one_sided)), 0.0)
    return Evidence("level", log_p, coefficient / spread, float(n))


def _net(values: Floats, standing: Floats) -> Floats:
    return np.asarray(values - standing @ (standing.T @ values) / values.size)


def _memory(child: Floats, parents: Sequence[Floats]) -> float:
    """Return the autocorrelation at lag 1 of what a linear regression on the parents leaves."""
    table = np.column_stack([np.ones(child.size), *parents[:MAX_COLUMNS]])
    size = np.abs(table).max(axis=0)
    table = table[:, size > 0] / size[size > 0]
    child = child / max(float(np.abs(child).max()), 1e-300)
    residual = child - table @ np.linalg.lstsq(table, child, rcond=None)[0]
    power = float(residual @ residual)
    return float(residual[1:] @ residual[:-1]) / power if power > ROUNDING * float(child @ child) else 0.0
