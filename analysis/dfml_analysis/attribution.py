"""Whose is the damage? The target's change, split exactly among the steps whose mechanism changed.

The steps that changed are the players; everything else gets 0 by construction. For a coalition S, the reference's
requests are run again with the current mechanism at the steps in S and that of the reference at the others; v(S) is
the target's mean, quantile or error rate then. The Shapley values of v, over all 2^c coalitions, are in its unit and
sum to v(all) - v(none). Budhathoki et al. (2021), "Why did the distribution change?", with changed mechanisms as the
only players. Means of linear mechanisms have a closed form (:mod:`dfml_analysis.linear`); otherwise the requests are
run again by code or by neighbours (:mod:`dfml_analysis.rerun`).

The intervals come from reweighted requests, all coalitions with the same weights. Where a step answers by neighbours,
the weight is that of the request whose answer was taken, so that a much-used neighbour counts as one (Abadie, Imbens
2006; Cameron, Gelbach, Miller 2011); with several such steps each contributes its share of the variance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import networkx as nx
import numpy as np
from scipy.stats import t

from dfml_analysis.damage import Damage, Measure
from dfml_analysis.linear import linear_means
from dfml_analysis.rerun import Rerun, player_of
from dfml_analysis.shapley import Coalition, coalitions, shapley_values
from dfml_analysis.variables import Floats
from dfml_analysis.windows import Windows

MAX_PLAYERS = 5
"""2^5 coalitions of nine steps are run in a fifth of a second; more players than that share no story anyway."""
MAX_ROWS = 1000
"""Requests of a window that are used; the mean of a thousand is known to 3 % of a standard deviation."""
N_WEIGHTINGS = 100
"""Know a standard error to 7 %."""
SWING = 0.4
"""Weights are 1 plus or minus this: sums of five players' swings, each by the root of their number, stay above -1."""
WIDENED = 1.0 / SWING
"""The bootstrap's weights have a standard deviation of 1, these of ``SWING``."""


@dataclass(frozen=True, slots=True)
class Part:
    """A player's part of the target's change, in the target's unit, with its 95 % interval."""

    value: float
    low: float
    high: float


