"""Documents as a whole: every finding at once, with its line; real files load; garbage never crashes."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dfml.errors import SpecError
from dfml.spec import load_files, parse_resources
from dfml.spec.schema import Join, Model, Pipeline

HEAD = "apiVersion: mlops.seldon.io/v1alpha1\n"
MODEL = HEAD + "kind: Model\nmetadata: {name: m}\nspec: {storageUri: 'python:m:f'}\n"


def refusal(text: str) -> str:
    with pytest.raises(SpecError) as refused:
        parse_resources(text, source="claims.yaml")
    return str(refused.value)


def test_a_typo_a_wrong_type_and_an_unknown_reference_are_reported_at_once() -> None:
    text = """\
apiVersion: mlops.seldon.io/v1alpha1
kind: Pipeline
metadata:
  name: claims
spec:
  steps:
    - name: value
    - name: split
      inptus: [value.outputs.amount]
    - name: payout
      inputs: [spilt.outputs.high]
      joinWindowMs: soon
  output:
    steps: [payout]
"""
    assert (
        refusal(text)
        == """\
claims.yaml:9: spec.steps[1].inptus: unknown field; did you mean 'inputs'?
claims.yaml:11: spec.steps[2].inputs[0]: unknown step 'spilt'; did you mean 'split'?
claims.yaml:12: spec.steps[2].joinWindowMs: expected a whole number, got 'soon'"""
    )


def test_everything_wrong_in_all_documents_is_reported_in_the_order_of_the_text() -> None:
    text = """\
apiVersion: mlops.seldon.io/v1
kind: Pipelin
metadata: {nam: claims}
spec:
  steps:
    - value
    - name: 5
      inputs: value
      triggers: [vlaue]
      inputsJoinType: every
      batch: {size: 0, rows: 5}
  output: payout
  allowCycles: perhaps
---
kind: Model
metadata: {name: a.b}
spec: {storageUri: "gs://models/x", memory: [1], parameters: [{name: depth, value: 3}]}
---
- a list
---
kind: Server
---
metadata: {}
"""
    assert (
        refusal(text)
        == """\
claims.yaml:1: apiVersion: expected 'mlops.seldon.io/v1alpha1', got 'mlops.seldon.io/v1'; did you mean 'mlops.seldon.io/v1alpha1'?
claims.yaml:2: kind: expected Pipeline, Model or Experiment, got 'Pipelin'; did you mean 'Pipeline'?
claims.yaml:3: metadata.nam: unknown field; did you mean 'name'?
claims.yaml:6: spec.steps[0]: expected a mapping, got 'value'
claims.yaml:7: spec.steps[1].name: expected text, got 5; write it in quotes
claims.yaml:8: spec.steps[1].inputs: expected a list, got 'value'; write [value]
claims.yaml:9: spec.steps[1].triggers[0]: unknown step 'vlaue'; did you mean 'value'?
claims.yaml:10: spec.steps[1].inputsJoinType: expected 'inner', 'outer' or 'any', got 'every'
claims.yaml:11: spec.steps[1].batch.rows: unknown field; expected one of rolling, size, windowMs
claims.yaml:11: spec.steps[1].batch.size: expected at least 1, got 0
claims.yaml:12: spec.output: expected a mapping, got 'payout'
claims.yaml:13: spec.allowCycles: expected true or false, got 'perhaps'
claims.yaml:15: apiVersion: required, but missing
claims.yaml:16: metadata.name: the name 'a.b' cannot be; expected letters, digits, '-' and '_', a letter or digit first and last (no dots: names are parts of topics)
claims.yaml:17: spec.parameters[0].value: expected text, got 3; write it in quotes
claims.yaml:17: spec.memory: expected text or a whole number or a number, got a list
claims.yaml:17: spec.storageUri: got 'gs://models/x', and nothing can load from 'gs'; expected python:package.module:Name, a path or file:PATH to a joblib artefact, oip+http://host:port/name or oip+grpc://host:port/name
claims.yaml:19: expected a mapping with apiVersion, kind, metadata and spec, got a list
claims.yaml:21: kind: expected Pipeline, Model or Experiment, got 'Server'
claims.yaml:23: kind: required, but missing; expected Pipeline, Model or Experiment"""  # noqa: E501  (as printed)
    )


def test_a_misspelt_field_is_read_as_the_one_that_was_meant() -> None:
    text = HEAD + "kind: Pipeline\nmetadata: {name: p}\nspec:\n  stpes: [{name: a, input: [b]}]\n"
    assert refusal(text) == (
        "claims.yaml:5: spec.stpes: unknown field; did you mean 'steps'?\n"
        "claims.yaml:5: spec.stpes[0].input: unknown field; did you mean 'inputs'?\n"
        "claims.yaml:5: spec.steps[0].inputs[0]: unknown step 'b'; expected a or p"
    )


def test_a_missing_part_is_reported_once() -> None:
    assert refusal(HEAD + "kind: Experiment\n") == (
        "claims.yaml:1: metadata: required, but missing\nclaims.yaml:1: spec: required, but missing"
    )


def test_yaml_that_ends_early_is_reported_with_what_stood_before() -> None:
    text = HEAD + "kind: Model\nmetadata: {name: m}\nspec: {storageUrl: 'python:m:f'}\n---\nkind: [Model\n"
    lines = refusal(text).splitlines()
    assert lines[0] == "claims.yaml:4: spec.storageUrl: unknown field; did you mean 'storageUri'?"
    assert lines[1].startswith("claims.yaml:7: not YAML: while parsing a flow sequence")


def test_a_resource_is_described_once() -> None:
    assert refusal(f"{MODEL}---\n{MODEL}") == "claims.yaml:8: metadata.name: Model 'm' stands in claims.yaml:3 already"


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n---\n", "null"])
def test_a_text_without_a_document_is_refused(text: str) -> None:
    assert refusal(text) == "claims.yaml: holds no document; expected a Pipeline, Model or Experiment"


def test_several_documents_are_returned_in_order() -> None:
    pipeline = HEAD + "kind: Pipeline\nmetadata: {name: p}\nspec: {steps: [{name: m}]}\n"
    resources = parse_resources(f"{pipeline}---\n{MODEL}", source="f")
    assert [(resource.kind, resource.name) for resource in resources] == [("Pipeline", "p"), ("Model", "m")]


def test_a_json_document_is_a_document() -> None:
    text = '{"apiVersion": "mlops.seldon.io/v1alpha1", "kind": "Pipeline", "metadata": {"name": "p"},\n'
    text += ' "spec": {"steps": [{"name": "a", "inputsJoinType": "any"}]}}'
    (pipeline,) = parse_resources(text, source="p.json")
    assert isinstance(pipeline, Pipeline)
    assert pipeline.spec.steps[0].inputs_join_type is Join.ANY


def test_a_field_with_nothing_behind_it_is_as_good_as_absent() -> None:
    text = (
        HEAD + "kind: Pipeline\nmetadata: {name: p, labels: }\nspec:\n  steps:\n  - name: a\n    inputs:\n  output:\n"
    )
    (pipeline,) = parse_resources(text, source="f")
    assert isinstance(pipeline, Pipeline)
    assert pipeline.spec.steps[0].inputs == ()


def test_what_a_cluster_keeps_in_a_document_is_no_error() -> None:
    text = """\
