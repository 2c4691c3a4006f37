"""``recorded``: the recorded streams of two pipelines, each fault against the normal run of the same repeat.

Layout of the folder: ``scipipe.csv`` (columns ``mode``, ``repeat`` and one for each node) and ``seldon-insurance/``
(``normal_N.csv``, ``broken_app_N.csv``, ``broken_data_N.csv``), or one of the two; whatever repeats are there are used.
Controls are each normal repeat against the next. Every case is posed again with every fifth row only.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd

from dfml.errors import DataError
from dfml_analysis.causal_graph import read_graph
from dfml_analysis.evaluate.case import Case, Culprit, Posed
from dfml_analysis.localisers.base import Problem

SUITE = "recorded"
NORMAL = "normal"
PARTS = {"": 1, ", 1/5 of the rows": 5}
"""What is added to the name of a condition, and of how many rows one is used."""

Repeats = Mapping[tuple[str, int], pd.DataFrame]
"""The recording of a mode and a repeat."""


@dataclass(frozen=True, slots=True)
class Study:
    """One recorded pipeline: its graph, its target, and the component that each mode has broken."""

    name: str
    parents: Mapping[str, Sequence[str]]
    target: str
    culprits: Mapping[str, Culprit]


SCIPIPE = Study(
    "scipipe",
    {
        "count1": [],
        "count2": [],
        "gccount1": ["count1"],
        "atcount1": ["count1"],
        "gccount2": ["count2"],
        "atcount2": ["count2"],
        "gcsum": ["gccount1", "gccount2"],
        "atsum": ["atcount1", "atcount2"],
        "gcratio": ["gcsum", "atsum"],
    },
    "gcratio",
    {"break-count1": frozenset({"count1"}), "break-count2": frozenset({"count2"})},
)
SELDON = Study(
    "seldon",
    {
        "input": [],
        "calculate_claim_value": ["input"],
        "low_value_claims": ["calculate_claim_value"],
        "high_value_claims": ["calculate_claim_value"],
        "simple_claims": ["input", "low_value_claims"],
        "complex_claims": ["input", "low_value_claims"],
        "calculate_simple_claim_payout": ["input", "simple_claims"],
        "calculate_complex_claim_payout": ["input", "complex_claims", "high_value_claims"],
        "output": ["calculate_simple_claim_payout", "calculate_complex_claim_payout"],
    },
    "output",
    {"broken_app": frozenset({"simple_claims", "complex_claims"}), "broken_data": frozenset({"input"})},
)
SELDON_FILE = re.compile(r"(?P<mode>normal|broken_app|broken_data)_(?P<repeat>\d+)\.csv")


def recorded_cases(folder: Path) -> list[Case]:
    """Return every case that the folder holds, and the controls.

    Raises
    ------
    DataError
        If the folder holds neither pipeline with two windows, or a table without the pipeline's columns.
    """
    recordings = ((SCIPIPE, _scipipe(folder / "scipipe.csv")), (SELDON, _seldon(folder / "seldon-insurance")))
    pairs = [(study, *pair) for study, repeats in recordings for pair in _pairs(study, repeats)]
    if not pairs:
        found = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) if folder.is_dir() else "no such folder"
        msg = (
            f"{folder}: expected scipipe.csv (modes normal and break-...) or seldon-insurance/ with normal_N.csv and "
            f"broken_app_N.csv or broken_data_N.csv of the same N; found {found or 'nothing'}; name the study's folder"
        )
        raise DataError(msg)
    return [
        Case(SUITE, f"{study.name} {mode}{words}", name, partial(_thinned, posed, part))
        for words, part in PARTS.items()
        for study, mode, name, posed in pairs
    ]


def _thinned(posed: Posed, part: int) -> Posed:
    """Return the case with every ``part``-th row of both windows."""
    frames = (posed.problem.reference, posed.problem.current)
    reference, current = (frame.iloc[::part].reset_index(drop=True) for frame in frames)
    return replace(posed, problem=replace(posed.problem, reference=reference, current=current))


def _scipipe(path: Path) -> Repeats:
    if not path.is_file():
        return {}
    table = _read(path, ["mode", "repeat", *SCIPIPE.parents])
    return {
        (str(mode), int(str(repeat))): rows[list(SCIPIPE.parents)].reset_index(drop=True)
        for (mode, repeat), rows in table.groupby(["mode", "repeat"], sort=True)
    }


def _seldon(folder: Path) -> Repeats:
    repeats = {}
    for path in sorted(folder.glob("*.csv")) if folder.is_dir() else ():
        if match := SELDON_FILE.fullmatch(path.name):
            repeats[match["mode"], int(match["repeat"])] = _read(path, list(SELDON.parents))
    return repeats


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        msg = f"{path}: it is no table ({error}); expected CSV with the columns {', '.join(columns)}"
        raise DataError(msg) from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        got = ", ".join(map(str, table.columns[:12]))
        msg = f"{path}: the columns {', '.join(missing)} are missing; got {got}; expected a recording of the study"
        raise DataError(msg)
    return table


def _pairs(study: Study, repeats: Repeats) -> Iterator[tuple[str, str, Posed]]:
    """Yield the mode, the name and the problem of each pair of windows."""
    graph = read_graph(study.parents)
    normal = sorted(repeat for mode, repeat in repeats if mode == NORMAL)
    for mode, culprit in study.culprits.items():
        for repeat in (number for number in normal if (mode, number) in repeats):
            windows = repeats[NORMAL, repeat], repeats[mode, repeat]
            yield mode, f"repeat {repeat}", Posed(Problem(graph, *windows, study.target, repeat), (culprit,))
    for repeat, following in zip(normal, normal[1:] + normal[:1], strict=True) if len(normal) > 1 else ():
        windows = repeats[NORMAL, repeat], repeats[NORMAL, following]
        yield NORMAL, f"repeats {repeat} and {following}", Posed(Problem(graph, *windows, study.target, repeat), ())
