"""The petshop suite finds traffics and issues by looking at the folder."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfml.errors import DataError
from dfml_analysis.evaluate.suites.petshop import petshop_cases

ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get("DFML_SHARED_DATA", ROOT.parent / "shared" / "data")) / "petshop"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the PetShop data set is not at {DATA}")
SERVICES = ("shop", "search", "table")


def _write_metrics(path: Path, n_rows: int, seed: int) -> None:
    columns = pd.MultiIndex.from_product([SERVICES, ["latency"], ["Average", "p99"]])
    path.parent.mkdir(parents=True)
    pd.DataFrame(np.random.default_rng(seed).random((n_rows, len(columns))), columns=columns).to_csv(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    traffic = tmp_path / "any_traffic"
    for split, issue in (("train", 0), ("test", 2), ("test", 10)):
        _write_metrics(traffic / split / f"issue_{issue}" / "metrics.csv", 5, issue)
        told = {
            "target": {"node": "shop", "metric": "latency", "agg": "Average", "timestamp": 0},
            "root_cause": {"node": "search", "metric": None},
        }
        (traffic / split / f"issue_{issue}" / "target.json").write_text(json.dumps(told))
    _write_metrics(traffic / "noissue" / "metrics.csv", 100, 7)
    calls = pd.DataFrame(0.0, index=SERVICES, columns=SERVICES)
    calls.loc["shop", "search"] = calls.loc["search", "table"] = 1.0
    calls.to_csv(traffic / "graph.csv")
    return tmp_path


def test_who_is_called_causes_who_calls(folder):
    posed = petshop_cases(folder, "train")[0].pose()
    assert set(posed.problem.graph.edges) == {("table", "search"), ("search", "shop")}
    assert (posed.problem.target, posed.truth) == ("shop", ("search",))
    assert list(posed.problem.current.columns) == list(SERVICES)


def test_the_split_chooses_the_issues_in_the_order_of_their_numbers(folder):
    issues = [case.name for case in petshop_cases(folder, "test") if "no issue" not in case.condition]
    assert issues == ["issue_2", "issue_10"]


def test_a_control_is_no_part_of_its_reference(folder):
    control = next(case for case in petshop_cases(folder, "train") if case.name == "rows 24 to 28").pose()
    assert not control.truth
    both = pd.concat([control.problem.reference, control.problem.current])
    assert len(control.problem.current) == 5
    assert len(control.problem.reference) == 100 - 15
    assert not both.duplicated().any()


def test_a_folder_without_the_split_is_refused_with_what_was_expected_and_found(folder):
    with pytest.raises(DataError, match=r"expected .*TRAFFIC/other/issue_N.* found any_traffic/graph\.csv"):
        petshop_cases(folder, "other")


def test_an_issue_without_a_root_cause_names_the_file(folder):
    (folder / "any_traffic" / "test" / "issue_2" / "target.json").write_text("{}")
    with pytest.raises(DataError, match=r"issue_2/target\.json: got None for target\.node"):
        petshop_cases(folder, "test")


@needs_data
def test_every_issue_of_the_data_set_is_a_case_with_its_service_in_the_graph():
    issues = [case for case in petshop_cases(DATA, "train") if "no issue" not in case.condition]
    assert len(issues) == len(list(DATA.glob("*/train/issue_*")))
    for case in issues:
        posed = case.pose()
        assert posed.problem.target in posed.problem.current
        assert set(posed.truth) <= set(posed.problem.graph)
