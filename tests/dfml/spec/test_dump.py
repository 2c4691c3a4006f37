"""Dumps: what is written on the control topic reads back as the same resource."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfml.errors import SpecError
from dfml.spec import dump_resource, parse_resources, resource_from_dict
from dfml.spec.schema import (
    API_VERSION,
    AnyResource,
    Batch,
    Candidate,
    Experiment,
    ExperimentSpec,
    Join,
    Metadata,
    Mirror,
    Model,
    ModelSpec,
    Parameter,
    Pipeline,
    PipelineInput,
    PipelineOutput,
    PipelineSpec,
    Step,
)

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,6}[a-z]", fullmatch=True)
TEXTS = st.lists(NAMES, max_size=3).map(tuple)
MAPS = st.dictionaries(NAMES, NAMES, max_size=2)
POSITIVE = st.integers(1, 10**6)
JOINS = st.sampled_from(Join)
BATCHES = st.none() | st.builds(Batch, size=POSITIVE, window_ms=st.none() | POSITIVE)
STEPS = st.builds(
    Step,
    name=NAMES,
    inputs=TEXTS,
    inputs_join_type=JOINS,
    join_window_ms=POSITIVE,
    tensor_map=MAPS,
    triggers=TEXTS,
    triggers_join_type=JOINS,
    batch=BATCHES,
)
INPUTS = st.builds(PipelineInput, external_inputs=TEXTS, external_triggers=TEXTS, join_type=JOINS, tensor_map=MAPS)
OUTPUTS = st.builds(PipelineOutput, steps=TEXTS, steps_join=JOINS, join_window_ms=POSITIVE, tensor_map=MAPS)
METADATA = st.builds(Metadata, name=NAMES, labels=MAPS, generation=st.none() | POSITIVE)
PIPELINES = st.builds(
    Pipeline,
    apiVersion=st.just(API_VERSION),
    kind=st.just("Pipeline"),
    metadata=METADATA,
    spec=st.builds(
        PipelineSpec,
        steps=st.lists(STEPS, max_size=3).map(tuple),
        input=st.none() | INPUTS,
        output=st.none() | OUTPUTS,
        allow_cycles=st.booleans(),
        max_step_revisits=st.integers(0, 9),
    ),
)
MODELS = st.builds(
    Model,
    apiVersion=st.just(API_VERSION),
    kind=st.just("Model"),
    metadata=METADATA,
    spec=st.builds(
        ModelSpec,
        storageUri=NAMES,
        requirements=TEXTS,
        parameters=st.lists(st.builds(Parameter, name=NAMES, value=st.text(max_size=5)), max_size=2).map(tuple),
        inline=st.booleans(),
        memory=st.none() | st.text(max_size=5) | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
        pre_loaded=st.booleans(),
        logger=st.none() | st.dictionaries(NAMES, st.integers(), max_size=2),
    ),
)
EXPERIMENTS = st.builds(
    Experiment,
    apiVersion=st.just(API_VERSION),
    kind=st.just("Experiment"),
    metadata=METADATA,
    spec=st.builds(
        ExperimentSpec,
        candidates=st.lists(st.builds(Candidate, name=NAMES, weight=st.integers(0, 9)), max_size=3).map(tuple),
        default=st.none() | NAMES,
        mirror=st.none() | st.builds(Mirror, name=NAMES, percent=st.floats(0, 100)),
        resource_type=st.sampled_from(["model", "pipeline"]),
    ),
)


@given(PIPELINES | MODELS | EXPERIMENTS)
def test_a_dump_reads_back_as_the_same_resource(resource: AnyResource) -> None:
    assert resource_from_dict(json.loads(json.dumps(dump_resource(resource)))) == resource


def test_a_dump_says_what_the_document_said_and_no_defaults() -> None:
    data = {
        "apiVersion": API_VERSION,
        "kind": "Pipeline",
        "metadata": {"name": "p"},
        "spec": {
            "steps": [{"name": "a"}, {"name": "b", "inputs": ["a"], "inputsJoinType": "outer"}],
            "output": {"steps": ["b"]},
        },
    }
    (resource,) = parse_resources(json.dumps(data), source="f")
    assert dump_resource(resource) == data


@pytest.mark.parametrize("data", [{}, {"kind": "Pipeline"}, {"kind": "Model", "spec": {"storageUri": 5}}])
def test_data_that_is_no_resource_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(SpecError, match="required, but missing"):
        resource_from_dict(data)
