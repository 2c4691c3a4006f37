"""``idi``: in-distribution interventions, the anomalous variable whose repair would have kept the target normal.

Nagalapatti, Srivastava, Sarawagi, Sharma (2025), *Robust root cause diagnosis using in-distribution interventions*.
For each bad request: candidates are anomalous while their parents are not (anomaly condition); a candidate is repaired
by drawing it from its mechanism given its parents, which are normal, and what depends on it is computed again with
fresh noise, so that no mechanism is asked for what it never saw (fix condition). The Shapley value over the candidates
of the target's return to normal is a candidate's score. Mechanisms are quadratic regressions with the reference's
residuals as noise; the paper learns them with neural networks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import networkx as nx
import numpy as np

from dfml_analysis.localisers.anomaly import SIGMAS, deviations, reference_values
from dfml_analysis.localisers.base import Problem, Ranking, rank_by_score, testable
from dfml_analysis.localisers.regression import Regression, fit_reference
from dfml_analysis.variables import Floats
from dfml_analysis.windows import Windows

MAX_ROWS = 50
"""Bad requests that are looked at, evenly spread over the window."""
MAX_CANDIDATES = 5
"""Shapley values over more are not exact in reasonable time; the most anomalous are taken."""
N_DRAWS = 50
"""Draws of the noise for each intervention."""


class Idi:
    """Suspects what explains the target's anomaly; a change that no single request shows is not seen."""

    name = "idi"
    decides = False
    slow = False

    def rank(self, problem: Problem) -> Ranking:
        """Return the variables by their mean Shapley value over the requests, ties by how anomalous they are."""
        windows = problem.windows
        names = testable(windows)
        model = _Model.fitted(windows, names, problem.target)
        rng = problem.rng()
        rows = np.flatnonzero(windows.window == 1)
        rows = rows[np.linspace(0, rows.size - 1, min(MAX_ROWS, rows.size)).astype(int)]
        totals = np.zeros(len(names))
        for row in rows:
            totals += model.explain(row, rng)
        anomalous = model.scores[rows].mean(axis=0)
        largest = max(float(np.abs(totals).max()), 1.0)
        scores = totals + largest * 1e-6 * anomalous / (1 + anomalous)
        return rank_by_score(windows, dict(zip(names, map(float, scores), strict=True)), alarm=None)


@dataclass(frozen=True, slots=True)
class _Model:
    """The mechanisms as learned from the reference; arrays are in the topological order of ``names``.

    ``values`` and ``scores`` have a row a request of both windows; a score is a deviation, 0 where absent.
    """

    graph: nx.DiGraph
    names: Sequence[str]
    target: str
    fits: Sequence[Regression | None]
    parents: Sequence[Sequence[int]]
    values: Floats
    scores: Floats
    reference: Floats

    @classmethod
    def fitted(cls, windows: Windows, names: Sequence[str], target: str) -> "_Model":
        variables = [windows.variables[name] for name in names]
        parents = [windows.parents(name) for name in names]
        fits = [fit_reference(windows, *pair, quadratic=True) for pair in zip(variables, parents, strict=True)]
        scores = [deviations(item.values, reference_values(windows, item)) for item in variables]
        place = {name: index for index, name in enumerate(names)}
        return cls(
            graph=windows.graph,
            names=names,
            target=target,
            fits=fits,
            parents=[[place[parent.name] for parent in found] for found in parents],
            values=np.column_stack([item.values for item in variables]),
            scores=np.nan_to_num(np.column_stack(scores)),
            reference=reference_values(windows, windows.variables[target]),
        )

    def explain(self, row: int, rng: np.random.Generator) -> Floats:
        """Return each variable's Shapley value of the target's return to normal; 0 for what is no candidate."""
        shares = np.zeros(len(self.names))
        found = self._candidates(row)
        worth = {chosen: self._worth(row, chosen, rng) for chosen in _subsets(found)}
        for index in found:
            for chosen in (each for each in worth if index not in each):
                weight = 1 / (len(found) * comb(len(found) - 1, len(chosen)))
                shares[index] += weight * (worth[tuple(sorted((*chosen, index)))] - worth[chosen])
        return shares

    def _candidates(self, row: int) -> list[int]:
        """Return the anomalous ancestors of an anomalous target whose parents are normal, in topological order."""
        high = self.scores[row] > SIGMAS
        if not high[self.names.index(self.target)]:
            return []
        upstream = nx.ancestors(self.graph, self.target) | {self.target}
        ends = [
            index
            for index, name in enumerate(self.names)
            if high[index] and name in upstream and not high[self.parents[index]].any()
        ]
        return sorted(sorted(ends, key=lambda index: -self.scores[row, index])[:MAX_CANDIDATES])

    def _worth(self, row: int, repaired: tuple[int, ...], rng: np.random.Generator) -> float:
        """Return minus the target's expected deviation with these variables repaired, at most 10 limits."""
        target = self.names.index(self.target)
        drawn = np.repeat(self.values[row][None, :], N_DRAWS if repaired else 1, axis=0)
        again = set(repaired)
        for index, fit in enumerate(self.fits):
            moved = not again.isdisjoint(self.parents[index])
            if fit is not None and (index in repaired or moved):
                noise = rng.choice(fit.residuals, size=len(drawn))
                drawn[:, index] = fit.predict(drawn[:, self.parents[index]]) + noise
                again.add(index)
        scores = np.nan_to_num(deviations(drawn[:, target], self.reference))
        return -float(np.minimum(scores, 10 * SIGMAS).mean())


def _subsets(found: Sequence[int]) -> list[tuple[int, ...]]:
    return [chosen for size in range(len(found) + 1) for chosen in combinations(found, size)]
