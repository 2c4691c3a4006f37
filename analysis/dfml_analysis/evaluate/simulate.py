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
DAILY = 1.5
"""Amplitude of the daily cycle, in standard deviations of the rest."""
N_CONFOUNDED = 2
MAX_DRAWS = 50
"""Graphs that are drawn before it is said that none of the shape fits the fault."""

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

    @property
    def is_cancelled(self) -> bool:
        """Whether a reader of the broken step makes up for it."""
        return self.twist == "cancelled"


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
    plan = _draw_plan(setting, rng)
    world = _World(setting, plan, rng)
    world.window(N_CALIBRATION, rng)
    reference = world.window(setting.n_rows, rng)
    current = world.window(setting.n_current or setting.n_rows, rng, faulty=True)
    broken = tuple(dict.fromkeys((*plan.broken, *plan.compensating, *plan.shifted)))
    return Simulated(read_graph(_told(setting, plan.parents, rng)), reference, current, plan.target, broken)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A graph, and which of its nodes play which part."""

    parents: Parents
    target: str
    broken: tuple[str, ...]
    compensating: tuple[str, ...]
    shifted: tuple[str, ...]
    confounded: tuple[str, ...]


class _World:
    """The mechanisms of a plan, and the means and standard deviations that the first window gives its nodes."""

    def __init__(self, setting: Setting, plan: _Plan, rng: np.random.Generator) -> None:
        self.setting, self.plan = setting, plan
        self.families = {node: self._family(node, rng) for node, above in plan.parents.items() if above}
        self.weights = {node: _draw_weights(len(above), rng) for node, above in plan.parents.items()}
        self.scales: dict[str, tuple[float, float]] = {}

    def window(self, n_rows: int, rng: np.random.Generator, *, faulty: bool = False) -> pd.DataFrame:
        """Return a window of requests, with what the plan breaks if ``faulty``."""
        hidden, affected = rng.normal(size=n_rows), rng.random(n_rows) < self.setting.share
        values: dict[str, Floats] = {}
        for node in self.plan.parents:
            pa = self._read(node, values, n_rows, faulty=faulty)
            draw = partial(self._draw, node, hidden, rng)
            values[node] = draw(pa)
            if faulty and node in self.plan.shifted:
                values[node] = values[node] + self.setting.shift
            if faulty and node in self.plan.broken:
                damaged = FAULTS[self.setting.fault].damage(draw, pa, self.setting.severity, rng)
                values[node] = np.where(affected, damaged, values[node])
        return pd.DataFrame(values)

    def _read(self, node: str, values: Mapping[str, Floats], n_rows: int, *, faulty: bool) -> Floats:
        """Return a node's parents, shape (n, d): absent counts as 0, and who makes up for a fault takes it away."""
        columns = {parent: np.nan_to_num(values[parent]) for parent in self.plan.parents[node]}
        if faulty and node in self.plan.compensating:
            columns[self.plan.broken[0]] = columns[self.plan.broken[0]] - self.setting.severity
        return np.column_stack(list(columns.values())) if columns else np.empty((n_rows, 0))

    def _draw(self, node: str, hidden: Floats, rng: np.random.Generator, pa: Floats) -> Floats:
        """Return the standardised values of a node given its parents."""
        raw = FAMILIES[self.families[node]](pa * self.weights[node], rng) if pa.shape[1] else self._root(len(pa), rng)
        if node in self.plan.confounded:
            raw = raw + hidden
        mean, sd = self.scales.setdefault(node, (float(raw.mean()), float(raw.std()) or 1.0))
        return np.asarray((raw - mean) / sd)

    def _root(self, n_rows: int, rng: np.random.Generator) -> Floats:
        drawn = rng.normal(size=n_rows)
        if self.setting.twist != "daily":
            return drawn
        phase = rng.integers(CYCLE_ROWS)
        return drawn + DAILY * np.sin(2 * np.pi * (np.arange(n_rows) + phase) / CYCLE_ROWS)

    def _family(self, node: str, rng: np.random.Generator) -> str:
        drawn = str(rng.choice(list(FAMILIES)))
        if node in self.plan.broken and (needed := FAULTS[self.setting.fault].family) is not None:
            return needed
        return drawn if self.setting.family == MIXED else self.setting.family


def _draw_weights(n: int, rng: np.random.Generator) -> Floats:
    return np.asarray(rng.uniform(*WEIGHTS, size=n) * rng.choice([-1.0, 1.0], size=n))


def _draw_plan(setting: Setting, rng: np.random.Generator) -> _Plan:
    """Return a graph that has enough nodes for the faults; what breaks is drawn among them."""
    for _ in range(MAX_DRAWS):
        parents = draw_parents(setting.shape, setting.n_nodes, rng)
        target, upstream = _aim(parents)
        fitting = _fitting(setting, parents, [node for node in upstream if node != target or not setting.is_cancelled])
        if setting.fault == "none" or len(fitting) >= setting.n_faults:
            break
    else:
        shape = f"{setting.shape} of {setting.n_nodes} nodes"
        msg = f"simulation: no {shape} has {setting.n_faults} that {setting.fault} fits; take more nodes or another"
        raise DataError(msg)
    n_broken = 0 if setting.fault == "none" else setting.n_faults
    broken = tuple(sorted(map(str, rng.choice(fitting, size=n_broken, replace=False)))) if n_broken else ()
    steps = [node for node, above in parents.items() if above]
    roots = [node for node in upstream if not parents[node]]
    n_confounded = min(N_CONFOUNDED, len(steps)) if setting.twist == "confounder" else 0
    return _Plan(
        parents=parents,
        target=target,
        broken=broken,
        compensating=tuple(node for node in steps if setting.is_cancelled and broken[0] in parents[node])[:1],
        shifted=(str(rng.choice(roots)),) if setting.shift else (),
        confounded=tuple(map(str, rng.choice(steps, size=n_confounded, replace=False))),
    )


def _aim(parents: Parents) -> tuple[str, list[str]]:
    """Return the target, which is the node with the most ancestors, and these with it in topological order."""
    graph = read_graph(parents)
    above = {node: nx.ancestors(graph, node) for node in parents}
    target = max(parents, key=lambda node: (len(above[node]), node))
    return target, [node for node in parents if node in above[target] or node == target]


def _fitting(setting: Setting, parents: Parents, nodes: Sequence[str]) -> list[str]:
    fault = FAULTS[setting.fault]
    n_parents = {node: len(parents[node]) for node in nodes}
    return [node for node, n in n_parents.items() if (n == 0 if fault.of_input else n >= fault.n_parents)]


def _told(setting: Setting, parents: Parents, rng: np.random.Generator) -> Parents:
    """Return the graph as it is given to the methods: the true one, or one with an edge more or less."""
    told = {node: list(above) for node, above in parents.items()}
    names = list(told)
    if setting.twist == "edge missing":
        node = str(rng.choice([name for name, above in told.items() if len(above) > 1] or names[1:]))
        told[node].remove(str(rng.choice(told[node])))
    if setting.twist == "edge too many":
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
