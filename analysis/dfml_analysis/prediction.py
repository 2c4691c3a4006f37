"""What the reference says a variable should be, given its parents: predicted values and how far off is usual.

The simplest form that predicts rows left out (blocks of a fifth) is taken: nothing but the mean; linear in the parents;
a dictionary of squares, products and hinges; the last two with the row before (its own value and its parents'), for
variables that remember. Linear forms extrapolate, the dictionary does not: there parents are held at the edge of what
the reference knows. The spread may depend on the parents as well (log-linear regression of the absolute residuals).
Predictions far from what was learned are less certain (leverage), and so are surprises about them.

Reference residuals are of rows left out, so that they are as large as those of new rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from dfml_analysis.variables import Floats, Variable

N_FOLDS = 5
RIDGE = 1.0
"""Of a standardised column: one row's worth of doubt about each coefficient."""
SPREAD_RIDGE = 20.0
GAIN = 0.02
"""A richer form has to save this part of the loss; what saves less extrapolates for nothing."""
SPREAD_GAIN = 0.03
CLIPPED_LOSS = 25.0
"""Squared standard deviations: one wild row shall not choose the form."""
MIN_ROWS_FOR_DICTIONARY = 40
MIN_ROWS_FOR_SPREAD = 100
ROWS_PER_COLUMN = 5
MAX_COLUMNS = 60
MIN_SHARE = 0.05
"""Of rows in which a parent is absent (or there): what is rarer is not learned from, nor is it used."""
KNOTS = (-1.3, -0.5, 0.0, 0.5, 1.3)
"""Of hinges, in standard deviations: about the quantiles 0.1, 0.3, 0.5, 0.7 and 0.9."""
MARGIN_SD = 0.25
STEEPNESS = 1.0
"""What a parent beyond the reference's range may be worth, in parts of what the same step within the range is."""
MAX_PRODUCTS = 12
"""Products are formed of the first so many numbers: 66 columns, and the budget ends them sooner."""
NORMAL_MAD = 1.4826
NORMAL_98 = 4.65
"""Standard deviations between the 1 % and the 99 % quantile of a normal distribution."""
ROUNDING = 1e-12
"""Of a column's largest value: what varies less is constant."""
SMALLEST_SPREAD = 1e-6
"""Part of the child's own spread below which a residual is rounding."""


@dataclass(frozen=True, slots=True)
class Deviations:
    """By how many usual deviations the rows are off what their parents say.

    Attributes
    ----------
    reference : array, shape (n,)
        Rows left out when predicted.
    current : array, shape (m,)
    """

    reference: Floats
    current: Floats


@dataclass(frozen=True, slots=True)
class Known:
    """A child and what it is predicted from, rows of the reference first.

    Attributes
    ----------
    child : array, shape (n + m,)
        Absent values filled in.
    parents, before : sequence of Variable
        The parents, and what the row before may tell: the child itself, then its parents.
    n : int
        Rows of the reference.
    """

    child: Floats
    parents: Sequence[Variable]
    before: Sequence[Variable]
    n: int


@dataclass(frozen=True, slots=True)
class _Form:
    """A regression's columns, shape (n + m, p), and what tells how unsure it is beyond the reference's range.

    ``inside`` are the columns as far within the range as a row's parents lie beyond it; for linear forms, which
    extrapolate, the columns themselves.
    """

    columns: Floats
    inside: Floats

    def and_also(self, columns: Floats) -> "_Form":
        """Return the form with further columns."""
        return _Form(*(np.column_stack([each, columns]) for each in (self.columns, self.inside)))


def unconditional(child: Floats, n: int) -> Deviations:
    """Return the deviations from the reference's mean; parameters as in :class:`Known`."""
    nothing = _nothing(child.size)
    return _deviations(Known(child, (), (), n), nothing, nothing)


