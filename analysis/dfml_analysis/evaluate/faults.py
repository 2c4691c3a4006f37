"""What can be wrong with a simulated step or input: the fault catalogue, in standard deviations of the node.

==================  ===================================================================================================
``none``            nothing; the windows differ by chance only
``input``           an input's mean moves by ``severity``
``spread``          an input's values are spread ``1 + severity`` times as wide
``mixture``         half of an input's values move by ``severity``, the others by as much the other way
``offset``          a step adds ``severity``
``sign``            a step answers the opposite
``scale``           a step multiplies by ``1 + severity``
``branch``          a step takes the opposite of all that it reads
``swapped``         a step takes its first input for its second and the other way round
``flipped``         a step of two classes answers the other one for one request in five
``missing``         a step's answer is absent for one request in five
``missing_high``    the same, for the largest fifth of the answers
``default``         one answer in five is replaced by 0
``stuck``           a step answers the same value always
``unit``            a step answers in other units: 2.54 times the number
``saturated``       no answer is above 1 - ``severity``
``rounded``         answers are rounded to multiples of ``severity``
``stale``           each answer is that of the request before
``repeated``        one answer in five is that of the request before
``reordered``       answers are exchanged within ten requests
``burst``           ``offset``, on a tenth of the window that hangs together
==================  ===================================================================================================

``severity`` is not used by the others. Any fault can be limited to a share of the requests, and several can be at once
(:class:`dfml_analysis.evaluate.simulate.Setting`). Shapes, data types and transposed axes are no matter of single
numbers, and are not simulated.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from dfml_analysis.variables import Floats

SHARE = 0.2
BURST_SHARE = 0.1
INCHES = 2.54
REORDERED_ROWS = 10

Draw = Callable[[Floats], Floats]
"""The mechanism: from the standardised parents, shape (n, d), to the standardised child, shape (n,)."""
Damage = Callable[[Draw, Floats, float, np.random.Generator], Floats]
"""From the mechanism, its parents and the severity to what is recorded."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the catalogue.

    Attributes
    ----------
    damage : callable
    of_input : bool
        Whether it happens to a root; the others happen to steps.
    n_parents : int
        How many parents the step must have.
    family : str or None
        The family of mechanisms that the step must be of.
    """

    damage: Damage
    of_input: bool = False
    n_parents: int = 1
    family: str | None = None


def _values(change: Callable[[Floats, float, np.random.Generator], Floats], *, of_input: bool = False) -> Fault:
    """Return the fault that changes the answers, whatever the step reads."""
    return Fault(lambda draw, pa, severity, rng: change(draw(pa), severity, rng), of_input=of_input)


def _mixture(values: Floats, severity: float, rng: np.random.Generator) -> Floats:
    return values + severity * rng.choice([-1.0, 1.0], size=values.size)


def _flip(values: Floats, _severity: float, rng: np.random.Generator) -> Floats:
    low, high = values.min(), values.max()
    return np.where(rng.random(values.size) < SHARE, low + high - values, values)


def _lose(values: Floats, _severity: float, rng: np.random.Generator) -> Floats:
    return np.where(rng.random(values.size) < SHARE, np.nan, values)


def _lose_high(values: Floats, _severity: float, _rng: np.random.Generator) -> Floats:
    return np.where(values > np.quantile(values, 1 - SHARE), np.nan, values)


def _fill(values: Floats, _severity: float, rng: np.random.Generator) -> Floats:
    return np.where(rng.random(values.size) < SHARE, 0.0, values)


def _repeat(values: Floats, _severity: float, rng: np.random.Generator) -> Floats:
    return np.where(rng.random(values.size) < SHARE, np.roll(values, 1), values)


def _reorder(values: Floats, _severity: float, rng: np.random.Generator) -> Floats:
    blocks = np.arange(values.size) // REORDERED_ROWS
    return values[np.lexsort((rng.random(values.size), blocks))]


def _burst(values: Floats, severity: float, rng: np.random.Generator) -> Floats:
    length = max(int(values.size * BURST_SHARE), 1)
    start = int(rng.integers(0, values.size - length + 1))
    burst = values.copy()
    burst[start : start + length] += severity
    return burst


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "none": Fault(lambda draw, pa, _severity, _rng: draw(pa)),
        "input": _values(lambda values, severity, _rng: values + severity, of_input=True),
        "spread": _values(lambda values, severity, _rng: values * (1.0 + severity), of_input=True),
        "mixture": _values(_mixture, of_input=True),
        "offset": _values(lambda values, severity, _rng: values + severity),
        "sign": _values(lambda values, _severity, _rng: -values),
        "scale": _values(lambda values, severity, _rng: values * (1.0 + severity)),
        "branch": Fault(lambda draw, pa, _severity, _rng: draw(-pa)),
        "swapped": Fault(lambda draw, pa, _severity, _rng: draw(pa[:, ::-1]), n_parents=2),
        "flipped": Fault(lambda draw, pa, severity, rng: _flip(draw(pa), severity, rng), family="discrete"),
        "missing": _values(_lose),
        "missing_high": _values(_lose_high),
        "default": _values(_fill),
        "stuck": _values(lambda values, _severity, _rng: np.full_like(values, values[0])),
        "unit": _values(lambda values, _severity, _rng: values * INCHES),
        "saturated": _values(lambda values, severity, _rng: np.minimum(values, 1.0 - severity)),
        "rounded": _values(lambda values, severity, _rng: np.round(values / severity) * severity),
        "stale": _values(lambda values, _severity, _rng: np.roll(values, 1)),
        "repeated": _values(_repeat),
        "reordered": _values(_reorder),
        "burst": _values(_burst),
    }
)
"""The catalogue by name."""
