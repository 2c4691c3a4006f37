"""Whose is the damage? The target's change, split exactly among the steps whose mechanism changed.

The steps that changed are the players; everything else gets 0 by construction. For a coalition S, the reference's
requests are run again with the current mechanism at the steps in S and that of the reference at the others; v(S) is
the mean target. The Shapley values of v, over all 2^c coalitions, are in its unit and sum to v(all) - v(none).
Budhathoki et al. (2021), "Why did the distribution change?", with changed mechanisms as the only players.

A step is run again by its neighbours: it answers what it answered to the request with the most similar parents, all
its variables together, shifted along the linear regression on the parents (so that linear mechanisms are exact). Values
whose parents did not change stay as they were recorded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial

import networkx as nx
import numpy as np
from scipy.spatial import KDTree

from dfml_analysis.variables import Floats, Scale, Variable
from dfml_analysis.windows import Windows

MAX_PLAYERS = 5
"""2^5 coalitions of nine steps are run in a fifth of a second; more players than that share no story anyway."""
N_NEIGHBOURS = 3
CLASS_DISTANCE = 10.0
"""Two classes, or absent and present, are as different as numbers ten standard deviations apart."""
MAX_ROWS = 1000
"""Requests of the reference that are run again; the mean of a thousand is known to 3 % of a standard deviation."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """The target's change and its parts.

    Attributes
    ----------
    parts : Mapping of str to float
        Shapley value of each player, in the target's unit.
    observed : float
        Mean of the target in the current window minus the reference's.
    explained : float
        Sum of the parts; what differs from ``observed`` is chance, and what the neighbours do not know.
    standard_error : float
        Of ``observed``.
    """

    parts: Mapping[str, float]
    observed: float
    explained: float
    standard_error: float


def player_of(windows: Windows, name: str) -> str:
    """Return the player that a variable belongs to: its step, whose variables are exchanged together.

    What comes in and what goes out of a pipeline are two players, although both bear the pipeline's name.
    """
    step = windows.variables[name].step
    return step if windows.graph.in_degree(name) else f"{step} (input)"


def reaches(windows: Windows, name: str, target: str) -> bool:
    """Return whether the target depends on a variable, or is it."""
    return name == target or nx.has_path(windows.graph, name, target)


def attribute(windows: Windows, changed: Sequence[str], target: str, rng: np.random.Generator) -> Attribution:
    """Split the change of the target's mean among the steps of the variables whose mechanism changed.

    Parameters
    ----------
    windows : Windows
    changed : sequence of str
        The variables that changed, strongest evidence first; players after ``MAX_PLAYERS`` get 0.
    target : str
    rng : Generator
        Chooses among neighbours, and the rows if there are many.
    """
    variable = windows.variables[target]
    before, after = (variable.values[variable.present & (windows.window == side)] for side in (0, 1))
    parts = {player_of(windows, name): 0.0 for name in changed}
    observed = float(after.mean() - before.mean()) if before.size and after.size else float("nan")
    error = float(np.hypot(*(x.std() / np.sqrt(max(x.size, 1)) for x in (before, after)))) if before.size else 0.0
    upstream = {player_of(windows, name) for name in changed if reaches(windows, name, target)}
    players = [player for player in parts if player in upstream][:MAX_PLAYERS]
    if not players or np.isnan(observed):
        return Attribution(parts, observed, 0.0, error)
    rerun = _Rerun(windows, target, rng)
    worth = {
        coalition: rerun.mean(frozenset(players), frozenset(coalition))
        for size in range(len(players) + 1)
        for coalition in combinations(players, size)
    }
    parts |= shapley_values(players, worth)
    return Attribution(parts, observed, sum(parts.values()), error)


def shapley_values(players: Sequence[str], worth: Mapping[tuple[str, ...], float]) -> dict[str, float]:
    """Return exact Shapley values.

    Parameters
    ----------
    players : sequence of str
    worth : Mapping of tuple to float
        The worth of each coalition, its members in the order of ``players``.

    Examples
    --------
    >>> shapley_values(["a", "b"], {(): 0.0, ("a",): 1.0, ("b",): 0.0, ("a", "b"): 3.0})
    {'a': 2.0, 'b': 1.0}
    """
    n = len(players)
    values = dict.fromkeys(players, 0.0)
    for coalition, value in worth.items():
        size = len(coalition)
        for player in players:
            if player in coalition:
                values[player] += value * factorial(size - 1) * factorial(n - size) / factorial(n)
            else:
                values[player] -= value * factorial(size) * factorial(n - size - 1) / factorial(n)
    return values


class _Rerun:
    """The reference's requests, run again with some steps' mechanisms exchanged."""

    def __init__(self, windows: Windows, target: str, rng: np.random.Generator) -> None:
        self.windows, self.target, self.rng = windows, target, rng
        needed = {*nx.ancestors(windows.graph, target), target}
        self.groups = _groups(windows, needed)
        reference = np.flatnonzero(windows.window == 0)
        self.rows = reference if reference.size <= MAX_ROWS else rng.choice(reference, MAX_ROWS, replace=False)

    def mean(self, players: frozenset[str], exchanged: frozenset[str]) -> float:
        """Return the target's mean when the ``exchanged`` players have their current mechanism."""
        window = self.windows.window
        simulated: dict[str, Floats] = {}
        for step, names in self.groups:
            parents = _outside_parents(self.windows, names)
            moved = any(parent.name in simulated for parent in parents)
            if not moved and step not in exchanged:
                continue
            if step in players:
                known = np.flatnonzero(window == (1 if step in exchanged else 0))
            else:
                known = np.arange(window.size)
            children = [self.windows.variables[name] for name in names]
            simulated |= self._answers(children, parents, known, simulated)
        values = simulated.get(self.target, self.windows.variables[self.target].values[self.rows])
        present = values[~np.isnan(values)]
        return float(present.mean()) if present.size else 0.0

    def _answers(
        self, children: Sequence[Variable], parents: Sequence[Variable], known: np.ndarray, simulated: dict[str, Floats]
    ) -> dict[str, Floats]:
        if not parents:
            drawn = self.rng.choice(known, self.rows.size)
            return {child.name: child.values[drawn] for child in children}
        wanted = [simulated.get(parent.name, parent.values[self.rows]) for parent in parents]
        coordinates = [
            _coordinates(parent, parent.values[known], new) for parent, new in zip(parents, wanted, strict=True)
        ]
        near, here = (np.column_stack([pair[side] for pair in coordinates]) for side in (0, 1))
        n_neighbours = min(N_NEIGHBOURS, known.size)
        _, found = KDTree(near).query(here, k=list(range(1, n_neighbours + 1)))
        chosen = found[np.arange(self.rows.size), self.rng.integers(0, n_neighbours, self.rows.size)]
        moved = here - near[chosen]
        return {child.name: _shifted(child, child.values[known], near, chosen, moved) for child in children}


