"""The recorded study's cases: what the folder holds, as pairs of windows with a known answer (none for controls)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import networkx as nx
import pandas as pd

from dfml.errors import DataError
from dfml_analysis.causal_graph import read_graph

SCIPIPE_PARENTS: Mapping[str, list[str]] = {
    "count1": [],
    "count2": [],
    "gccount1": ["count1"],
    "atcount1": ["count1"],
    "gccount2": ["count2"],
    "atcount2": ["count2"],
    "gcsum": ["gccount1", "gccount2"],
    "atsum": ["atcount1", "atcount2"],
    "gcratio": ["gcsum", "atsum"],
}
SELDON_PARENTS: Mapping[str, list[str]] = {
    "input": [],
    "calculate_claim_value": ["input"],
    "low_value_claims": ["calculate_claim_value"],
    "high_value_claims": ["calculate_claim_value"],
    "simple_claims": ["input", "low_value_claims"],
    "complex_claims": ["input", "low_value_claims"],
    "calculate_simple_claim_payout": ["input", "simple_claims"],
    "calculate_complex_claim_payout": ["input", "complex_claims", "high_value_claims"],
    "output": ["calculate_simple_claim_payout", "calculate_complex_claim_payout"],
}
SCIPIPE_TRUTHS = {"break-count1": frozenset({"count1"}), "break-count2": frozenset({"count2"})}
SELDON_TRUTHS = {"broken_app": frozenset({"simple_claims", "complex_claims"}), "broken_data": frozenset({"input"})}
SELDON_FILE = re.compile(r"(?P<mode>normal|broken_app|broken_data)_(?P<repeat>\d+)\.csv")
NORMAL = "normal"


@dataclass(frozen=True, slots=True)
class Case:
    """Two windows and what was broken between them.

    Attributes
    ----------
    system, condition : str
        ``condition`` is ``normal`` for a control.
    repeat : int
    graph : nx.DiGraph
    reference, current : DataFrame
    target : str
    truth : frozenset of str
        The nodes of the one broken component; empty for a control.
    """

    system: str
    condition: str
    repeat: int
    graph: nx.DiGraph
    reference: pd.DataFrame
    current: pd.DataFrame
    target: str
    truth: frozenset[str]


def read_cases(folder: Path) -> list[Case]:
    """Return every case that the folder holds, and the controls: each normal repeat against the next.

    Raises
    ------
    DataError
        If the folder holds neither system.
    """
    cases = [*_scipipe(folder / "scipipe.csv"), *_seldon(folder / "seldon-insurance")]
    if not cases:
        msg = (
            f"{folder}: neither scipipe.csv nor seldon-insurance/*.csv with two windows in it; give the study's folder"
        )
        raise DataError(msg)
    return cases


def thinned(case: Case, part: int) -> Case:
    """Return the case with every ``part``-th row of both windows."""
    return Case(
        case.system,
        case.condition,
        case.repeat,
        case.graph,
        case.reference.iloc[::part].reset_index(drop=True),
        case.current.iloc[::part].reset_index(drop=True),
        case.target,
        case.truth,
    )


def _scipipe(path: Path) -> Iterator[Case]:
    if not path.is_file():
        return
    table = pd.read_csv(path)
    missing = {"mode", "repeat", *SCIPIPE_PARENTS} - set(table.columns)
    if missing:
        msg = f"{path}: the columns {sorted(missing)} are missing"
        raise DataError(msg)
    windows = {
        (str(mode), int(str(repeat))): rows[list(SCIPIPE_PARENTS)].reset_index(drop=True)
        for (mode, repeat), rows in table.groupby(["mode", "repeat"], sort=True)
    }
    yield from _pairs("scipipe", windows, SCIPIPE_PARENTS, "gcratio", SCIPIPE_TRUTHS)


def _seldon(folder: Path) -> Iterator[Case]:
    windows = {}
    for path in sorted(folder.glob("*.csv")) if folder.is_dir() else ():
        if match := SELDON_FILE.fullmatch(path.name):
            windows[match["mode"], int(match["repeat"])] = pd.read_csv(path)
    yield from _pairs("seldon-insurance", windows, SELDON_PARENTS, "output", SELDON_TRUTHS)


def _pairs(
    system: str,
    windows: Mapping[tuple[str, int], pd.DataFrame],
    parents: Mapping[str, list[str]],
    target: str,
    truths: Mapping[str, frozenset[str]],
) -> Iterator[Case]:
    graph = read_graph(parents)
    normal = sorted(repeat for mode, repeat in windows if mode == NORMAL)
    for condition, truth in truths.items():
        for repeat in sorted(repeat for mode, repeat in windows if mode == condition):
            if repeat in normal:
                reference, current = windows[NORMAL, repeat], windows[condition, repeat]
                yield Case(system, condition, repeat, graph, reference, current, target, truth)
    for repeat, following in zip(normal, normal[1:] + normal[:1], strict=True) if len(normal) > 1 else ():
        reference, current = windows[NORMAL, repeat], windows[NORMAL, following]
        yield Case(system, NORMAL, repeat, graph, reference, current, target, frozenset())
