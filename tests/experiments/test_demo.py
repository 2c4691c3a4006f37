"""The demo says what it can break, shows a telling pair of requests, and finds what it planted."""

import json
import subprocess
import sys
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from dfml_analysis.columns import Kind
from dfml_analysis.localisation import Suspect
from experiments.apps.insurance_claims.faults import FAULTS
from experiments.demo.options import read_options
from experiments.demo.pairs import choose_pair

ROOT = Path(__file__).parents[2]


def suspect(variable: str, kind: Kind = Kind.VALUE) -> Suspect:
    return Suspect("step", variable, kind, 1.0, 0.0)


def window(prefix: str, **columns: object) -> pd.DataFrame:
    found = pd.DataFrame(columns)
    found.index = pd.Index([f"{prefix}-{row}" for row in range(len(found))])
    return found


def test_pair_differs_in_the_variable_and_agrees_in_its_parents() -> None:
    graph = nx.DiGraph([("pa", "x")])
    reference = window("n", pa=[0.0, 1.0, 2.0, 3.0], x=[0.0, 1.0, 2.0, 3.0])
    current = window("f", pa=[0.0, 1.0, 2.0, 30.0], x=[0.0, 1.0, 9.0, 30.0])
    found = choose_pair(graph, reference, current, suspect("x"))
    assert (found.guilty, found.counterpart) == ("f-2", "n-2")


def test_pair_for_a_slow_step_is_never_a_fast_request() -> None:
    graph = nx.DiGraph([("pa", "x")])
    reference = window("n", pa=[0.0, 1.0], x=[50.0, 100.0])
    current = window("f", pa=[0.0, 1.0], x=[60.0, 1.0])
    assert choose_pair(graph, reference, current, suspect("x", Kind.LATENCY)).guilty == "f-0"


def test_pair_for_an_input_agrees_in_the_other_inputs() -> None:
    graph = nx.DiGraph([("a", "x"), ("b", "x")])
    reference = window("n", a=[1.0, 2.0, 3.0], b=[1.0, 5.0, 9.0])
    current = window("f", a=[np.nan, np.nan], b=[9.0, 50.0])
    found = choose_pair(graph, reference, current, suspect("a", Kind.PRESENCE))
    assert (found.guilty, found.counterpart) == ("f-0", "n-2")


def test_unknown_fault_is_refused_with_the_choices(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        read_options(["--fault", "foo"])
    said = capsys.readouterr().err
    assert "no fault is called 'foo'" in said
    assert all(name in said for name in FAULTS)


@pytest.mark.parametrize("arguments", [["--seed", "-1"], ["--seed", "x"], ["--requests", "3"]])
def test_bad_numbers_are_refused_with_what_was_expected(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        read_options(arguments)
    assert "expected a whole number of at least" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_demo_finds_the_fault_it_planted(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "experiments.demo", "--fault", name, "--out", str(tmp_path), "--requests", "400"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "localisation.json").read_text())
    assert found["verdict"] == FAULTS[name].verdict
    culprit = [FAULTS[name].step] if FAULTS[name].step else []
    assert [suspect["step"] for suspect in found["suspects"][:1]] == culprit
    assert (tmp_path / "report.html").stat().st_size > 1_000
