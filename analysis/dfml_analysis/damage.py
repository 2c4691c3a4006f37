"""What damage is: the number of the target's distribution whose change is shared out, and code that stands in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

import numpy as np
import pandas as pd

from dfml.errors import DataError
from dfml_analysis.variables import Floats


class Measure(StrEnum):
    """A number of a distribution."""

    MEAN = "mean"
    QUANTILE = "quantile"
    SHARE_OVER = "share over"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Unit:
    """In what the damage is counted.

    Attributes
    ----------
    measure : Measure
        ``mean`` of the values (of an error column of zeros and ones: the error rate); a ``quantile``; the share of the
        requests whose value is ``over`` a limit; the share that has no value (``absent``).
    at : float
        Which quantile, 0 to 1, or the limit.
    """

    measure: Measure = Measure.MEAN
    at: float = 0.0

    def of(self, values: Floats, weights: Floats) -> Floats:
        """Return the number, once for each row of weights; NaN where no value is there.

        Parameters
        ----------
        values : array, shape (n,)
            Absent is NaN.
        weights : array, shape (k, n)
            Above 0.
        """
        present = ~np.isnan(values)
        if self.measure is Measure.ABSENT:
            return np.asarray(weights @ ~present / weights.sum(axis=1))
        if not present.any():
            return np.full(weights.shape[0], np.nan)
        if self.measure is Measure.SHARE_OVER:
            with np.errstate(invalid="ignore"):
                return np.asarray(weights @ (values > self.at) / weights.sum(axis=1))
        known, shares = values[present], weights[:, present]
        if self.measure is Measure.QUANTILE:
            return _quantiles(known, shares, self.at)
        return np.asarray(shares @ known / shares.sum(axis=1))

    def __str__(self) -> str:
        """Return the unit as :func:`parse_unit` reads it."""
        match self.measure:
            case Measure.QUANTILE:
                return f"p{100 * self.at:g}"
            case Measure.SHARE_OVER:
                return f"over {self.at:g}"
            case _:
                return self.measure.value


class StepCode(Protocol):
    """A step's code, to be run again on recorded inputs.

    Called with one row a request and one column for each variable that the step is computed from (absent is NaN, text
    is text), it returns the step's own variables, one column each, for the same rows in the same order; a variable
    that it does not return is absent. :func:`dfml_analysis.replaying.code_of` makes one of a model's function.
    """

    def __call__(self, inputs: pd.DataFrame, /) -> pd.DataFrame:
        """Return what the step answers."""


@dataclass(frozen=True, slots=True)
class Replay:
    """The code of one step as it was in the reference, and as it is."""

    before: StepCode
    after: StepCode


@dataclass(frozen=True, slots=True)
class Damage:
    """How the target's change is counted and shared out.

    Attributes
    ----------
    unit : Unit
    replays : Mapping of str to Replay
        Steps whose code is at hand. What they would have answered is then what their code answers, and no model of it.
    """

    unit: Unit = Unit()
    replays: Mapping[str, Replay] = field(default_factory=lambda: MappingProxyType({}))


def parse_unit(text: str) -> Unit:
    """Return the unit that is meant.

    Parameters
    ----------
    text : str
        ``mean``, ``median``, ``p95`` (any percentage), ``over 250`` (the share over a limit) or ``absent``.

    Raises
    ------
    DataError
        If it is none of these.

    Examples
    --------
    >>> parse_unit("p95")
    Unit(measure=<Measure.QUANTILE: 'quantile'>, at=0.95)
    """
    if text in {"mean", "absent"}:
        return Unit(Measure(text))
    if text == "median":
        return Unit(Measure.QUANTILE, 0.5)
    if (match := re.fullmatch(r"p(\d{1,2}(?:\.\d+)?)", text)) and float(match[1]) > 0:
        return Unit(Measure.QUANTILE, float(match[1]) / 100)
    if match := re.fullmatch(r"over (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)", text):
        return Unit(Measure.SHARE_OVER, float(match[1]))
    msg = f"unit {text!r}: expected mean, median, p95 (or another percentage), 'over 250' (or another limit) or absent"
    raise DataError(msg)


def _quantiles(values: Floats, weights: Floats, at: float) -> Floats:
    order = np.argsort(values, kind="stable")
    ordered, shares = values[order], weights[:, order].cumsum(axis=1)
    # Each value stands in the middle of its weight, so that equal weights give the usual quantile.
    middle = (shares - 0.5 * weights[:, order]) / shares[:, -1:]
    return np.array([np.interp(at, row, ordered) for row in middle])
