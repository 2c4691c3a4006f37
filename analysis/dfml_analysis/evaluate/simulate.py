"""Simulated pipelines with planted faults: a graph family, mechanisms of ten families, a fault, a severity, a seed.

The faults, at one node (``severity`` in standard deviations of the node in normal operation):

=============  ================================================================================
``none``       nothing; the two windows differ by chance only
``input``      a root's mean moves
``spread``     a root's values are spread ``1 + severity`` times as wide
``offset``     a step adds a constant
``sign``       a step answers the opposite (severity is not used)
``scale``      a step multiplies by ``1 + severity``
``stuck``      a step answers the same value always (severity is not used)
``missing``    a step's answer is absent for one request in five (severity is not used)
``partial``    ``offset`` on one request in ten, ten times as large
=============  ================================================================================
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import networkx as nx
import numpy as np
import pandas as pd

from dfml.errors import DataError
from dfml_analysis.causal_graph import read_graph
from dfml_analysis.evaluate.mechanisms import FAMILIES
from dfml_analysis.variables import Floats

Shape = Literal["chain", "fan", "random"]
N_CALIBRATION = 2000
MISSING_SHARE = 0.2
PARTIAL_SHARE = 0.1

Damage = Callable[[Floats, float, np.random.Generator], Floats]
"""From a node's standardised values and the severity to what is recorded."""


def _partial(values: Floats, severity: float, rng: np.random.Generator) -> Floats:
    return np.where(rng.random(values.size) < PARTIAL_SHARE, values + severity / PARTIAL_SHARE, values)


def _missing(values: Floats, _severity: float, rng: np.random.Generator) -> Floats:
    return np.where(rng.random(values.size) < MISSING_SHARE, np.nan, values)


DAMAGES: Mapping[str, Damage] = MappingProxyType(
    {
        "none": lambda values, _severity, _rng: values,
        "input": lambda values, severity, _rng: values + severity,
        "spread": lambda values, severity, _rng: values * (1.0 + severity),
        "offset": lambda values, severity, _rng: values + severity,
        "sign": lambda values, _severity, _rng: -values,
        "scale": lambda values, severity, _rng: values * (1.0 + severity),
        "stuck": lambda values, _severity, _rng: np.full_like(values, values[0]),
        "missing": _missing,
        "partial": _partial,
    }
)
ROOT_FAULTS = frozenset({"input", "spread"})


@dataclass(frozen=True, slots=True)
class Setting:
    """What is to be simulated.

    Attributes
    ----------
    shape : {"chain", "fan", "random"}
        The graph's family; ``random`` has up to two parents a node.
    n_nodes, n_rows : int
        Nodes, and rows of each window.
    fault : str
        A name of ``DAMAGES``.
    severity : float
    """

    shape: Shape
    n_nodes: int
    n_rows: int
    fault: str
    severity: float = 1.5


@dataclass(frozen=True, slots=True)
class Simulated:
    """Two windows of one simulated pipeline.

    Attributes
    ----------
    graph : nx.DiGraph
    reference, current : DataFrame
    target : str
        The last node.
    truth : str or None
        The node at fault; None when nothing is.
    """

    graph: nx.DiGraph
    reference: pd.DataFrame
    current: pd.DataFrame
    target: str
    truth: str | None


def simulate(setting: Setting, seed: int) -> Simulated:
    """Return the pipeline of a setting and a seed; the same two give the same.

    Raises
    ------
    DataError
        If the fault is unknown or the graph has fewer than two nodes.
    """
    if setting.fault not in DAMAGES or setting.n_nodes < 2:
        known = ", ".join(DAMAGES)
        msg = f"simulation: got fault {setting.fault!r} and {setting.n_nodes} nodes; expected one of {known} and 2+"
        raise DataError(msg)
    rng = np.random.default_rng(seed)
    parents = _parents(setting, rng)
    mechanisms = {node: str(rng.choice(list(FAMILIES))) for node in parents}
    roots = [node for node, above in parents.items() if not above]
    steps = [node for node, above in parents.items() if above]
    choice = str(rng.choice(roots if setting.fault in ROOT_FAULTS else steps))
    truth = None if setting.fault == "none" else choice
    scales = _scales(parents, mechanisms, rng)
    reference = _window(parents, mechanisms, scales, setting.n_rows, rng)
    damage = DAMAGES[setting.fault]
    current = _window(
        parents, mechanisms, scales, setting.n_rows, rng, truth, lambda values: damage(values, setting.severity, rng)
    )
    return Simulated(read_graph(parents), reference, current, list(parents)[-1], truth)


def _parents(setting: Setting, rng: np.random.Generator) -> dict[str, list[str]]:
    names = [f"v{index:02d}" for index in range(setting.n_nodes)]
    if setting.shape == "chain":
        return {name: names[max(index - 1, 0) : index] for index, name in enumerate(names)}
    if setting.shape == "fan":
        middle = {name: [names[0]] for name in names[1:-1]}
        return {names[0]: [], **middle, names[-1]: names[1:-1][:3] or [names[0]]}
    chosen = [
        rng.choice(index, size=min(index, int(rng.integers(1, 3))), replace=False) for index in range(1, len(names))
    ]
    return {names[0]: [], **{names[i + 1]: [names[j] for j in sorted(above)] for i, above in enumerate(chosen)}}


def _scales(
    parents: Mapping[str, list[str]], mechanisms: Mapping[str, str], rng: np.random.Generator
) -> dict[str, tuple[float, float]]:
    scales: dict[str, tuple[float, float]] = {}
    values: dict[str, Floats] = {}
    for node, above in parents.items():
        raw = _draw(mechanisms[node], [values[parent] for parent in above], N_CALIBRATION, rng)
        scales[node] = (float(raw.mean()), float(raw.std()) or 1.0)
        values[node] = (raw - scales[node][0]) / scales[node][1]
    return scales


def _window(  # noqa: PLR0913, PLR0917 - private, and each is one thing
    parents: Mapping[str, list[str]],
    mechanisms: Mapping[str, str],
    scales: Mapping[str, tuple[float, float]],
    n_rows: int,
    rng: np.random.Generator,
    broken: str | None = None,
    damage: Callable[[Floats], Floats] = lambda values: values,
) -> pd.DataFrame:
    values: dict[str, Floats] = {}
    for node, above in parents.items():
        raw = _draw(mechanisms[node], [np.nan_to_num(values[parent]) for parent in above], n_rows, rng)
        standardised = (raw - scales[node][0]) / scales[node][1]
        values[node] = damage(standardised) if node == broken else standardised
    return pd.DataFrame(values)


def _draw(family: str, above: list[Floats], n_rows: int, rng: np.random.Generator) -> Floats:
    return FAMILIES[family](np.column_stack(above), rng) if above else rng.normal(0.0, 1.0, n_rows)
