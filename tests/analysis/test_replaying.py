"""A model's own function stands in for what was learned of it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfml.graph import PipelineGraph
from dfml.spec import load_files
from dfml.spec.schema import Pipeline
from dfml_analysis.causal_graph import from_pipeline
from dfml_analysis.damage import Damage, Replay
from dfml_analysis.localise import localise
from dfml_analysis.replaying import code_of
from experiments.apps.insurance_claims import models
from experiments.apps.insurance_claims.faults import APP, TARGET, classify_all_simple

STREAM = Path(__file__).parents[2] / "data" / "claims_classifier.csv"


def test_the_damage_of_a_recorded_fault_is_what_its_code_does_to_the_recorded_claims() -> None:
    stream = pd.read_csv(STREAM, index_col="request")
    before, after = (stream[stream.index.str.startswith(name)] for name in ("normal-", "classifier-"))
    (pipeline,) = (each for each in load_files([APP / "pipeline.yaml"]) if isinstance(each, Pipeline))
    causal = from_pipeline(PipelineGraph.from_pipeline(pipeline), stream.columns)
    codes = [code_of("classifier", model, ["low"]) for model in (models.classify, classify_all_simple)]
    damage = Damage(replays={"classifier": Replay(*codes)})
    (suspect,) = localise(causal, before, after, TARGET, damage=damage).suspects
    overpaid = (models.SIMPLE_SHARE - models.COMPLEX_SHARE) * before["classifier.outputs.complex"].sum() / len(before)
    assert suspect.attribution == pytest.approx(overpaid, rel=0.05)
    assert suspect.attribution_interval is not None
    assert suspect.attribution_interval[0] < overpaid < suspect.attribution_interval[1]


def test_a_step_is_called_for_requests_that_have_what_it_needs() -> None:
    code = code_of("double", lambda tensors: {"y": 2 * tensors["x"]}, ["x"])
    answer = code(pd.DataFrame({"in.outputs.x": [1.0, np.nan], "in.outputs.x.presence": [1.0, 0.0]}))
    assert answer["double.presence"].tolist() == [1.0, 0.0]
    assert answer["double.outputs.y"].tolist()[0] == 2.0
    assert answer["double.outputs.y.presence"].tolist() == [1.0, 0.0]
    assert answer["double.error"].isna().tolist() == [False, True]


def test_what_the_model_raises_is_raised() -> None:
    def broken(tensors: models.Tensors) -> models.Tensors:
        raise KeyError(next(iter(tensors)))

    with pytest.raises(KeyError, match="x"):
        code_of("double", broken)(pd.DataFrame({"in.outputs.x": [1.0]}))
