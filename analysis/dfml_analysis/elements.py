"""From the summary of a long tensor down to its elements: which of an image's pixels, which of an embedding's numbers.

A frame holds five summaries of a tensor of more than 64 elements. Where one of them is a suspect, the recorded tensors
are read again and each element is compared between the windows: its mean, and its squared distance from the
reference's mean, by Welch's (1947) test with the normal tail, the smaller p-value of the two doubled; false discoveries
among the elements are held at 1 % (Benjamini, Hochberg 1995). This says where in the tensor the difference lies; that
the step makes it, and not its inputs, is what the suspect's own test has shown.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import ndtr

from dfml_analysis.columns import TENSOR_COLUMN
from dfml_analysis.variables import Floats

if TYPE_CHECKING:
    from dfml_analysis.localisation import Localisation, Suspect

ReadTensors = Callable[[Sequence[str], str], "Sequence[np.ndarray[Any, Any]]"]
"""Gets request ids and a column of the frame, returns the tensors behind the column, of those requests that have it."""

LONG = frozenset({"mean", "std", "min", "max", "size"})
N_REQUESTS = 200
"""Requests of each window that are read: enough to see half a standard deviation in each of 100,000 elements."""
MIN_REQUESTS = 5
N_SHOWN = 5
FALSE_DISCOVERIES = 0.01
SMALLEST_VARIANCE = 1e-12
"""Part of an element's mean square below which it counts as constant."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element that differs: where it stands, and its mean before and after."""

    place: tuple[int, ...]
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Elements:
    """Which elements of a tensor differ between the windows.

    Attributes
    ----------
    n_changed, n_elements : int
    first, last : tuple of int
        Corners of the smallest block that holds all that changed, both within; empty where none did.
    strongest : tuple of Element
        Of those that changed, the strongest evidence first.
    """

    n_changed: int
    n_elements: int
    first: tuple[int, ...]
    last: tuple[int, ...]
    strongest: tuple[Element, ...]


def with_elements(
    found: "Localisation", reference: pd.DataFrame, current: pd.DataFrame, read: ReadTensors
) -> "Localisation":
    """Return the localisation with the changed elements of each suspect that is the summary of a long tensor.

    Parameters
    ----------
    found : Localisation
    reference, current : DataFrame
        The windows, request ids as index; of the current one the requests after the suspect's onset are read.
    read : callable
        See :data:`ReadTensors`.
    """

    def elements(suspect: "Suspect") -> Elements | None:
        match = TENSOR_COLUMN.fullmatch(suspect.variable)
        if match is None or match["summary"] not in LONG:
            return None
        start = max(suspect.onset.row, 0) if suspect.onset is not None else 0
        windows = (reference.index, current.index[start:])
        before, after = (read([*map(str, _thinned(ids))], suspect.variable) for ids in windows)
        return compare_elements(before, after)

    return replace(found, suspects=tuple(replace(each, elements=elements(each)) for each in found.suspects))


def compare_elements(
    before: "Sequence[np.ndarray[Any, Any]]", after: "Sequence[np.ndarray[Any, Any]]"
) -> Elements | None:
    """Return which elements differ; None where tensors are few, no numbers, or not all of one shape.

    Parameters
    ----------
    before, after : sequence of array
        The tensor of each request of the reference and of the current window.
    """
    shapes = {tensor.shape for tensor in (*before, *after)}
    if min(len(before), len(after)) < MIN_REQUESTS or len(shapes) != 1 or before[0].dtype.kind not in "biuf":
        return None
    old, new = (np.stack(tensors).astype(np.float64).reshape(len(tensors), -1) for tensors in (before, after))
    middle = old.mean(axis=0)
    p_values = np.minimum(_welch(old, new), _welch((old - middle) ** 2, (new - middle) ** 2)) * 2
    order = np.argsort(p_values, kind="stable")
    n_changed = _discoveries(p_values[order])
    shape = before[0].shape
    strongest = [
        Element(_place(index, shape), float(middle[index]), float(new[:, index].mean()))
        for index in order[: min(n_changed, N_SHOWN)]
    ]
    places = np.array(np.unravel_index(order[:n_changed], shape)) if n_changed else np.zeros((0, 0), dtype=int)
    corners = [tuple(int(edge(axis)) for axis in places) for edge in (np.min, np.max)]
    return Elements(n_changed, p_values.size, corners[0], corners[1], tuple(strongest))


def _thinned(ids: pd.Index) -> pd.Index:
    return ids[np.unique(np.linspace(0, len(ids) - 1, min(len(ids), N_REQUESTS)).astype(int))]


def _welch(old: Floats, new: Floats) -> Floats:
    """Return two-sided p-values of equal means, column by column; 1 where both are constant and equal."""
    difference = new.mean(axis=0) - old.mean(axis=0)
    least = SMALLEST_VARIANCE * np.maximum((old**2).mean(axis=0), (new**2).mean(axis=0))
    variance = old.var(axis=0) / len(old) + new.var(axis=0) / len(new)
    variance = np.maximum(np.maximum(variance, least / len(old)), 1e-300)
    return np.asarray(2.0 * ndtr(-np.abs(difference) / np.sqrt(variance)))


def _discoveries(ordered: Floats) -> int:
    limits = FALSE_DISCOVERIES * np.arange(1, ordered.size + 1) / ordered.size
    below = np.flatnonzero(ordered <= limits)
    return int(below[-1]) + 1 if below.size else 0


def _place(index: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(axis) for axis in np.unravel_index(index, shape))