def conditional(known: Known) -> Deviations:
    """Return the deviations from what the parents say; the row before the first current one is not known."""
    if not known.parents and not known.before:
        return unconditional(known.child, known.n)
    linear = _linear(known.parents, known)
    forms = [_nothing(known.child.size)]
    if linear.shape[1]:
        forms.append(_Form(linear, linear))
        if known.n >= MIN_ROWS_FOR_DICTIONARY:
            forms.append(_Form(*_dictionary(linear, known.n)))
    alone = _best(known, forms)
    found = _deviations(known, alone, forms[-1])
    if not known.before or known.child.size - known.n < 2:
        return found
    remembered = _linear(known.before, known, shift=1)
    best = _best(known, [alone, *(form.and_also(remembered) for form in forms)])
    if best is alone:
        return found
    later = _deviations(known, best, forms[-1])
    return Deviations(later.reference, np.concatenate([found.current[:1], later.current[1:]]))


def _nothing(size: int) -> _Form:
    return _Form(np.empty((size, 0)), np.empty((size, 0)))


def _linear(variables: Sequence[Variable], known: Known, shift: int = 0) -> Floats:
    """Return classes, absences and numbers as standardised columns, of so many rows before."""
    n = known.n
    raw = [column for variable in variables for column in _columns(variable, n)]
    table = np.column_stack(raw) if raw else np.empty((known.child.size, 0))
    table = np.roll(table, shift, axis=0)
    table[:shift] = table[shift : shift + 1]
    return _varying(table, n)


def _varying(table: Floats, n: int) -> Floats:
    """Return the columns that vary in the reference, in its standard deviations."""
    mean, sd = table[:n].mean(axis=0), table[:n].std(axis=0)
    kept = sd > ROUNDING
    return np.asarray((table - mean)[:, kept] / sd[kept])


def _columns(variable: Variable, n: int) -> Iterator[Floats]:
    absent = ~variable.present
    if MIN_SHARE <= absent[:n].mean() <= 1.0 - MIN_SHARE:
        yield absent.astype(np.float64)
    known = variable.values[:n][~absent[:n]]
    if variable.classes:
        yield from ((variable.values == level).astype(np.float64) for level in np.unique(known)[1:])
    elif known.size:
        yield np.where(absent, known.mean(), variable.values) / max(float(np.abs(known).max()), 1e-300)