NOTHING = Part(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Attribution:
    """The target's change and its parts.

    Attributes
    ----------
    parts : Mapping of str to Part
        Shapley value of each player; exactly 0 for a player that the target does not depend on. Where the target would
        have no value, in a window or for a coalition, no part can be told: then the players are not listed.
    observed : float
        The target in the current window minus in the reference, in the unit; NaN if either has no value.
    explained : float
        Sum of the parts; what differs from ``observed`` is chance, and what the models do not know.
    standard_error : float
        Of ``observed``.
    closed_form : bool
        Whether every mechanism on the way was linear, so that nothing was simulated.
    """

    parts: Mapping[str, Part]
    observed: float
    explained: float
    standard_error: float
    closed_form: bool = False


def reaches(windows: Windows, name: str, target: str) -> bool:
    """Return whether the target depends on a variable, or is it."""
    return name == target or nx.has_path(windows.graph, name, target)


def attribute(
    windows: Windows, changed: Sequence[str], target: str, rng: np.random.Generator, damage: Damage | None = None
) -> Attribution:
    """Split the change of the target among the steps of the variables whose mechanism changed.

    Parameters
    ----------
    windows : Windows
    changed : sequence of str
        The variables that changed, strongest evidence first; players after ``MAX_PLAYERS`` get 0.
    target : str
    rng : Generator
        Chooses weights, neighbours, and the rows if there are many.
    damage : Damage, optional
        In which unit, and whose code is at hand; the mean and nobody's by default.

    Raises
    ------
    DataError
        If a step's code answers what cannot be used.
    """
    damage = damage or Damage()
    upstream = dict.fromkeys(player_of(windows, name) for name in changed if reaches(windows, name, target))
    players, beyond = list(upstream)[:MAX_PLAYERS], list(upstream)[MAX_PLAYERS:]
    parts = {player: NOTHING for name in changed if (player := player_of(windows, name)) not in upstream}
    thinned = _thinned(windows, rng)
    weights = _weights(thinned.window.size, rng)
    observed, error = _observed(windows, thinned, target, weights, damage)
    if not players or np.isnan(observed):
        return Attribution(parts, observed, 0.0, error)
    game = _Game(thinned, target, weights, damage)
    members = {player: {name for name in changed if player_of(windows, name) == player} for player in players}
    worth = _closed_form(game, members)
    closed_form = worth is not None
    worth = worth or _by_running(game, players, rng)
    if np.isnan(list(worth.values())).any():
        return Attribution(parts, observed, 0.0, error)
    values = shapley_values(players, worth)
    parts |= dict.fromkeys(beyond, NOTHING)
    parts |= {player: _part(value, _freedom(windows)) for player, value in values.items()}
    return Attribution(parts, observed, sum(part.value for part in parts.values()), error, closed_form)


@dataclass(frozen=True, slots=True)
class _Game:
    """What the worth of every coalition is computed of; one worth for each row of ``weights``."""

    windows: Windows
    target: str
    weights: Floats
    damage: Damage


def _closed_form(game: _Game, members: Mapping[str, set[str]]) -> dict[Coalition, Floats] | None:
    """Return the worths where they are means of linear mechanisms; ``members`` are each player's changed variables."""
    if game.damage.unit.measure is not Measure.MEAN or game.damage.replays:
        return None
    means = linear_means(game.windows, frozenset().union(*members.values()), game.target, game.weights)
    if means is None:
        return None
    return {
        coalition: means.mean(game.target, frozenset().union(*(members[player] for player in coalition)))
        for coalition in coalitions(list(members))
    }


def _by_running(game: _Game, players: Sequence[str], rng: np.random.Generator) -> dict[Coalition, Floats]:
    rerun = Rerun(game.windows, game.target, frozenset(players), game.damage.replays, rng)
    outcomes = {coalition: rerun.run(frozenset(coalition)) for coalition in coalitions(players)}
    sources = outcomes[tuple(players)].donors or (rerun.rows,)
    weights = 1.0 + sum(game.weights[:, rows] - 1.0 for rows in sources) / np.sqrt(len(sources))
    return {coalition: game.damage.unit.of(outcome.values, weights) for coalition, outcome in outcomes.items()}


def _observed(windows: Windows, thinned: Windows, target: str, weights: Floats, damage: Damage) -> tuple[float, float]:
    """Return the target's change, of all requests, and its standard error."""
    values = windows.variables[target].values
    before, after = (values[windows.window == side] for side in (0, 1))
    now, then = (float(damage.unit.of(side, np.ones((1, side.size)))[0]) for side in (after, before))
    values = thinned.variables[target].values
    sides = [thinned.window == side for side in (0, 1)]
    resampled = [damage.unit.of(values[rows], weights[1:, rows]) for rows in sides]
    fewer = np.sqrt(thinned.window.size / windows.window.size)
    return now - then, float(WIDENED * fewer * np.nan_to_num(np.std(resampled[1] - resampled[0])))


def _part(values: Floats, freedom: float) -> Part:
    value, half = float(values[0]), float(t.ppf(0.975, freedom)) * WIDENED * float(np.std(values[1:]))
    return Part(value, value - half, value + half)


def _freedom(windows: Windows) -> float:
    """Return the degrees of freedom of the shorter window, whose spread is known from its own few rows."""
    return float(max(min(windows.n_rows) - 1, 1))


def _weights(n: int, rng: np.random.Generator) -> Floats:
    """Return rows of weights: the first all 1, the others 1 plus or minus ``SWING`` at random."""
    drawn = 1.0 + SWING * (2.0 * rng.integers(0, 2, (N_WEIGHTINGS, n)) - 1.0)
    return np.vstack([np.ones((1, n)), drawn])


def _thinned(windows: Windows, rng: np.random.Generator) -> Windows:
    """Return the windows with at most ``MAX_ROWS`` requests each, drawn at random, in their order."""
    sides = [np.flatnonzero(windows.window == side) for side in (0, 1)]
    if max(rows.size for rows in sides) <= MAX_ROWS:
        return windows
    kept = np.concatenate(
        [rows if rows.size <= MAX_ROWS else np.sort(rng.choice(rows, MAX_ROWS, replace=False)) for rows in sides]
    )
    variables = {
        name: replace(each, values=each.values[kept], state=each.state[kept])
        for name, each in windows.variables.items()
    }
    return replace(windows, variables=variables, window=windows.window[kept])