def _groups(windows: Windows, needed: set[str]) -> list[tuple[str, list[str]]]:
    """Return the needed variables by player, in an order in which parents come first.

    Where players are each other's parents (an aspect of one step in between), each variable stands alone.
    """
    names = [name for name in windows.variables if name in needed]
    members: dict[str, list[str]] = {}
    for name in names:
        members.setdefault(player_of(windows, name), []).append(name)
    quotient = nx.DiGraph()
    quotient.add_nodes_from(members)
    between = ((player_of(windows, up), player_of(windows, down)) for up, down in windows.graph.subgraph(names).edges)
    quotient.add_edges_from(pair for pair in between if pair[0] != pair[1])
    if nx.is_directed_acyclic_graph(quotient):
        return [(player, members[player]) for player in nx.topological_sort(quotient)]
    return [(player_of(windows, name), [name]) for name in names]


def _outside_parents(windows: Windows, names: Sequence[str]) -> list[Variable]:
    parents = {parent.name: parent for name in names for parent in windows.parents(name) if parent.name not in names}
    return list(parents.values())


def _coordinates(parent: Variable, known: Floats, wanted: Floats) -> tuple[Floats, Floats]:
    if parent.scale is Scale.NUMERIC:
        spread = float(np.nanstd(parent.values)) or 1.0
        centre = float(np.nanmean(parent.values))
        known, wanted = (known - centre) / spread, (wanted - centre) / spread
    else:
        known, wanted = known * CLASS_DISTANCE, wanted * CLASS_DISTANCE
    return tuple(np.nan_to_num(values, nan=-3.0 * CLASS_DISTANCE) for values in (known, wanted))  # type: ignore[return-value]


def _shifted(child: Variable, values: Floats, near: Floats, chosen: np.ndarray, moved: Floats) -> Floats:
    """Return the neighbours' answers, moved along the linear regression where child and step are plain numbers."""
    if child.scale is not Scale.NUMERIC or np.isnan(values).any() or values.size <= 2 * near.shape[1]:
        return np.asarray(values[chosen])
    centred = near - near.mean(axis=0)
    slope = np.linalg.lstsq(centred, values - values.mean(), rcond=1e-6)[0]
    return np.asarray(values[chosen] + moved @ slope)
