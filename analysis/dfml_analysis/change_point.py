"""Where in a sequence does another law begin? A Bayesian change point, with its uncertainty, for any distribution.

The sequence is cut into cells (its own quantiles, or its values where they are few), so that it is a row of letters.
Before the change, and again after its end if it has one, the letters come from one distribution; within from another;
both are unknown with Jeffreys' prior, so they integrate out (Dirichlet-multinomial) and

    p(start | end) is proportional to B(letters within) B(letters outside)

for every start at once from cumulated counts. Cells of several sizes see shifts, spreads and tails, and are averaged by
their evidence. Smith (1975), "A Bayesian approach to inference about a change-point";
Barry, Hartigan (1993). What is not promised: two changes of different kinds in one sequence are taken for one, and a
slow drift is placed where it parts the sequence best.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import gammaln, logsumexp

from dfml_analysis.dependence import inflation
from dfml_analysis.variables import Floats

QUANTILES = (np.arange(1, 4) / 4, np.arange(1, 12) / 12, np.array([0.01, 0.05, 0.95, 0.99]))
"""Where the sequence is cut; the last looks at the tails, where the few requests of a partial fault are."""
MAX_VALUES = 16
"""A sequence of so few values is cut into them, and no other way."""
JEFFREYS = 0.5
MAX_GRID = 1000
"""Starts that are looked at: of more rows than this every n-th."""
NORMAL_SHARE = 0.1
"""This part of the reference, its beginning, is normal by definition; a change may begin anywhere after it."""
LEVEL = 0.95
N_ROUNDS = 3
"""Start given end and end given start; more rounds have never moved either."""


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """The stretch of a sequence that has another distribution than the rest.

    Attributes
    ----------
    start : int
        Most probable first element of it.
    earliest, latest : int
        The central 95 % of the start's posterior.
    end : int
        The first element after it; the sequence's length where it goes on.
    log_odds : float
        Natural logarithm of the evidence for such a stretch against none.
    log_ratio : array, shape (n,)
        How much likelier each element is within than outside, natural logarithm.
    """

    start: int
    earliest: int
    latest: int
    end: int
    log_odds: float
    log_ratio: Floats


def find_change(sequences: Floats, window: Floats) -> ChangePoint:
    """Return the stretch that differs, in the sequence that shows it best.

    Parameters
    ----------
    sequences : array, shape (n, k)
        In the order of time, k views of the same rows; no NaN.
    window : array, shape (n,)
        0 for the rows of the reference, which come first and are at least one; 1 for the others, at least one.
    """
    found = [_find(_Letters(column), window) for column in sequences.T]
    return max(found, key=lambda each: each.log_odds)


class _Letters:
    """A sequence as letters at several resolutions, with their cumulated counts."""

    def __init__(self, sequence: Floats) -> None:
        self.codes = list(_cells(sequence))
        self.counts = [_cumulated(code) for code in self.codes]
        self.ranks = np.unique(sequence, return_inverse=True)[1].astype(np.float64)
        self.alike = 1.0

    def temper(self, start: int, end: int) -> None:
        """Count rows that depend on one another, beside what the stretch has in common, for what they are worth."""
        inside = np.zeros(self.ranks.size, dtype=bool)
        inside[start:end] = True
        apart = np.where(inside, *(self.ranks[part].mean() if part.any() else 0.0 for part in (inside, ~inside)))
        self.alike = float(inflation((self.ranks - apart)[:, None])[0])

    def log_evidence(self, starts: np.ndarray, ends: np.ndarray) -> Floats:
        """Return the evidence for each stretch against none, shape (resolutions, stretches)."""
        return np.array([_log_odds(counts, starts, ends) for counts in self.counts]) / self.alike


def _find(letters: _Letters, window: Floats) -> ChangePoint:
    n, n_reference = window.size, int((window == 0).sum())
    first = max(1, int(NORMAL_SHARE * n_reference))
    grid = _grid(first, n - 1)
    end, last_end = _likeliest_end(letters, window), 0
    for _ in range(N_ROUNDS):
        start = _posterior(letters, grid[grid < end], end)[0]
        ends = np.append(grid[grid > max(start, n_reference)], n)
        log_end = logsumexp(letters.log_evidence(np.full(ends.size, start), ends), axis=0)
        log_end[:-1] -= np.log(ends.size)
        last_end, end = end, int(ends[log_end.argmax()])
        if end == last_end:
            break
    letters.temper(start, end)
    start, earliest, latest, log_odds = _posterior(letters, grid[grid < end], end)
    if n > MAX_GRID:
        step = -(-n // MAX_GRID)
        near = _grid(max(earliest - step, first), min(latest + step, end - 1))
        start, earliest, latest, _ = _posterior(letters, near, end)
    return ChangePoint(start, earliest, latest, end, log_odds, _log_ratio(letters, start, end))


def _grid(first: int, last: int) -> np.ndarray:
    return np.unique(np.linspace(first, last, min(last - first + 1, MAX_GRID)).astype(int))


def _posterior(letters: _Letters, starts: np.ndarray, end: int) -> tuple[int, int, int, float]:
    """Return the most probable start, its interval, and the log odds of any of the starts against none."""
    log_start = logsumexp(letters.log_evidence(starts, np.full(starts.size, end)), axis=0)
    total = float(logsumexp(log_start))
    cumulated = np.exp(log_start - total).cumsum()
    places = np.searchsorted(cumulated, [(1 - LEVEL) / 2, (1 + LEVEL) / 2 - 1e-12])
    earliest, latest = starts[np.minimum(places, starts.size - 1)]
    log_odds = total - np.log(starts.size * len(letters.counts))
    return int(starts[log_start.argmax()]), int(earliest), int(latest), float(log_odds)


def _likeliest_end(letters: _Letters, window: Floats) -> int:
    """Return where the stretch ends whose letters speak most for the current window in sum (Kadane)."""
    n, n_reference = window.size, int((window == 0).sum())
    sums = np.concatenate([[0.0], _log_ratio(letters, n_reference, n).cumsum()])
    gain = sums[1:] - np.minimum.accumulate(sums[:-1])
    return n_reference + int(gain[n_reference:].argmax()) + 1


def _log_ratio(letters: _Letters, start: int, end: int) -> Floats:
    """Return each element's log ratio, within to outside, at the resolution of the best evidence."""
    best = int(letters.log_evidence(np.array([start]), np.array([end]))[:, 0].argmax())
    counts, codes = letters.counts[best], letters.codes[best]
    inside = counts[end] - counts[start]
    shares = [np.log((part + JEFFREYS) / (part + JEFFREYS).sum()) for part in (inside, counts[-1] - inside)]
    return np.asarray((shares[0] - shares[1])[codes])


