"""Families of graphs: from a size to the parents of every node, in topological order."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from types import MappingProxyType

import numpy as np

Parents = dict[str, list[str]]
"""Each node to its parents; a node comes after its parents."""
Shape = Callable[[list[str], np.random.Generator], Parents]

MAX_PARENTS = 2
FAN_INTO = 3
WIDTH = 3
"""Nodes of a layer."""


def draw_parents(shape: str, n_nodes: int, rng: np.random.Generator) -> Parents:
    """Return a graph of the family ``shape``, a name of :data:`SHAPES`, with nodes ``v000`` and so on."""
    return SHAPES[shape]([f"v{index:03d}" for index in range(n_nodes)], rng)


def _chain(names: list[str], _rng: np.random.Generator) -> Parents:
    return {names[0]: [], **{name: [above] for above, name in pairwise(names)}}


def _fan(names: list[str], _rng: np.random.Generator) -> Parents:
    """One source, many that read it, one that reads some of them."""
    middle = {name: [names[0]] for name in names[1:-1]}
    return {names[0]: [], **middle, names[-1]: names[1:-1][:FAN_INTO] or [names[0]]}


def _tree(names: list[str], rng: np.random.Generator) -> Parents:
    """Many sources that flow together: each node but the last is read by one later node, a polytree."""
    parents: Parents = {name: [] for name in names}
    for index, name in enumerate(names[:-1]):
        nearest = min(index + 1 + int(rng.integers(0, WIDTH)), len(names) - 1)
        parents[names[nearest]].append(name)
    return parents


def _layered(names: list[str], rng: np.random.Generator) -> Parents:
    """Layers of three; each node reads one or two of the layer before, the last node all of it."""
    parents: Parents = {name: [] for name in names[:WIDTH]}
    for start in range(WIDTH, len(names), WIDTH):
        above = names[start - WIDTH : start]
        for name in names[start : start + WIDTH]:
            parents[name] = sorted(
                rng.choice(above, size=int(rng.integers(1, MAX_PARENTS + 1)), replace=False).tolist()
            )
    if len(names) > WIDTH:
        parents[names[-1]] = names[-1 - WIDTH : -1]
    return parents


def _random(names: list[str], rng: np.random.Generator) -> Parents:
    """Each node reads one or two of those before it."""
    parents: Parents = {names[0]: []}
    for index, name in enumerate(names[1:], start=1):
        size = min(index, int(rng.integers(1, MAX_PARENTS + 1)))
        parents[name] = sorted(rng.choice(names[:index], size=size, replace=False).tolist())
    return parents


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {"chain": _chain, "fan": _fan, "tree": _tree, "layered": _layered, "random": _random}
)
"""The families by name."""
