from collections.abc import Callable
from typing import Any

import pytest

from dfml.errors import ModelError
from dfml_engine.runtimes import load_runtime
from dfml_engine.runtimes.base import RuntimeOptions

Make = Callable[..., Any]


@pytest.mark.parametrize(
    ("uri", "runtime"),
    [
        ("python:math:hypot", "PythonRuntime"),
        ("oip+http://h:1/x", "RestRuntime"),
        ("oip+grpc://h:1/x", "GrpcRuntime"),
    ],
)
def test_the_storage_uri_chooses_the_runtime(model: Make, uri: str, runtime: str) -> None:
    assert type(load_runtime(model(uri), RuntimeOptions())).__name__ == runtime


@pytest.mark.parametrize("uri", ["models/x.joblib", "file:models/x.joblib", "./a:b.joblib"])
def test_a_path_is_an_artefact(model: Make, uri: str) -> None:
    with pytest.raises(ModelError, match=r"requirements are none; an artefact needs requirements: \[sklearn\]"):
        load_runtime(model(uri), RuntimeOptions())


def test_another_scheme_is_refused_with_the_forms_there_are(model: Make) -> None:
    with pytest.raises(ModelError, match=r"no runtime for storageUri 's3://b/x'; expected python:package"):
        load_runtime(model("s3://b/x"), RuntimeOptions())


@pytest.mark.parametrize(
    ("uri", "parameters", "text"),
    [
        ("oip+http://h:1/x", {"timeout": "5"}, "unknown parameter 'timeout'; expected one of timeout_ms, payload"),
        ("oip+http://h:1/x", {"timeout_ms": "5s"}, "timeout_ms is '5s', expected a whole number of milliseconds"),
        ("oip+grpc://h:1/x", {"timeout_ms": "0"}, "timeout_ms is '0', expected a whole number of milliseconds"),
        ("oip+http://h:1/x", {"payload": "yaml"}, "payload is 'yaml', expected one of json, binary, auto"),
        ("oip+http://h:1", {}, "storageUri is 'oip[+]http://h:1', expected oip[+]http://host:port/name"),
    ],
)
def test_a_wrong_remote_model_is_refused_when_loaded(
    model: Make, uri: str, parameters: dict[str, str], text: str
) -> None:
    with pytest.raises(ModelError, match=text):
        load_runtime(model(uri, **parameters), RuntimeOptions())
