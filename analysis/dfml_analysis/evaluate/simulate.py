"""Simulated pipelines with planted faults: a graph family, mechanisms of ten families, faults, a severity, a seed.

Every node is standardised (mean 0, standard deviation 1 in normal operation); a step reads its parents by weights drawn
from ±0.5 to ±1.5. The target is the node with the most ancestors, and what breaks is upstream of it or itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import networkx as nx
import numpy as np
import pandas as pd

from dfml.errors import DataError
from dfml_analysis.causal_graph import read_graph
from dfml_analysis.evaluate.faults import FAULTS
from dfml_analysis.evaluate.mechanisms import FAMILIES
from dfml_analysis.evaluate.shapes import SHAPES, Parents, draw_parents
from dfml_analysis.variables import Floats

N_CALIBRATION = 2000
MIXED = "mixed"
WEIGHTS = (0.5, 1.5)
CYCLE_ROWS = 120
"""Requests of a simulated day."""
N_CONFOUNDED = 2

Twist = Literal["", "confounder", "edge missing", "edge too many", "daily", "cancelled"]
"""What else is odd, in both windows alike: an unrecorded common cause of two steps; an edge that the given graph lacks
or has too many; inputs with a daily cycle. ``cancelled``: the first reader of the broken step makes up for it."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is to be simulated.

    Attributes
    ----------
    shape : str
        A name of :data:`dfml_analysis.evaluate.shapes.SHAPES`.
    n_nodes, n_rows : int
        Nodes, and rows of each window.
    fault : str
        A name of :data:`dfml_analysis.evaluate.faults.FAULTS`.
    severity : float
        In standard deviations.
    n_faults : int
        How many nodes have it.
    share : float
        Of the requests that have it.
    family : str
        Of all mechanisms; ``mixed`` draws one a step.
    shift : float
        By how much the mean of an input moves besides.
    n_current : int or None
        Rows of the current window, where it is not as long as the reference.
    twist : str
    """

    shape: str
    n_nodes: int
    n_rows: int
    fault: str
    severity: float = 1.5
    n_faults: int = 1
    share: float = 1.0
    family: str = MIXED
    shift: float = 0.0
    n_current: int | None = None
    twist: Twist = ""


@dataclass(frozen=True, slots=True)
class Simulated:
    """Two windows of one simulated pipeline.

    Attributes
    ----------
    graph : nx.DiGraph
    reference, current : DataFrame
    target : str
    broken : tuple of str
        The nodes whose mechanism changed, inputs that moved among them; empty when nothing did.
    """

    graph: nx.DiGraph
    reference: pd.DataFrame
    current: pd.DataFrame
    target: str
    broken: tuple[str, ...]


def simulate(setting: Setting, seed: int | Sequence[int]) -> Simulated:
    """Return the pipeline of a setting and a seed (one number or several); the same two give the same.

    Raises
    ------
    DataError
        If the fault, the shape or the family is unknown, the graph has fewer than two nodes, or no graph that was drawn
        has enough nodes that the fault can happen to.
    """
    _check(setting)
    rng = np.random.default_rng(seed)
    world = _draw_world(setting, rng)
    world.window(N_CALIBRATION, rng)
    reference = world.window(setting.n_rows, rng)
    faulty = {node: setting.fault for node in world.chosen}
    shifted = {node: setting.shift for node in world.shifted}
    current = world.window(setting.n_current or setting.n_rows, rng, faulty, shifted)
    broken = (*world.chosen, *world.shifted, *world.compensating) if setting.fault != "none" else world.shifted
    return Simulated(read_graph(world.told), reference, current, world.target, tuple(dict.fromkeys(broken)))


class _World:
    """One pipeline: its graph, its mechanisms, and what of it breaks."""

    def __init__(self, setting: Setting, parents: Parents, rng: np.random.Generator) -> None:
        self.setting, self.parents = setting, parents
        self.families = {
            node: str(rng.choice(list(FAMILIES))) if setting.family == MIXED else setting.family
            for node, above in parents.items()
            if above
        }
        self.weights = {
            node: rng.uniform(*WEIGHTS, size=len(above)) * rng.choice([-1.0, 1.0], size=len(above))
            for node, above in parents.items()
        }
        graph = read_graph(parents)
        self.target = max(parents, key=lambda node: (len(nx.ancestors(graph, node)), node))
        self.upstream = [node for node in parents if node in nx.ancestors(graph, self.target) | {self.target}]
        self.scales: dict[str, tuple[float, float]] = {}
        self.confounded: set[str] = set()
        self.chosen: tuple[str, ...] = ()
        self.shifted: tuple[str, ...] = ()
        self.compensating: tuple[str, ...] = ()
        self.told = parents

    def window(
        self,
        n_rows: int,
        rng: np.random.Generator,
        faulty: Mapping[str, str] | None = None,
        shifted: Mapping[str, float] | None = None,
    ) -> pd.DataFrame:
        """Return a window of requests; the first one that is drawn sets the nodes' means and standard deviations."""
        hidden, values = rng.normal(size=n_rows), dict[str, Floats]()
        affected = rng.random(n_rows) < self.setting.share
        for node, above in self.parents.items():
            columns = [np.nan_to_num(values[parent]) for parent in above]
            if node in self.compensating and faulty:
                columns[above.index(self.chosen[0])] -= self.setting.severity
            pa = np.column_stack(columns) if columns else np.empty((n_rows, 0))
            draw = partial(self._draw, node, hidden, rng)
            values[node] = draw(pa) + (shifted or {}).get(node, 0.0)
            if faulty and node in faulty:
                damaged = FAULTS[faulty[node]].damage(draw, pa, self.setting.severity, rng)
                values[node] = np.where(affected, damaged, values[node])
        return pd.DataFrame(values)

    def _draw(self, node: str, hidden: Floats, rng: np.random.Generator, pa: Floats) -> Floats:
        """Return the standardised values of a node given its parents."""
        raw = FAMILIES[self.families[node]](pa * self.weights[node], rng) if pa.shape[1] else self._root(len(pa), rng)
        if node in self.confounded:
            raw = raw + hidden
        mean, sd = self.scales.setdefault(node, (float(raw.mean()), float(raw.std()) or 1.0))
        return np.asarray((raw - mean) / sd)

    def _root(self, n_rows: int, rng: np.random.Generator) -> Floats:
        drawn = rng.normal(size=n_rows)
        if self.setting.twist != "daily":
            return drawn
        phase = rng.integers(CYCLE_ROWS)
        return drawn + 1.5 * np.sin(2 * np.pi * (np.arange(n_rows) + phase) / CYCLE_ROWS)


