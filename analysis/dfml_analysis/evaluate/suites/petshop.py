"""``petshop``: 41 services of a shop under load, with injected issues (Hardt et al. 2024, *The PetShop dataset*).

Layout of the folder: one folder a kind of traffic (any name) with ``graph.csv`` (the call graph as an adjacency matrix,
caller in the row), ``noissue/metrics.csv`` and ``SPLIT/issue_*/`` with ``metrics.csv`` and ``target.json``; split is
``train`` or ``test``. A row of ``metrics.csv`` is five minutes; its columns are service, metric, statistic.

A case: the reference is the whole window without an issue, the current window every row of the issue; one variable a
service, the metric and statistic that the issue's target names; who is called causes who calls. The truth is the
service at fault. Controls are windows as long as the issues', cut at even distances out of the window without an issue
and taken away from its reference, with their neighbours.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import networkx as nx
import numpy as np
import orjson
import pandas as pd

from dfml.errors import DataError
from dfml_analysis.causal_graph import with_kinds
from dfml_analysis.evaluate.case import Case, Posed
from dfml_analysis.localisers.base import Problem

SUITE = "petshop"
N_CONTROLS = 8
"""Windows without an issue for each traffic and metric."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the issue was noticed by: a service's metric and its statistic."""

    service: str
    metric: str
    statistic: str


def petshop_cases(folder: Path, split: str) -> list[Case]:
    """Return every issue of a split that the folder holds, and the controls.

    Raises
    ------
    DataError
        If the folder is not laid out like that, or a file of it is not what its name says.
    """
    traffics = sorted(path.parent for path in folder.glob("*/graph.csv"))
    cases: list[Case] = []
    for traffic in traffics:
        issues = sorted((traffic / split).glob("issue_*/target.json"), key=lambda path: _number(path.parent.name))
        cases += [_issue(traffic, path.parent) for path in issues]
        lengths = {_target(_read_json(path), path): len(_metrics(path.with_name("metrics.csv"))) for path in issues}
        cases += [case for target, n_rows in lengths.items() for case in _controls(traffic, target, n_rows)]
    if not cases:
        found = sorted(str(path.relative_to(folder)) for path in folder.glob("*/*")) if folder.is_dir() else []
        msg = (
            f"{folder}: expected TRAFFIC/graph.csv, TRAFFIC/noissue/metrics.csv and TRAFFIC/{split}/issue_N/ with "
            f"metrics.csv and target.json; found {', '.join(found[:8]) or 'nothing'}; name the data set's folder, or "
            "another --split"
        )
        raise DataError(msg)
    return cases


def _issue(traffic: Path, folder: Path) -> Case:
    told = _read_json(folder / "target.json")
    target = _target(told, folder / "target.json")
    culprit = _entry(told, folder / "target.json", "root_cause", "node")
    return Case(SUITE, _condition(traffic, target), folder.name, partial(_pose_issue, traffic, folder, target, culprit))


def _controls(traffic: Path, target: Target, n_rows: int) -> Iterator[Case]:
    n_there = len(_metrics(traffic / "noissue" / "metrics.csv"))
    n_windows = min(N_CONTROLS, n_there // (4 * n_rows))
    for start in map(int, np.linspace(0, n_there - n_rows, n_windows).round()):
        rows = range(start, start + n_rows)
        name, condition = f"rows {rows[0]} to {rows[-1]}", f"{_condition(traffic, target)}, no issue"
        yield Case(SUITE, condition, name, partial(_pose_control, traffic, target, rows))


def _pose_issue(traffic: Path, folder: Path, target: Target, culprit: str) -> Posed:
    reference = _values(_metrics(traffic / "noissue" / "metrics.csv"), target)
    current = _values(_metrics(folder / "metrics.csv"), target)
    return Posed(Problem(_graph(traffic), reference, current, target.service, _seed(folder)), (frozenset({culprit}),))


def _pose_control(traffic: Path, target: Target, rows: range) -> Posed:
    whole = _values(_metrics(traffic / "noissue" / "metrics.csv"), target)
    n_rows = len(rows)
    before, after = whole.iloc[: max(rows.start - n_rows, 0)], whole.iloc[rows.stop + n_rows :]
    reference = pd.concat([before, after], ignore_index=True)
    current = whole.iloc[rows.start : rows.stop].reset_index(drop=True)
    return Posed(Problem(_graph(traffic), reference, current, target.service, rows.start), ())


def _values(metrics: pd.DataFrame, target: Target) -> pd.DataFrame:
    """Return one column a service: its values of the target's metric and statistic."""
    services = dict.fromkeys(map(str, metrics.columns.get_level_values(0)))
    wanted = {service: (service, target.metric, target.statistic) for service in services}
    chosen = {service: metrics[column] for service, column in wanted.items() if column in metrics.columns}
    return pd.DataFrame(chosen).reset_index(drop=True)


@cache
def _graph(traffic: Path) -> nx.DiGraph:
    """Return the causal graph: the calls, turned round, since who calls waits for who is called."""
    path = traffic / "graph.csv"
    try:
        calls = nx.from_pandas_adjacency(pd.read_csv(path, index_col=0), create_using=nx.DiGraph)
    except (OSError, ValueError, nx.NetworkXError) as error:
        msg = f"{path}: it is no adjacency matrix ({error}); expected a row and a column for each service, 0 or 1"
        raise DataError(msg) from error
    causal = nx.DiGraph()
    causal.add_nodes_from((str(node), {"step": str(node)}) for node in calls)
    causal.add_edges_from((str(called), str(caller)) for caller, called in calls.edges)
    return with_kinds(causal)


@cache
def _metrics(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, header=[0, 1, 2], index_col=0)
    except (OSError, ValueError) as error:
        msg = f"{path}: it cannot be read ({error}); expected CSV with three header lines: service, metric, statistic"
        raise DataError(msg) from error
    return table.loc[:, ~table.columns.duplicated()]


def _target(told: object, path: Path) -> Target:
    return Target(*(_entry(told, path, "target", name) for name in ("node", "metric", "agg")))


def _entry(told: object, path: Path, *names: str) -> str:
    for name in names:
        told = told.get(name) if isinstance(told, dict) else None
    if not isinstance(told, str):
        msg = f"{path}: got {told!r} for {'.'.join(names)}; expected target.node, .metric, .agg and root_cause.node"
        raise DataError(msg)
    return told


def _read_json(path: Path) -> object:
    try:
        return orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        msg = f"{path}: it is no JSON ({error}); expected target and root_cause of an issue"
        raise DataError(msg) from error


def _condition(traffic: Path, target: Target) -> str:
    return f"{traffic.name} {target.metric}"


def _seed(folder: Path) -> int:
    """Return a number of the issue, for methods that draw random numbers."""
    return zlib.crc32("/".join(folder.parts[-3:]).encode())


def _number(name: str) -> tuple[int, str]:
    """Return the key that orders issue_2 before issue_10."""
    digits = name.rpartition("_")[2]
    return (int(digits), name) if digits.isdecimal() else (-1, name)
