"""Columns of two windows as typed variables: numbers, classes, constants; absent stays absent.

A value is in one of three states: a number (or class), absent (NaN, None) or not finite. The state is a variable of
its own, tested beside the number. Text among the many numbers of one window, where the other has numbers alone, is no
number and counts as not finite. A column of numbers with few distinct values is *discrete*; text is discrete
when it has few enough classes and otherwise *opaque*: only its state is looked at.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from dfml.errors import DataError
from dfml_analysis.columns import Kind

Floats = npt.NDArray[np.float64]

MAX_CLASSES = 10
"""Above this a column of numbers is numeric: the G-test and one-hot coding need some rows in each class."""
ROWS_PER_CLASS = 5
MAX_TEXT_CLASSES = 50
"""Texts with more classes than this are identifiers or free text, whose value no test here can use."""

FIRST_ROWS = 64
"""These mostly have more distinct numbers than there may be classes, and spare the sorting of all."""
LARGEST = 1e100
"""Numbers beyond this count as not finite: their squares, which every test needs, would not be."""

NUMBER, ABSENT, NOT_FINITE = 0, 1, 2


class Scale(StrEnum):
    """What can be done with a variable's values."""

    NUMERIC = "numeric"
    DISCRETE = "discrete"
    CONSTANT = "constant"
    OPAQUE = "opaque"
    EMPTY = "empty"


@dataclass(frozen=True)
class Variable:
    """One column in both windows, the reference's rows first.

    Attributes
    ----------
    name, step : str
        The column and the step it belongs to.
    kind : Kind
        What it tells about the step. Latency and error are bad upwards; the others have no bad direction.
    scale : Scale
        What can be done with its values.
    values : array of float, shape (n,)
        Numbers, or codes of ``classes``; NaN where the state is not NUMBER.
    state : array of int, shape (n,)
        NUMBER, ABSENT or NOT_FINITE.
    classes : tuple
        The classes that the codes of a discrete text variable stand for; empty for numbers.
    """

    name: str
    step: str
    kind: Kind
    scale: Scale
    values: Floats
    state: npt.NDArray[np.int8]
    classes: tuple[str, ...] = ()

    @property
    def bad_upwards(self) -> bool:
        """Whether only an increase is bad."""
        return self.kind in {Kind.LATENCY, Kind.ERROR}

    @cached_property
    def present(self) -> npt.NDArray[np.bool_]:
        """Where there is a number or class; found once, since every child of the variable asks."""
        return np.asarray(self.state == NUMBER)

    @cached_property
    def is_complete(self) -> bool:
        """Whether there is a number or class everywhere."""
        return bool(self.present.all())


def bare(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame without its attributes: pandas copies them, the times of all requests, with each column."""
    found = frame.copy(deep=False)
    found.attrs = {}
    return found


def read_variable(name: str, step: str, kind: Kind, reference: pd.Series, current: pd.Series) -> Variable:
    """Return the column as a typed variable over both windows.

    Raises
    ------
    DataError
        If the column holds dates or objects that are neither numbers, truth values nor text.
    """
    values, classes = _numbers(name, pd.concat([reference, current], ignore_index=True), len(reference))
    state = np.where(np.isnan(values), ABSENT, np.where(np.abs(values) > LARGEST, NOT_FINITE, NUMBER)).astype(np.int8)
    values = np.where(state == NUMBER, values, np.nan)
    return Variable(name, step, kind, _scale(values, classes), values, state, classes)


def _numbers(name: str, column: pd.Series, n_reference: int) -> tuple[Floats, tuple[str, ...]]:
    if pd.api.types.is_complex_dtype(column.dtype):
        msg = f"column {name!r} holds {column.dtype}; expected numbers, truth values or text: give its two parts"
        raise DataError(msg)
    if pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan), ()
    if pd.api.types.is_datetime64_any_dtype(column.dtype) or pd.api.types.is_timedelta64_dtype(column.dtype):
        msg = f"column {name!r} holds {column.dtype}; expected numbers, truth values or text: give it as a number"
        raise DataError(msg)
    absent = column.isna().to_numpy()
    odd = {
        type(item).__name__ for item in column[~absent] if not isinstance(item, str | bool | int | float | np.generic)
    }
    if odd:
        msg = f"column {name!r} holds {', '.join(sorted(odd))}; expected numbers, truth values or text"
        raise DataError(msg)
    as_numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    if not np.isnan(as_numbers[~absent]).any():
        return as_numbers, ()
    codes, classes = pd.factorize(column.astype("string"), sort=True)
    strange = np.isnan(as_numbers) & ~absent
    if len(classes) > MAX_TEXT_CLASSES and strange[:n_reference].any() != strange[n_reference:].any():
        return np.where(strange, np.inf, as_numbers), ()
    return np.where(codes >= 0, codes, np.nan).astype(np.float64), tuple(str(item) for item in classes)


def _scale(values: Floats, classes: tuple[str, ...]) -> Scale:
    known = values[~np.isnan(values)]
    if not classes and np.unique(known[:FIRST_ROWS]).size > MAX_CLASSES:
        return Scale.NUMERIC
    distinct, n = np.unique(known).size, known.size
    if distinct == 0:
        return Scale.EMPTY
    if distinct == 1:
        return Scale.CONSTANT
    if distinct == 2 or (distinct <= MAX_CLASSES and distinct * ROWS_PER_CLASS <= n):
        return Scale.DISCRETE
    if classes:
        return Scale.DISCRETE if len(classes) <= MAX_TEXT_CLASSES else Scale.OPAQUE
    return Scale.NUMERIC
