"""Requests that show a suspect's change: each beside one of the reference window that the step was asked alike.

A suspect's evidence is statistical; a pair of requests shows it. The counterpart is the request of the reference
window whose parents of the variable are nearest (for a variable without parents, whose other inputs are).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import pandas as pd

from dfml_analysis.columns import Kind
from dfml_analysis.variables import Floats, bare

if TYPE_CHECKING:
    from dfml_analysis.localisation import Suspect

ABSENT_DISTANCE = 5.0
"""How many standard deviations apart a request that has a value and one that has none are taken to be."""
MAX_ROWS = 1500
"""Requests a window that are looked at, evenly chosen: every one is compared with every other."""


@dataclass(frozen=True, slots=True)
class GuiltyPair:
    """``guilty`` of the current window, ``counterpart`` of the reference: request ids."""

    guilty: str
    counterpart: str


def guilty_pairs(
    graph: nx.DiGraph, reference: pd.DataFrame, current: pd.DataFrame, suspect: "Suspect", n_pairs: int = 1
) -> list[GuiltyPair]:
    """Return the pairs that differ most in the suspect's variable while its parents agree, most telling first.

    Parameters
    ----------
    graph : nx.DiGraph
        The causal graph.
    reference, current : DataFrame
        The windows: request ids as index, the same columns, absent is NaN. Neither is empty.
    suspect : Suspect
        Whose variable is to be shown.
    n_pairs : int
        How many; requests that do not differ from their counterpart at all are left out.
    """
    before, after = _thinned(reference), _thinned(current)
    beside = list(graph.predecessors(suspect.variable)) or _other_roots(graph, suspect.variable)
    gap = _distances(before, after, beside)
    nearest = gap.argmin(axis=1)
    rows = np.arange(len(after))
    signed = _apart(before[suspect.variable], after[suspect.variable])[rows, nearest]
    apart = signed if suspect.kind in {Kind.LATENCY, Kind.ERROR} else np.abs(signed)
    telling = apart - gap[rows, nearest]
    best = [row for row in np.argsort(-telling, kind="stable") if apart[row] > 0][:n_pairs]
    return [GuiltyPair(str(after.index[row]), str(before.index[nearest[row]])) for row in best]


def _thinned(frame: pd.DataFrame) -> pd.DataFrame:
    found = bare(frame)
    return found if len(found) <= MAX_ROWS else found.iloc[np.linspace(0, len(found) - 1, MAX_ROWS).astype(int)]


def _other_roots(graph: nx.DiGraph, variable: str) -> list[str]:
    return [name for name, degree in graph.in_degree() if degree == 0 and name != variable]


def _distances(before: pd.DataFrame, after: pd.DataFrame, columns: list[str]) -> Floats:
    """Return root mean square distances, shape (current, reference), in standard deviations of the reference."""
    total = np.zeros((len(after), len(before)))
    for column in columns:
        total += _apart(before[column], after[column]) ** 2
    return np.asarray(np.sqrt(total / max(len(columns), 1)))


def _apart(before: pd.Series, after: pd.Series) -> Floats:
    """Return current minus reference for every pair, in standard deviations of the reference; text differs by 1."""
    numbers = [pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64) for column in (before, after)]
    if any(np.isnan(found[column.notna()]).any() for found, column in zip(numbers, (before, after), strict=True)):
        numbers = _codes(before, after)
    old, new = numbers
    spread = float(np.nanstd(old)) if np.isfinite(old).any() else 0.0
    apart = (new[:, None] - old[None, :]) / (spread or 1.0)
    one_absent = np.isnan(new)[:, None] != np.isnan(old)[None, :]
    return np.where(one_absent, ABSENT_DISTANCE, np.nan_to_num(apart))


def _codes(before: pd.Series, after: pd.Series) -> list[Floats]:
    codes, _ = pd.factorize(pd.concat([before, after]).astype("string"), sort=True)
    numbers = np.where(codes >= 0, codes, np.nan).astype(np.float64)
    return [numbers[: len(before)], numbers[len(before) :]]
