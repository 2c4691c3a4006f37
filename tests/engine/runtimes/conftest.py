"""Makers of models and of the runtimes that serve them."""

from collections.abc import Callable

import pytest

from dfml.spec.schema import Model
from dfml_engine.runtimes import Runtime, load_runtime
from dfml_engine.runtimes.base import RuntimeOptions


def model_document(uri: str, *requirements: str, **parameters: str) -> Model:
    spec = {
        "storageUri": uri,
        "requirements": requirements,
        "parameters": [{"name": name, "value": value} for name, value in parameters.items()],
    }
    named = {"apiVersion": "mlops.seldon.io/v1alpha1", "kind": "Model", "metadata": {"name": "m"}}
    return Model.model_validate({**named, "spec": spec})


@pytest.fixture(scope="session")
def model() -> Callable[..., Model]:
    """Make a Model named ``m`` of its storageUri, its requirements and its parameters."""
    return model_document


@pytest.fixture
def remote() -> Callable[..., Runtime]:
    """Load the runtime of a model on another server, by its storageUri and parameters."""
    return lambda uri, **parameters: load_runtime(model_document(uri, **parameters), RuntimeOptions())
