"""Simulated time series: a vector autoregression on a random acyclic graph, and inputs of noise that go wrong.

x_t = A x_t + B x_{t-1} + e_t, with A on the graph's edges and B on the diagonal. Li et al. (2022) simulate so; the
graph that is given is the true one. The noise of the broken nodes moves until the target, the last node, is off by
three standard deviations.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dfml_analysis.causal_graph import read_graph
from dfml_analysis.evaluate.simulate import Simulated
from dfml_analysis.variables import Floats

MEMORY = 0.3
"""What a variable keeps of its last value."""
WEIGHTS = (0.5, 1.5)
N_EDGES = 2
"""Edges for each node."""
TARGET_SIGMAS = 3.0
WARM_UP = 50


@dataclass(frozen=True, slots=True)
class SeriesSetting:
    """What is to be simulated: nodes, rows of the normal and of the faulty window, and how many nodes break."""

    n_nodes: int
    n_reference: int = 300
    n_current: int = 20
    n_faults: int = 1


def simulate_series(setting: SeriesSetting, seed: int | Sequence[int]) -> Simulated:
    """Return the windows of a setting and a seed; the second goes on where the first ends."""
    rng = np.random.default_rng(seed)
    n = setting.n_nodes
    weights = _draw_weights(n, rng)
    broken = _draw_broken(weights, setting.n_faults, rng)
    noise = rng.normal(size=(WARM_UP + setting.n_reference + setting.n_current, n))
    start = WARM_UP + setting.n_reference
    noise[start:, broken] += _strength(weights, broken, noise[:start])
    names = [f"v{index:03d}" for index in range(n)]
    table = pd.DataFrame(_run(weights, noise), columns=names)
    parents = {name: [names[above] for above in np.flatnonzero(row)] for name, row in zip(names, weights, strict=True)}
    reference, current = table[WARM_UP:start], table[start:]
    frames = (reference.reset_index(drop=True), current.reset_index(drop=True))
    return Simulated(read_graph(parents), *frames, names[-1], tuple(names[index] for index in broken))


def _draw_weights(n: int, rng: np.random.Generator) -> Floats:
    """Return A, shape (n, n): row i weighs the parents of i, which come before it; everything reaches the last node."""
    weights = np.zeros((n, n))
    for child in range(1, n):
        above = rng.choice(child, size=min(child, N_EDGES), replace=False)
        weights[child, above] = rng.uniform(*WEIGHTS, size=above.size) * rng.choice([-1.0, 1.0], size=above.size)
    childless = [node for node in range(n - 1) if not weights[:, node].any()]
    weights[-1, childless] = rng.uniform(*WEIGHTS, size=len(childless)) * rng.choice([-1.0, 1.0], size=len(childless))
    n_parents = (weights != 0).sum(axis=1, keepdims=True)
    return np.asarray(weights / np.sqrt(np.maximum(n_parents, 1)))


def _draw_broken(weights: Floats, n_faults: int, rng: np.random.Generator) -> list[int]:
    """Return nodes whose noise can move the target: those of the larger half of the effects on it."""
    effects = np.abs(_effects(weights))
    strong = np.flatnonzero(effects >= np.median(effects))
    return sorted(int(node) for node in rng.choice(strong, size=n_faults, replace=False))


def _effects(weights: Floats) -> Floats:
    """Return how much a lasting unit of each node's noise moves the target, shape (n,)."""
    n = len(weights)
    return np.asarray(np.linalg.inv((1.0 - MEMORY) * np.eye(n) - weights)[-1])


def _strength(weights: Floats, broken: list[int], noise: Floats) -> Floats:
    """Return by how much the noise of each broken node moves, shape (n_faults,): as many sigmas of the target each."""
    target = _run(weights, noise)[WARM_UP:, -1]
    return np.asarray(TARGET_SIGMAS * target.std() / np.abs(_effects(weights)[broken]))


def _run(weights: Floats, noise: Floats) -> Floats:
    values = np.zeros_like(noise)
    mixing = np.linalg.inv(np.eye(len(weights)) - weights)
    for row in range(1, len(noise)):
        values[row] = mixing @ (MEMORY * values[row - 1] + noise[row])
    return values