def _cells(sequence: Floats) -> Iterator[np.ndarray]:
    """Yield the sequence as numbers of cells, coarse to fine; once where its values are few."""
    values, codes = np.unique(sequence, return_inverse=True)
    if values.size <= MAX_VALUES:
        yield codes
        return
    for quantiles in QUANTILES:
        edges = np.unique(np.quantile(sequence, quantiles))
        yield np.searchsorted(edges, sequence, side="right")


def _cumulated(codes: np.ndarray) -> np.ndarray:
    hot = np.zeros((codes.size + 1, int(codes.max()) + 1), dtype=np.int64)
    hot[np.arange(1, codes.size + 1), codes] = 1
    return hot.cumsum(axis=0)


@lru_cache(maxsize=2 * len(QUANTILES))
def _log_gamma(n: int, mass: float) -> Floats:
    """Return the logarithms of gamma at 0 to ``n`` counts and the prior's mass; the same for every view of a window."""
    return np.asarray(gammaln(np.arange(n + 1) + mass))


def _log_odds(counts: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> Floats:
    """Return the log evidence of two laws, one for the letters within a stretch and one for the others, against one."""
    n, n_cells = counts.shape[0] - 1, counts.shape[1]
    in_cell, in_all = (_log_gamma(n, mass) for mass in (JEFFREYS, n_cells * JEFFREYS))

    def log_beta(found: np.ndarray) -> Floats:
        return np.asarray(in_cell[found].sum(axis=1) - in_all[found.sum(axis=1)])

    inside = counts[ends] - counts[starts]
    normal = gammaln(n_cells * JEFFREYS) - n_cells * gammaln(JEFFREYS)
    return np.asarray(normal + log_beta(inside) + log_beta(counts[-1] - inside) - log_beta(counts[-1:]))
