"""The rules of models and experiments, and what is missing across resources, one a test."""

from collections.abc import Callable

import pytest

from dfml.spec import Missing, check_references, parse_resources
from dfml.spec.schema import Pipeline

Findings = Callable[..., list[str]]

FORMS = (
    "expected python:package.module:Name, a path or file:PATH to a joblib artefact, oip+http://host:port/name or "
    "oip+grpc://host:port/name"
)
HEAD = "apiVersion: mlops.seldon.io/v1alpha1\n"


@pytest.mark.parametrize(
    "uri",
    [
        "python:models:score",
        "python:package.module:Name.method",
        "models/scorer.joblib",
        "/srv/models/scorer.joblib",
        "file:models/scorer.joblib",
        "file:///srv/models/scorer.joblib",
        "oip+http://localhost:8080/scorer",
        "oip+grpc://10.0.0.1:9000/scorer.v2",
    ],
)
def test_a_model_loads_from_any_of_the_supported_places(findings: Findings, uri: str) -> None:
    assert findings(f"storageUri: '{uri}'", kind="Model") == []


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("gs://models/scorer", "got 'gs://models/scorer', and nothing can load from 'gs'"),
        ("https://host/scorer", "got 'https://host/scorer', and nothing can load from 'https'"),
        ("python:module", "got 'python:module', which names no Python object"),
        ("python:a-b:C", "got 'python:a-b:C', which names no Python object"),
        ("oip+http://host/name", "got 'oip+http://host/name', which lacks host, port or name"),
        ("oip+grpc://host:port/name", "got 'oip+grpc://host:port/name', which lacks host, port or name"),
        ("oip+grpc://host:1/", "got 'oip+grpc://host:1/', which lacks host, port or name"),
        ("oip+http://:80/name", "got 'oip+http://:80/name', which lacks host, port or name"),
        ("file://", "got 'file://', which names no file"),
        (" ", "it is empty"),
    ],
)
def test_a_storage_uri_that_nothing_can_load_is_told_what_can(findings: Findings, uri: str, said: str) -> None:
    assert findings(f"storageUri: '{uri}'", kind="Model") == [f"5: spec.storageUri: {said}; {FORMS}"]


def test_a_remote_model_is_not_inline(findings: Findings) -> None:
    assert findings("storageUri: oip+http://h:1/n\ninline: true", kind="Model") == [
        "6: spec.inline: a call to another server does not return at once, so it cannot be inline; leave inline out"
    ]


def test_a_models_parameters_have_different_names(findings: Findings) -> None:
    body = "storageUri: python:m:f\nparameters:\n- {name: a, value: x}\n- {name: a, value: y}"
    assert findings(body, kind="Model") == [
        "8: spec.parameters[1].name: parameter 'a' stands twice, first as parameter 0"
    ]


def test_a_models_name_has_no_dots(findings: Findings) -> None:
    (found,) = findings("storageUri: python:m:f", kind="Model", name="a.b")
    assert found.startswith("3: metadata.name: the name 'a.b' cannot be")


def test_an_experiment_with_a_default_and_a_mirror_is_right(findings: Findings) -> None:
    body = "default: a\ncandidates: [{name: a, weight: 50}, {name: b, weight: 50}]\nmirror: {name: c, percent: 10}"
    assert findings(body, kind="Experiment") == []


def test_an_experiment_has_a_candidate(findings: Findings) -> None:
    assert findings("candidates: []", kind="Experiment") == [
        "5: spec.candidates: expected at least one candidate, got none"
    ]


def test_not_all_weights_are_zero(findings: Findings) -> None:
    assert findings("candidates: [{name: a, weight: 0}, {name: b, weight: 0}]", kind="Experiment") == [
        "5: spec.candidates: all weights are 0, so no candidate would get a request; give one a weight"
    ]


def test_a_candidate_stands_once(findings: Findings) -> None:
    assert findings("candidates: [{name: a}, {name: a}]", kind="Experiment") == [
        "5: spec.candidates[1].name: candidate 'a' stands twice, first as candidate 0"
    ]


def test_the_default_is_among_the_candidates(findings: Findings) -> None:
    assert findings("default: scoer\ncandidates: [{name: scorer}]", kind="Experiment") == [
        "5: spec.default: 'scoer' is not among the candidates (scorer); did you mean 'scorer'?"
    ]


def test_the_names_in_an_experiment_have_no_dots(findings: Findings) -> None:
    found = findings("candidates: [{name: a.b}]\nmirror: {name: c.d, percent: 1}", kind="Experiment")
    assert [line.split(": the")[0] for line in found] == ["5: spec.candidates[0].name", "6: spec.mirror.name"]


@pytest.mark.parametrize("percent", [-1, 101])
def test_a_mirrors_percent_is_a_percentage(findings: Findings, percent: int) -> None:
    (found,) = findings(f"candidates: [{{name: a}}]\nmirror: {{name: b, percent: {percent}}}", kind="Experiment")
    assert found.startswith("6: spec.mirror.percent: expected at ")


MODEL = HEAD + "kind: Model\nmetadata: {name: a}\nspec: {storageUri: 'python:m:f'}\n"
PIPELINE = HEAD + "kind: Pipeline\nmetadata: {name: p}\nspec: {steps: [{name: a}, {name: b}]}\n"
READER = HEAD + (
    "kind: Pipeline\nmetadata: {name: r}\n"
    "spec: {steps: [{name: a}], input: {externalInputs: [p.step.c, p.step.a, q]}}\n"
)
EXPERIMENT = HEAD + (
    "kind: Experiment\nmetadata: {name: e}\n"
    "spec: {candidates: [{name: a}, {name: x}], mirror: {name: y, percent: 1}, resourceType: %s}\n"
)


def test_a_pipeline_waits_for_the_models_of_its_steps() -> None:
    resources = parse_resources(f"{MODEL}---\n{PIPELINE}", source="f")
    assert check_references(resources) == {("Pipeline", "p"): Missing(models=("b",))}


def test_a_pipeline_whose_models_are_loaded_waits_for_nothing() -> None:
    resources = parse_resources(f"{MODEL}---\n{PIPELINE}", source="f")
    assert check_references(resources, models=["b"]) == {}


def test_a_pipeline_waits_for_the_pipelines_and_steps_that_feed_it() -> None:
    (reader, pipeline) = parse_resources(f"{READER}---\n{PIPELINE}", source="f")
    assert isinstance(pipeline, Pipeline)
    missing = check_references([reader], models=["a"], pipelines={"p": pipeline})
    assert missing == {("Pipeline", "r"): Missing(pipelines=("q",), steps=("p.step.c",))}


@pytest.mark.parametrize(
    ("kind", "missing"), [("model", Missing(models=("x", "y"))), ("pipeline", Missing(pipelines=("a", "x", "y")))]
)
def test_an_experiment_waits_for_its_candidates_and_mirror(kind: str, missing: Missing) -> None:
    resources = parse_resources(f"{MODEL}---\n{EXPERIMENT % kind}", source="f")
    assert check_references(resources) == {("Experiment", "e"): missing}
