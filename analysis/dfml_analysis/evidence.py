"""Evidence that one variable's mechanism differs between two windows, given its parents.

Each test is a *conditional randomisation test*: a function g of the child, its overlap-weighted fit on the parents
removed, summed against the surplus W - e of the window (:mod:`dfml_analysis.overlap`). The sum has mean 0 under one
mechanism if *either* the fit of the window on the parents *or* the fit of g on them is right (double robustness), so
neither a covariate shift nor a misfit looks like a changed mechanism; rows without counterpart weigh nothing.
The functions:

* ``mean``      the residual itself, clipped
* ``rank``, ``spread``, ``skew``, ``tails``   Legendre polynomials 1 to 4 of the residual's rank (Neyman's smooth test)
* ``extremes``  the largest, and the smallest, root-of-n residuals: sees a fault of few requests, which moves no mean
  (sparse mixtures; Donoho, Jin 2004)
* ``slope``     the residual times what the parents predict: sees a child that follows its parents less (or more) than
  before, as where some answers are replaced by others at random
* ``pattern``   the residual of every second row times the difference of the two windows' fits to the other rows: sees
  a change of sign that averages out (both directions would be one and the same bilinear form, counted twice)
* ``classes``   each class of a discrete child

Shah & Peters (2020), generalised covariance measure; Candes et al. (2018), conditional randomisation; Scheidegger,
Hoerrmann & Buehlmann (2022), estimated weights.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import ks_2samp, kstwobign

from dfml_analysis.dependence import inflation
from dfml_analysis.overlap import Overlap
from dfml_analysis.tail import log_two_sided
from dfml_analysis.variables import Floats

CLIP_SD = 4.0
FAR_SD = 2.0
"""A prediction farther from the mean counts as this: out there few rows say how well it fits."""
SMALL_SD = 0.05
"""Residuals below this part of their spread are no smaller to the logarithm."""
MEAN_SHARE = 1.0 / 3.0
"""Of a numeric variable's level for its mean, which is what mostly changes; the other tests share the rest."""
CLASSES_SHARE = 0.5
"""Of a discrete variable's level for how often each class is."""
MIN_TOLD = 0.05
"""Part of the residuals' log size that the parents must tell beyond what as many columns tell of chance."""
CHANCE_SD = 3.0
"""What as many columns tell of chance, a chi-square with as many degrees of freedom, is less than so many of its
standard deviations over its mean."""
MAX_LOG_SPREAD = 3.0
EXACT_SD = 1e-7
"""A pooled fit that leaves less than this part of the child's spread explains both windows exactly."""
PATTERN_RIDGE = 1.0
MIN_PATTERN_ROWS = 40
MAX_EXACT_KS_ROWS = 100


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the strongest of several tests of one variable says.

    Attributes
    ----------
    test : str
        The strongest test's name.
    log_p : float
        Natural logarithm of its p-value, corrected for the number of tests of this variable.
    effect : float
        The change in residual standard deviations (or of the class's probability), current minus reference.
    n_rows : float
        Rows per window that could be compared.
    """

    test: str
    log_p: float
    effect: float
    n_rows: float


def no_evidence(n_rows: float, test: str = "same in both") -> Evidence:
    """Return the evidence of a variable in which nothing can have changed."""
    return Evidence(test, 0.0, 0.0, n_rows)


def strongest(found: list[Evidence], first: float | None = None, n_first: int = 1) -> Evidence:
    """Return the strongest evidence, its p-value corrected for having looked ``len(found)`` times.

    ``first`` is the share of the level that the first ``n_first`` have together, the others have the rest, each group
    evenly (weighted Bonferroni, Genovese, Roeder, Wasserman 2006); an equal share by default.
    """
    n = len(found)
    if first is None or n == n_first:
        shares = [1.0 / n] * n
    else:
        shares = [first / n_first] * n_first + [(1.0 - first) / (n - n_first)] * (n - n_first)
    corrected = [evidence.log_p - np.log(share) for evidence, share in zip(found, shares, strict=True)]
    best = int(np.argmin(corrected))
    return replace(found[best], log_p=float(min(corrected[best], 0.0)))


def numeric_evidence(child: Floats, overlap: Overlap) -> Evidence:
    """Test a numeric child's mean, spread and shape given its parents.

    Parameters
    ----------
    child : array, shape (n,)
        Finite numbers of both windows.
    overlap : Overlap
        Of the parents, for the same rows.
    """
    clipped = _winsorised(child)
    rest = overlap.net_of_parents(clipped[:, None])
    spread = np.sqrt(overlap.weight @ rest[:, 0] ** 2 / overlap.total)
    if spread <= EXACT_SD * clipped.std():
        return no_evidence(overlap.n_rows)
    residual, precise = _evened(rest[:, 0] / spread, overlap)
    u = 2.0 * (_ranks(residual) - 0.5) / residual.size - 1.0
    v = u * u
    far = 1.0 - 2.0 * np.sqrt(overlap.n_rows) / residual.size
    shape = ((3 * v - 1) / 2, (5 * v - 3) * u / 2, ((35 * v - 30) * v + 3) / 8)
    slope = _slope(residual[:, None], rest, clipped[:, None], overlap)
    scores = np.array([precise, u, *shape, u > far, u < -far, *slope]).T
    names = ("mean", "rank", "spread", "skew", "tails", "extremes", "extremes", *["slope"] * len(slope))
    found = _score_evidence(names, scores, overlap)
    if overlap.columns.shape[1] == 1:
        found.append(_kolmogorov_smirnov(child, overlap))
    elif overlap.n_rows >= MIN_PATTERN_ROWS:
        found.append(_pattern(residual, overlap))
    return strongest(found, MEAN_SHARE)


def _evened(residual: Floats, overlap: Overlap) -> tuple[Floats, Floats]:
    """Return residuals in units of their own spread where the parents tell it, and those over that spread; clipped.

    Rows with much noise say little of a change, and would drown those with little: a shift by as much everywhere is
    best seen where each row weighs by its precision, one by a part of the spread in units of it.
    """
    precise = residual
    if overlap.columns.shape[1] > 1:
        logs = np.log(np.abs(residual) + SMALL_SD)[:, None]
        rest = overlap.net_of_parents(logs)
        if _told(logs, rest, overlap) > MIN_TOLD + 2.0 * overlap.columns.shape[1] / residual.size:
            spread = np.exp(np.clip(_centred(logs, overlap) - rest, -MAX_LOG_SPREAD, MAX_LOG_SPREAD))[:, 0]
            residual = _of_unit_spread(residual / spread, overlap)
            precise = _of_unit_spread(np.clip(residual, -CLIP_SD, CLIP_SD) / spread, overlap)
    return np.clip(residual, -CLIP_SD, CLIP_SD), np.clip(precise, -CLIP_SD, CLIP_SD)


def _of_unit_spread(residual: Floats, overlap: Overlap) -> Floats:
    return np.asarray(residual / np.sqrt(max(float(overlap.weight @ residual**2 / overlap.total), 1e-300)))


def discrete_evidence(child: Floats, overlap: Overlap) -> Evidence:
    """Test a discrete child's class probabilities given its parents; parameters as :func:`numeric_evidence`."""
    levels = np.unique(child)
    if levels.size < 2:
        return no_evidence(overlap.n_rows)
    levels = levels[1:] if levels.size == 2 else levels
    scores = (child[:, None] == levels).astype(np.float64)
    net = overlap.net_of_parents(scores)
    if float((overlap.weight @ net**2).max()) <= EXACT_SD**2 * overlap.total:
        return no_evidence(overlap.n_rows)
    slope = _slope(net, net, scores, overlap)
    names = (*["classes"] * levels.size, *["slope"] * len(slope))
    found = _score_evidence(names, np.column_stack([scores, *slope]), overlap)
    if overlap.columns.shape[1] > 1 and overlap.n_rows >= MIN_PATTERN_ROWS:
        found += [_pattern(net[:, index], overlap) for index in range(levels.size)]
    return strongest(found, CLASSES_SHARE, levels.size)


def _score_evidence(names: tuple[str, ...], scores: Floats, overlap: Overlap) -> list[Evidence]:
    net = overlap.net_of_parents(scores)
    net *= (overlap.weight > 0)[:, None]
    log_p, _ = _tail(net, overlap)
    effects = overlap.surplus @ net / overlap.total
    return [
        Evidence(name, float(p), float(effect), overlap.n_rows)
        for name, p, effect in zip(names, log_p, effects, strict=True)
    ]


def _tail(net: Floats, overlap: Overlap) -> tuple[Floats, Floats]:
    n = overlap.n_reference
    alike = inflation(net[:n] * overlap.probability[:n, None])
    return log_two_sided(overlap.probability, net, overlap.surplus, overlap.freedom(alike), alike)


def _slope(residuals: Floats, rest: Floats, child: Floats, overlap: Overlap) -> list[Floats]:
    """Return one score, of shape (n,): a child follows what its parents predict; of classes, of all together.

    ``rest`` is what the parents leave of the child, ``residuals`` the same in units of its spread. No score where they
    tell nothing beyond chance: there is nothing to follow, and what is predicted would be the fit's own noise.
    """
    n_columns = overlap.columns.shape[1]
    if _told(child, rest, overlap) * len(child) <= n_columns + CHANCE_SD * np.sqrt(2.0 * n_columns):
        return []
    centred = _centred(child - rest, overlap)
    spread = np.sqrt(float(np.sum(overlap.weight @ centred**2)) / overlap.total)
    return [(residuals * np.clip(centred / spread, -FAR_SD, FAR_SD)).sum(axis=1)]


def _told(values: Floats, rest: Floats, overlap: Overlap) -> float:
    """Return which part of the values, shape (n, k), the parents tell; ``rest`` is what they leave."""
    power = float(np.sum(overlap.weight @ _centred(values, overlap) ** 2))
    return 1.0 - float(np.sum(overlap.weight @ rest**2)) / max(power, 1e-300)


def _centred(values: Floats, overlap: Overlap) -> Floats:
    return np.asarray(values - overlap.weight @ values / overlap.total)


def _pattern(residual: Floats, overlap: Overlap) -> Evidence:
    n_reference = overlap.n_reference
    reference, current = slice(0, n_reference, 2), slice(n_reference + n_reference % 2, None, 2)
    fits = [_ridge_fit(overlap.columns[rows], residual[rows]) for rows in (current, reference)]
    difference = np.clip(overlap.columns @ (fits[0] - fits[1]), -CLIP_SD, CLIP_SD)
    products = residual * difference
    alike = inflation((products * overlap.probability)[1:n_reference:2, None])
    products[::2] = 0.0
    net = overlap.net_of_parents(products[:, None]) * (overlap.weight > 0)[:, None]
    log_p, z = log_two_sided(overlap.probability, net, overlap.surplus, overlap.freedom(alike), alike)
    effect = float(np.sqrt(overlap.weight @ difference**2 / overlap.total))
    one_sided = float(log_p[0] - np.log(2.0)) if z[0] > 0 else 0.0
    return Evidence("pattern", one_sided, effect, overlap.n_rows)


def _ranks(values: Floats) -> Floats:
    """Return the ranks from 1, the mean of them for ties."""
    order = np.argsort(values)
    ordered = values[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    size = np.diff(np.append(first, values.size))
    ranks = np.empty(values.size)
    ranks[order] = np.repeat(first + (size + 1) / 2.0, size)
    return ranks


def _ridge_fit(columns: Floats, target: Floats) -> Floats:
    columns = np.asfortranarray(columns)
    gram = columns.T @ columns
    gram[np.diag_indices_from(gram)] += PATTERN_RIDGE
    return np.asarray(np.linalg.solve(gram, columns.T @ target))


def _kolmogorov_smirnov(child: Floats, overlap: Overlap) -> Evidence:
    reference, current = np.split(child, [overlap.n_reference])
    method = "exact" if max(reference.size, current.size) <= MAX_EXACT_KS_ROWS else "asymp"
    result = ks_2samp(reference, current, method=method)
    alike = float(inflation(_ranks(child)[: reference.size, None])[0])
    n_pairs = reference.size * current.size / (reference.size + current.size)
    p = result.pvalue if alike == 1.0 else kstwobign.sf(result.statistic * np.sqrt(n_pairs / alike))
    effect = (current.mean() - reference.mean()) / max(child.std(), 1e-300)
    return Evidence("distribution", float(np.log(max(p, 1e-300))), float(effect), overlap.n_rows)


def _winsorised(child: Floats) -> Floats:
    quarters = [child.size // 4, child.size // 2, 3 * child.size // 4]
    low, middle, high = np.partition(child, quarters)[quarters]
    reach = 10.0 * (high - low)
    return np.clip(child, middle - reach, middle + reach) if reach > 0 else child
