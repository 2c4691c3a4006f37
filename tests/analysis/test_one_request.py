"""One bad request, explained by normal ones."""

import numpy as np
import pandas as pd
import pytest

from dfml.errors import DataError
from dfml_analysis.causal_graph import read_graph
from dfml_analysis.one_request import explain_request
from dfml_analysis.verdict import Verdict

GRAPH = read_graph({"asked": [], "scored": ["asked"], "answer": ["scored"]})


def _normal(n: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    asked = rng.normal(size=n)
    scored = asked**2 + rng.normal(size=n) / 5
    frame = pd.DataFrame({"asked": asked, "scored": scored, "answer": np.tanh(scored) + rng.normal(size=n) / 10})
    return frame.set_axis([f"r{index}" for index in range(n)])


def test_the_first_surprising_step_is_suspected_and_not_what_follows_from_it() -> None:
    found = explain_request(GRAPH, _normal(), pd.Series({"asked": 0.1, "scored": 3.0, "answer": 1.0}))
    assert (found.verdict, found.top, found.target) == (Verdict.FAULT, "scored", "answer")


def test_a_request_of_the_reference_is_not_compared_with_itself() -> None:
    normal = _normal()
    normal.loc["r7", "answer"] = 9.0
    assert explain_request(GRAPH, normal, normal.loc["r7"]).top == "answer"


def test_an_ordinary_request_is_left_alone() -> None:
    normal = _normal()
    verdicts = [explain_request(GRAPH, normal, normal.iloc[row]).verdict for row in range(40)]
    # 2 % of 40 is 0.8; four or more have a chance of 1 %.
    assert sum(verdict in {Verdict.FAULT, Verdict.INPUT_SHIFT} for verdict in verdicts) < 4


def test_too_few_normal_requests_are_refused_with_the_number() -> None:
    with pytest.raises(DataError, match="has 20 requests besides this one; expected 50 or more"):
        explain_request(GRAPH, _normal(20), pd.Series({"asked": 0.0}))


def test_a_request_of_another_pipeline_is_refused() -> None:
    with pytest.raises(DataError, match="is a node of the graph"):
        explain_request(GRAPH, _normal(), pd.Series({"other": 0.0}))
