"""Requests of the reference, run again with some steps exchanged: by the steps' code, or by what was recorded.

A step whose code is at hand is run again with it. Any other answers what it answered to a request with similar parents
(one of the three nearest), all its variables together, moved along a regression on the parents; so answers that belong
together stay together, and absent stays absent. What nothing has moved stays as it was recorded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import networkx as nx
import numpy as np
import pandas as pd
from scipy.spatial import KDTree

from dfml.errors import DataError
from dfml_analysis.damage import Replay, StepCode
from dfml_analysis.variables import Floats, Scale, Variable
from dfml_analysis.windows import Windows

N_NEIGHBOURS = 3
ROWS_PER_COLUMN = 5
"""Of the regression along which answers are moved."""
CLASS_DISTANCE = 10.0
"""Two classes, or absent and present, are as different as numbers ten standard deviations apart."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the target would have been.

    Attributes
    ----------
    values : array, shape (n,)
        For each request of the reference; NaN where it is absent.
    donors : sequence of arrays of int, shape (n,)
        For each exchanged step that answered by neighbours: whose answer it was, as a row of both windows.
    """

    values: Floats
    donors: Sequence[np.ndarray] = field(default=())


class Rerun:
    """The reference's requests, ready to be run again.

    Parameters
    ----------
    windows : Windows
    target : str
    players : frozenset of str
        Steps that may be exchanged.
    replays : Mapping of str to Replay
        Steps whose code is at hand.
    rng : Generator
        Chooses among neighbours.
    """

    def __init__(
        self,
        windows: Windows,
        target: str,
        players: frozenset[str],
        replays: Mapping[str, Replay],
        rng: np.random.Generator,
    ) -> None:
        self.windows, self.target, self.players, self.replays = windows, target, players, replays
        self.groups = step_groups(windows, {*nx.ancestors(windows.graph, target), target})
        self.rows = np.flatnonzero(windows.window == 0)
        # One draw a step for all coalitions: what they have in common then cancels in their differences.
        self.luck = {step: np.argsort(rng.random(self.rows.size)) for step, _ in self.groups}
        self._above = self._players_above()
        self._answered: dict[tuple[str, frozenset[str]], tuple[np.ndarray, dict[str, Floats]]] = {}

    def _players_above(self) -> dict[str, frozenset[str]]:
        """Return the players that each group's answers depend on, itself among them; by the group's first variable."""
        above: dict[str, frozenset[str]] = {}
        for name in self.windows.variables:
            parents = self.windows.graph.predecessors(name)
            own = self.players & {player_of(self.windows, name)}
            above[name] = own.union(*(above[parent] for parent in parents))
        return {names[0]: frozenset().union(*(above[name] for name in names)) for _, names in self.groups}

    def run(self, exchanged: frozenset[str]) -> Outcome:
        """Return the target when the ``exchanged`` players have their current mechanism."""
        simulated: dict[str, Floats] = {}
        donors: list[np.ndarray] = []
        for step, names in self.groups:
            children = [self.windows.variables[name] for name in names]
            parents = outside_parents(self.windows, names)
            moved = any(parent.name in simulated for parent in parents)
            if not moved and step not in exchanged:
                continue
            replay = self.replays.get(step)
            if replay is not None and parents:
                code = replay.after if step in exchanged else replay.before
                simulated |= self._answers_of_code(step, code, children, parents, simulated)
                continue
            # Coalitions that differ only in players that this step does not depend on get the same answer.
            key = (names[0], exchanged & self._above[names[0]])
            if key not in self._answered:
                known = self._known(step, exchanged)
                self._answered[key] = self._answers(children, parents, known, simulated, self.luck[step])
            chosen, answers = self._answered[key]
            simulated |= answers
            if step in exchanged:
                donors.append(chosen)
        values = simulated.get(self.target, self.windows.variables[self.target].values[self.rows])
        return Outcome(values, tuple(donors))

    def _known(self, step: str, exchanged: frozenset[str]) -> np.ndarray:
        """Return the rows where the step had the mechanism that is asked for."""
        if step not in self.players:
            return np.arange(self.windows.window.size)
        return np.flatnonzero(self.windows.window == (1 if step in exchanged else 0))

    def _answers(
        self,
        children: Sequence[Variable],
        parents: Sequence[Variable],
        known: np.ndarray,
        simulated: dict[str, Floats],
        luck: np.ndarray,
    ) -> tuple[np.ndarray, dict[str, Floats]]:
        """Return whose answers were taken, and the answers; ``luck`` is a random order of the requests."""
        if not parents:
            # Each row as often as another: drawn with replacement they would bring noise of their own.
            drawn = known[luck % known.size]
            return drawn, {child.name: child.values[drawn] for child in children}
        wanted = [simulated.get(parent.name, parent.values[self.rows]) for parent in parents]
        coordinates = [
            _coordinates(parent, parent.values[known], new) for parent, new in zip(parents, wanted, strict=True)
        ]
        near, here = (np.column_stack([pair[side] for pair in coordinates]) for side in (0, 1))
        n_neighbours = min(N_NEIGHBOURS, known.size)
        _, found = KDTree(near).query(here, k=list(range(1, n_neighbours + 1)))
        chosen = found[np.arange(self.rows.size), luck % n_neighbours]
        answers = {child.name: _shifted(child, child.values[known], near, chosen, here) for child in children}
        return known[chosen], answers

    def _answers_of_code(
        self,
        step: str,
        code: StepCode,
        children: Sequence[Variable],
        parents: Sequence[Variable],
        simulated: Mapping[str, Floats],
    ) -> dict[str, Floats]:
        read = {each.name: _as_recorded(each, simulated.get(each.name, each.values[self.rows])) for each in parents}
        answer = code(pd.DataFrame(read))
        known = [child for child in children if child.name in answer]
        if not known or len(answer) != self.rows.size:
            msg = (
                f"the code of step {step!r} gave {len(answer)} rows of {list(answer.columns)}; expected "
                f"{self.rows.size} rows of {[child.name for child in children]}"
            )
            raise DataError(msg)
        never = {child.name: np.full(self.rows.size, np.nan) for child in children if child not in known}
        return never | {child.name: _as_numbers(step, child, answer[child.name]) for child in known}


def player_of(windows: Windows, name: str) -> str:
    """Return the player that a variable belongs to: its step, whose variables are exchanged together.

    What comes in and what goes out of a pipeline are two players, although both bear the pipeline's name.
    """
    step = windows.variables[name].step
    return step if windows.graph.in_degree(name) else f"{step} (input)"


def step_groups(windows: Windows, needed: set[str]) -> list[tuple[str, list[str]]]:
    """Return the needed variables by player, in an order in which parents come first.

    Where players are each other's parents (an aspect of one step in between), each variable stands alone.
    """
    players = {name: player_of(windows, name) for name in windows.variables if name in needed}
    members: dict[str, list[str]] = {}
    for name, player in players.items():
        members.setdefault(player, []).append(name)
    quotient = nx.DiGraph()
    quotient.add_nodes_from(members)
    between = dict.fromkeys((players[up], players[down]) for up, down in windows.graph.subgraph(players).edges)
    quotient.add_edges_from(pair for pair in between if pair[0] != pair[1])
    if nx.is_directed_acyclic_graph(quotient):
        return [(player, members[player]) for player in nx.topological_sort(quotient)]
    return [(player, [name]) for name, player in players.items()]


def outside_parents(windows: Windows, names: Sequence[str]) -> list[Variable]:
    """Return the parents that the named variables have outside of themselves, each once."""
    own = set(names)
    parents = {parent.name: parent for name in names for parent in windows.parents(name) if parent.name not in own}
    return list(parents.values())


def _as_recorded(variable: Variable, values: Floats) -> "pd.Series[float] | pd.Series[str]":
    if not variable.classes:
        return pd.Series(values)
    return pd.Series([None if np.isnan(code) else variable.classes[int(code)] for code in values], dtype=object)


def _as_numbers(step: str, variable: Variable, column: pd.Series) -> Floats:
    if not variable.classes:
        return np.asarray(pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan))
    codes = column.map({name: float(code) for code, name in enumerate(variable.classes)})
    unknown = sorted({str(each) for each in column[codes.isna() & column.notna()]})
    if unknown:
        msg = f"the code of step {step!r} answers {unknown[:5]} for {variable.name!r}; recorded were {variable.classes}"
        raise DataError(msg)
    return np.asarray(codes.to_numpy(dtype=np.float64, na_value=np.nan))


def _coordinates(parent: Variable, known: Floats, wanted: Floats) -> tuple[Floats, Floats]:
    if parent.scale is Scale.NUMERIC:
        spread = float(np.nanstd(parent.values)) or 1.0
        centre = float(np.nanmean(parent.values))
        known, wanted = (known - centre) / spread, (wanted - centre) / spread
    else:
        known, wanted = known * CLASS_DISTANCE, wanted * CLASS_DISTANCE
    return tuple(np.nan_to_num(values, nan=-3.0 * CLASS_DISTANCE) for values in (known, wanted))  # type: ignore[return-value]


def _shifted(child: Variable, values: Floats, near: Floats, chosen: np.ndarray, here: Floats) -> Floats:
    """Return the neighbours' answers, moved along a regression where child and step are plain numbers.

    The neighbours' own distance biases what they say (Abadie, Imbens 2011); a regression takes most of it away. It is
    quadratic where there are rows enough, and goes no further out than the rows that it was fitted to.
    """
    if child.scale is not Scale.NUMERIC or np.isnan(values).any() or values.size <= 2 * near.shape[1]:
        return np.asarray(values[chosen])
    inside = np.clip(here, near.min(axis=0), near.max(axis=0))
    curved = values.size >= ROWS_PER_COLUMN * near.shape[1] * (near.shape[1] + 3) // 2
    known, wanted = (_quadratic(each) if curved else each for each in (near, inside))
    beyond = (here - inside) @ _slopes(near, values) if not curved or (here != inside).any() else 0.0
    return np.asarray(values[chosen] + (wanted - known[chosen]) @ _slopes(known, values) + beyond)


def _slopes(columns: Floats, values: Floats) -> Floats:
    return np.asarray(np.linalg.lstsq(columns - columns.mean(axis=0), values - values.mean(), rcond=1e-6)[0])


def _quadratic(columns: Floats) -> Floats:
    left, right = np.triu_indices(columns.shape[1])
    return np.column_stack([columns, columns[:, left] * columns[:, right]])
