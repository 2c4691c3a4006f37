"""One change is one suspect, however many variables of a step show it."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dfml.graph import PipelineGraph
from dfml.spec import parse_resources
from dfml_analysis.causal_graph import from_pipeline
from dfml_analysis.columns import Kind
from dfml_analysis.localisation import Localisation
from dfml_analysis.localise import localise
from dfml_analysis.verdict import Verdict

if TYPE_CHECKING:
    import networkx as nx

N_ROWS = 400
PIPELINE = """
apiVersion: mlops.seldon.io/v1alpha1
kind: Pipeline
metadata: {name: claims}
spec:
  steps:
    - {name: classifier, inputs: [claims.inputs]}
  output:
    steps: [classifier]
"""


def _window(seed: int, limit: float, factor: float = 1.0, lost: float = 0.0) -> pd.DataFrame:
    """Return claims of which those over the limit are complex, as a pipeline's frame has them."""
    rng = np.random.default_rng(seed)
    amount, year = rng.normal(size=N_ROWS), rng.normal(size=N_ROWS)
    year[rng.random(N_ROWS) < lost] = np.nan
    is_complex = amount + rng.normal(0.0, 0.3, N_ROWS) > limit
    score = amount * factor + rng.normal(0.0, 0.3, N_ROWS)
    columns = {
        "claims.inputs.amount": amount,
        "claims.inputs.year": year,
        "claims.inputs.year.presence": (~np.isnan(year)).astype(float),
        "classifier.presence": np.ones(N_ROWS),
        "classifier.outputs.complex": np.where(is_complex, amount, np.nan),
        "classifier.outputs.complex.presence": is_complex.astype(float),
        "classifier.outputs.simple": np.where(is_complex, np.nan, amount),
        "classifier.outputs.simple.presence": (~is_complex).astype(float),
        "classifier.outputs.scores[0]": score,
        "classifier.outputs.scores[1]": 1.0 - score,
        "claims.outputs.score": score,
    }
    return pd.DataFrame(columns)


def _localise(reference: pd.DataFrame, current: pd.DataFrame) -> Localisation:
    (pipeline,) = parse_resources(PIPELINE, source="claims.yaml")
    graph: nx.DiGraph = from_pipeline(PipelineGraph.from_pipeline(pipeline), reference.columns)  # type: ignore[arg-type]
    return localise(graph, reference, current, "claims.outputs.score")


def test_two_branches_of_one_choice_are_one_suspect() -> None:
    (suspect,) = _localise(_window(1, 0.0), _window(4, 1.0)).suspects
    assert (suspect.step, suspect.kind) == ("classifier", Kind.PRESENCE)
    assert {suspect.variable, *suspect.also} == {"classifier.outputs.complex", "classifier.outputs.simple"}


def test_a_lost_input_is_one_suspect_and_a_presence() -> None:
    answer = _localise(_window(1, 0.0, lost=0.1), _window(2, 0.0, lost=0.6))
    assert answer.verdict is Verdict.INPUT_SHIFT
    assert [(suspect.variable, suspect.kind) for suspect in answer.suspects] == [("claims.inputs.year", Kind.PRESENCE)]


def test_numbers_that_follow_from_each_other_are_one_suspect() -> None:
    (suspect,) = _localise(_window(1, 0.0), _window(2, 0.0, factor=2.0)).suspects
    assert suspect.variable.startswith("classifier.outputs.scores")
    assert len(suspect.also) == 1


def test_changes_that_do_not_follow_from_each_other_are_suspects_each() -> None:
    current = _window(2, 0.0)
    shift = np.where(np.random.default_rng(3).random(N_ROWS) < 0.5, 2.0, 0.0)
    current["claims.inputs.amount"] += shift[::-1]
    current["claims.inputs.year"] += shift
    variables = [suspect.variable for suspect in _localise(_window(1, 0.0), current).suspects]
    assert {"claims.inputs.amount", "claims.inputs.year"} <= set(variables)


def test_kinds_of_one_step_stay_apart() -> None:
    kinds = [suspect.kind for suspect in _localise(_window(1, 0.0), _window(2, 1.0, factor=2.0)).suspects]
    assert sorted(kinds) == [Kind.PRESENCE, Kind.VALUE]


def test_the_presence_of_a_tensor_without_values_in_the_frame_is_a_variable() -> None:
    columns = [name for name in _window(1, 0.0) if name.endswith(("presence", "amount"))]
    (pipeline,) = parse_resources(PIPELINE, source="claims.yaml")
    graph = from_pipeline(PipelineGraph.from_pipeline(pipeline), columns)  # type: ignore[arg-type]
    assert graph.nodes["classifier.outputs.complex.presence"]["kind"] is Kind.PRESENCE
    assert "classifier.presence" in from_pipeline(
        PipelineGraph.from_pipeline(pipeline),  # type: ignore[arg-type]
        [*columns, "classifier.latency_ms"],
    )