def _dictionary(linear: Floats, n: int) -> tuple[Floats, Floats]:
    """Return the columns, held within the reference's range, with squares, products and hinges; and those inside."""
    low, high = linear[:n].min(axis=0) - MARGIN_SD, linear[:n].max(axis=0) + MARGIN_SD
    held = np.clip(linear, low, high)
    mirrored = np.clip(2.0 * held - linear, low, high)
    raw, inside = (_terms(numbers)[:, : min(max(n // ROWS_PER_COLUMN, 1), MAX_COLUMNS)] for numbers in (held, mirrored))
    mean, sd = raw[:n].mean(axis=0), raw[:n].std(axis=0)
    kept = sd > ROUNDING
    return (raw - mean)[:, kept] / sd[kept], (inside - mean)[:, kept] / sd[kept]


def _terms(numbers: Floats) -> Floats:
    products = [left * right for left, right in combinations(numbers[:, :MAX_PRODUCTS].T, 2)]
    hinges = [np.maximum(numbers - knot, 0.0) for knot in KNOTS]
    return np.column_stack([numbers, numbers**2, *products, *hinges])


def _best(known: Known, forms: Sequence[_Form]) -> _Form:
    """Return the columns that predict best what was left out, the first of those that are about as good."""
    y = _standardised(known.child, known.n)[: known.n]
    losses = [float(np.minimum(_left_out(y, form.columns, RIDGE) ** 2, CLIPPED_LOSS).mean()) for form in forms]
    chosen = 0
    for index in range(1, len(forms)):
        if losses[index] < losses[chosen] * (1.0 - GAIN):
            chosen = index
    return forms[chosen]


def _standardised(child: Floats, n: int) -> Floats:
    scaled = child / max(float(np.abs(child[:n]).max()), 1e-300)
    spread = float(scaled[:n].std())
    if spread < ROUNDING:
        spread = 1.0
    return np.asarray((scaled - scaled[:n].mean()) / spread)


def _left_out(y: Floats, columns: Floats, ridge: float) -> Floats:
    """Return the residuals of the reference, each block predicted from the others."""
    n = y.size
    if n < N_FOLDS:
        return np.asarray(y - y.mean())
    table = np.column_stack([np.ones(n), columns[:n]])
    edges = np.linspace(0, n, N_FOLDS + 1).astype(int)
    blocks = [slice(*pair) for pair in zip(edges[:-1], edges[1:], strict=True)]
    grams = [table[block].T @ table[block] for block in blocks]
    crossed = [table[block].T @ y[block] for block in blocks]
    whole = _penalised(np.sum(grams, axis=0), ridge)
    residuals = np.empty(n)
    for block, gram, cross in zip(blocks, grams, crossed, strict=True):
        residuals[block] = y[block] - table[block] @ np.linalg.solve(whole - gram, np.sum(crossed, axis=0) - cross)
    return residuals


def _penalised(gram: Floats, ridge: float) -> Floats:
    """Return the Gram matrix with the penalty of every column but the first, which is constant."""
    penalty = np.full(len(gram), ridge)
    penalty[0] = 1e-9
    return np.asarray(gram + np.diag(penalty))


def _ridge(columns: Floats, y: Floats, ridge: float) -> tuple[Floats, Floats]:
    """Return intercept and coefficients, and the inverse of the penalised Gram matrix."""
    table = np.column_stack([np.ones(len(columns)), columns])
    inverse = np.asarray(np.linalg.inv(_penalised(table.T @ table, ridge)), dtype=np.float64)
    return inverse @ (table.T @ y), inverse


def _deviations(known: Known, form: _Form, spread_form: _Form) -> Deviations:
    n, y = known.n, _standardised(known.child, known.n)
    left_out = _left_out(y[:n], form.columns, RIDGE)
    fit, inverse = _ridge(form.columns[:n], y[:n], RIDGE)
    table, inside = (np.column_stack([np.ones(y.size - n), each[n:]]) for each in (form.columns, form.inside))
    current, leverage = y[n:] - table @ fit, ((table @ inverse) * table).sum(axis=1)
    spread = _spread(left_out, spread_form.columns)
    left_out = left_out / spread[:n]
    unit = max(_usual(left_out), SMALLEST_SPREAD)
    beyond = STEEPNESS * np.abs((table - inside) @ fit)
    doubt = np.sqrt((unit * spread[n:]) ** 2 * (1.0 + leverage) + beyond**2)
    return Deviations(left_out / unit, current / doubt)


def _spread(residuals: Floats, columns: Floats) -> Floats:
    """Return how much wider than on average each row's residual is expected to be."""
    n, size = residuals.size, len(columns)
    if n < MIN_ROWS_FOR_SPREAD or columns.shape[1] == 0:
        return np.ones(size)
    logs = np.log(np.abs(residuals) + 0.05 * residuals.std() + 1e-300)
    logs -= logs.mean()
    rest = _left_out(logs, columns, SPREAD_RIDGE)
    if (rest**2).mean() >= (1.0 - SPREAD_GAIN) * logs.var():
        return np.ones(size)
    fit, _ = _ridge(columns[:n], logs, SPREAD_RIDGE)
    return np.asarray(np.exp(np.concatenate([logs - rest, fit[0] + columns[n:] @ fit[1:]])))


def _usual(residuals: Floats) -> float:
    """Return a robust standard deviation that heavy tails widen; the plain one where most rows are alike."""
    middle = NORMAL_MAD * float(np.median(np.abs(residuals - np.median(residuals))))
    low, high = np.quantile(residuals, (0.01, 0.99))
    robust = max(middle, float(high - low) / NORMAL_98)
    return robust if robust > SMALLEST_SPREAD else float(residuals.std())
