"""A guilty request and its counterpart: two requests that a step was asked alike and answered differently.

A suspect's evidence is statistical; one pair of requests shows it. For a variable with parents, the counterpart is the
request of the normal window whose parents are nearest to those of the faulty one; for one without parents (what the
caller sent), whose other inputs are nearest.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dfml_analysis.columns import Kind
from dfml_analysis.localisation import Suspect
from experiments.demo.diagnosis import Diagnosis

if TYPE_CHECKING:
    import networkx as nx

Floats = npt.NDArray[np.float64]

ABSENT_DISTANCE = 5.0
"""How many standard deviations apart a request that has a value and one that has none are taken to be."""


@dataclass(frozen=True, slots=True)
class Pair:
    """``guilty`` of the current window, ``counterpart`` of the reference: request ids."""

    guilty: str
    counterpart: str


def find_pair(diagnosis: Diagnosis) -> Pair | None:
    """Return the pair that shows the first suspect best; None without suspects."""
    suspects = diagnosis.localisation.suspects
    return choose_pair(diagnosis.causal, diagnosis.reference, diagnosis.current, suspects[0]) if suspects else None


def choose_pair(graph: "nx.DiGraph[str]", reference: pd.DataFrame, current: pd.DataFrame, suspect: Suspect) -> Pair:
    """Return the pair that differs most in the suspect's variable while its parents agree.

    Parameters
    ----------
    graph
        The causal graph.
    reference, current
        The windows: request ids as index, one column a variable, absent is NaN. Neither is empty.
    suspect
        Whose variable is to be shown.
    """
    variable = suspect.variable
    beside = list(graph.predecessors(variable)) or _other_roots(graph, variable)
    gap = _distances(reference, current, beside)
    nearest = gap.argmin(axis=1)
    rows = np.arange(len(current))
    apart = _differences(reference, current, suspect)[rows, nearest]
    guilty = int(np.argmax(apart - gap[rows, nearest]))
    return Pair(str(current.index[guilty]), str(reference.index[nearest[guilty]]))


def _other_roots(graph: "nx.DiGraph[str]", variable: str) -> list[str]:
    return [name for name, degree in graph.in_degree() if degree == 0 and name != variable]


def _distances(reference: pd.DataFrame, current: pd.DataFrame, columns: list[str]) -> Floats:
    """Return root mean square distances, shape (current, reference), in standard deviations of the reference."""
    total = np.zeros((len(current), len(reference)))
    for column in columns:
        total += _apart(reference.get(column), current.get(column), total.shape) ** 2
    return np.asarray(np.sqrt(total / max(len(columns), 1)))


def _differences(reference: pd.DataFrame, current: pd.DataFrame, suspect: Suspect) -> Floats:
    shape = (len(current), len(reference))
    signed = _apart(reference.get(suspect.variable), current.get(suspect.variable), shape)
    return signed if suspect.kind in {Kind.LATENCY, Kind.ERROR} else np.abs(signed)


def _apart(reference: "pd.Series[Any] | None", current: "pd.Series[Any] | None", shape: tuple[int, int]) -> Floats:
    """Return current minus reference for every pair; a column that a window lacks is absent throughout."""
    n_current, n_reference = shape
    before, after = _numbers(reference, n_reference), _numbers(current, n_current)
    spread = float(np.nanstd(before)) if np.isfinite(before).any() else 0.0
    apart = (after[:, None] - before[None, :]) / (spread or 1.0)
    one_absent = np.isnan(after)[:, None] != np.isnan(before)[None, :]
    return np.where(one_absent, ABSENT_DISTANCE, np.nan_to_num(apart))


def _numbers(column: "pd.Series[Any] | None", n_rows: int) -> Floats:
    if column is None:
        return np.full(n_rows, np.nan)
    return np.asarray(pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan))