apiVersion: mlops.seldon.io/v1alpha1
kind: Model
metadata:
  name: m
  namespace: models
  creationTimestamp: 2024-05-01T10:00:00Z
  generation: 3
  uid: 6f9d
  resourceVersion: "1204"
  labels: {app: m}
  annotations: {owner: us}
  finalizers: [seldon.model.finalizer]
  managedFields: [{manager: kubectl}]
spec:
  storageUri: python:m:f
  requirements: [sklearn]
  memory: 100Ki
  replicas: 1
  minReplicas: 1
  maxReplicas: 2
  server: mlserver
  preloaded: false
  dedicated: true
  modelType: lightgbm
  artifactVersion: 2
  secretName: s
  schemaUri: u
  logger: {percent: 10}
  explainer: {type: anchor_tabular, modelRef: n}
  dataflow: {cleanTopicsOnDelete: true}
status: {replicas: 1, conditions: [{type: Ready}]}
"""
    (model,) = parse_resources(text, source="f")
    assert isinstance(model, Model)
    assert model.metadata.creation_timestamp == "2024-05-01T10:00:00Z"


def test_files_are_read_as_one_text(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(MODEL)
    (tmp_path / "b.yaml").write_text(MODEL)
    with pytest.raises(SpecError) as refused:
        load_files([tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "c.yaml"])
    first, second = str(refused.value).splitlines()
    assert first == f"{tmp_path}/b.yaml:3: metadata.name: Model 'm' stands in {tmp_path}/a.yaml:3 already"
    assert second.startswith(f"{tmp_path}/c.yaml: cannot be read: ")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(SpecError, match=r"a\.yaml: cannot be read: 'utf-8' codec"):
        load_files([tmp_path / "a.yaml"])


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbf" + MODEL.encode())
    assert [resource.name for resource in load_files([tmp_path / "a.yaml"])] == ["m"]


@given(st.text(alphabet=st.sampled_from("kindPelModapiVersion:-[]{}#&*!|>'\"%@`,? \n\t01.\\x<"), max_size=80))
def test_any_text_gives_resources_or_a_spec_error(text: str) -> None:
    try:
        assert parse_resources(text, source="f")
    except SpecError as error:
        assert all(line.startswith("f:") for line in str(error).splitlines())


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
WORDS = st.sampled_from(
    "name steps inputs triggers batch size windowMs input output externalInputs tensorMap stepsJoin inputsJoinType "
    "joinWindowMs allowCycles maxStepRevisits storageUri parameters value candidates weight default mirror percent "
    "labels inptus nmae a b p a.outputs p.inputs.X q.step.s inner any metadata spec".split()
)
VALUES = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=25,
)
DOCUMENTS = st.fixed_dictionaries(
    {"kind": st.sampled_from(["Pipeline", "Model", "Experiment", "Pipelin"]), "apiVersion": st.just(HEAD.split()[1])},
    optional={
        "metadata": st.just({"name": "p"}) | VALUES,
        "spec": st.dictionaries(WORDS, VALUES, max_size=5) | VALUES,
        "status": VALUES,
    },
)


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS)
def test_any_structure_gives_a_resource_or_a_spec_error_with_lines(data: dict[str, object]) -> None:
    try:
        assert parse_resources(yaml.safe_dump(data), source="f")
    except SpecError as error:
        assert all(line.split(":")[1].isdigit() for line in str(error).splitlines())