MAX_DRAWS = 50
"""Graphs that are drawn before it is said that none of the shape fits the fault."""


def _draw_world(setting: Setting, rng: np.random.Generator) -> _World:
    """Return a pipeline that has enough nodes for the faults; what breaks is drawn among them."""
    fault = FAULTS[setting.fault]
    for _ in range(MAX_DRAWS):
        world = _World(setting, draw_parents(setting.shape, setting.n_nodes, rng), rng)
        degrees = {node: len(world.parents[node]) for node in world.upstream}
        fitting = [node for node, n in degrees.items() if (n == 0 if fault.of_input else n >= fault.n_parents)]
        if setting.twist == "cancelled":
            fitting = [node for node in fitting if node != world.target]
        if setting.fault == "none" or len(fitting) >= setting.n_faults:
            _break(world, fitting, rng)
            return world
    msg = f"simulation: no {setting.shape} of {setting.n_nodes} nodes has {setting.n_faults} that {setting.fault} fits"
    raise DataError(msg)


def _break(world: _World, fitting: list[str], rng: np.random.Generator) -> None:
    """Draw which nodes break, and what else is odd."""
    setting = world.setting
    if setting.fault != "none":
        world.chosen = tuple(sorted(map(str, rng.choice(fitting, size=setting.n_faults, replace=False))))
        family = FAULTS[setting.fault].family
        world.families |= {node: family for node in world.chosen if family is not None}
    roots = [node for node in world.upstream if not world.parents[node]]
    if setting.shift:
        world.shifted = (str(rng.choice(roots)),)
    steps = [node for node, above in world.parents.items() if above]
    if setting.twist == "confounder":
        world.confounded = set(map(str, rng.choice(steps, size=min(N_CONFOUNDED, len(steps)), replace=False)))
    if setting.twist == "cancelled":
        world.compensating = tuple(node for node in steps if world.chosen[0] in world.parents[node])[:1]
    world.told = _told(world, rng)


def _told(world: _World, rng: np.random.Generator) -> Parents:
    """Return the graph as it is given to the methods: the true one, or one with an edge more or less."""
    told = {node: list(above) for node, above in world.parents.items()}
    names = list(told)
    if world.setting.twist == "edge missing":
        node = str(rng.choice([name for name, above in told.items() if len(above) > 1] or names[1:]))
        told[node].remove(str(rng.choice(told[node])))
    if world.setting.twist == "edge too many":
        pairs = [(up, down) for index, up in enumerate(names) for down in names[index + 1 :] if up not in told[down]]
        up, down = pairs[int(rng.integers(len(pairs)))]
        told[down].append(up)
    return told


def _check(setting: Setting) -> None:
    known = {"fault": FAULTS, "shape": SHAPES, "family": {MIXED, *FAMILIES}}
    for name, choices in known.items():
        if getattr(setting, name) not in choices:
            msg = f"simulation: got {name} {getattr(setting, name)!r}; expected one of {', '.join(sorted(choices))}"
            raise DataError(msg)
    if setting.n_nodes < 2:
        msg = f"simulation: got {setting.n_nodes} nodes; expected two or more"
        raise DataError(msg)
