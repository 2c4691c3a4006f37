"""Exact Shapley values of a game with few players."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from math import factorial

import numpy as np

from dfml_analysis.variables import Floats

Coalition = tuple[str, ...]


def coalitions(players: Sequence[str]) -> Iterator[Coalition]:
    """Yield every coalition, its members in the order of ``players``; the empty one first."""
    for size in range(len(players) + 1):
        yield from combinations(players, size)


def shapley_values(players: Sequence[str], worth: Mapping[Coalition, Floats]) -> dict[str, Floats]:
    """Return each player's value: its mean contribution over all orders in which the players may come.

    Parameters
    ----------
    players : sequence of str
    worth : Mapping of tuple to float or array
        The worth of each of :func:`coalitions`; of arrays, each element is a game of its own.

    Examples
    --------
    >>> worth = {(): 0.0, ("a",): 1.0, ("b",): 0.0, ("a", "b"): 3.0}
    >>> {name: float(value) for name, value in shapley_values(["a", "b"], worth).items()}
    {'a': 2.0, 'b': 1.0}
    """
    n = len(players)
    values: dict[str, Floats] = {player: np.asarray(0.0) for player in players}
    for coalition, value in worth.items():
        size = len(coalition)
        for player in players:
            if player in coalition:
                values[player] = values[player] + value * (factorial(size - 1) * factorial(n - size) / factorial(n))
            else:
                values[player] = values[player] - value * (factorial(size) * factorial(n - size - 1) / factorial(n))
    return values
