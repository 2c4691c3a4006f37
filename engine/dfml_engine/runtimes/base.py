"""The contract of a runtime, and the choice of one by a model's ``storageUri``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dfml.errors import ModelError
from dfml.spec.rules import STORAGE_FORMS
from dfml.spec.schema import Model

Array = NDArray[np.generic] | NDArray[np.object_]
Tensors = dict[str, Array]


class MissingTensor(KeyError):
    """Raised inside a model that asks for a tensor it was not given; the runtime makes it a MissingTensorError."""


class Inputs(dict[str, Array]):
    """What a model is given: a dict that knows an absent tensor from any other missing key of the model's own."""

    def __missing__(self, name: str) -> Array:
        raise MissingTensor(name)


@dataclass(frozen=True, slots=True)
class Context:
    """What a model may know of the request: its id, the record's headers, the request's parameters."""

    request_id: str
    headers: Mapping[str, bytes] = field(default_factory=dict)
    parameters: Mapping[str, object] = field(default_factory=dict)


class Runtime(Protocol):
    """A loaded model. ``infer`` may be called from several threads at once."""

    def infer(self, inputs: Tensors, context: Context) -> Tensors:
        """Call the model's code on tensors by name; return tensors by name.

        Raises
        ------
        MissingTensorError
            If the code asks for a tensor that is not there.
        ModelError
            If the code raises or returns something that is not tensors; the text names the model.
        """


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """Where code may come from: folders on the import path, folders that hold trusted artefacts."""

    python_paths: Sequence[Path] = ()
    artefact_paths: Sequence[Path] = ()


def load_runtime(model: Model, options: RuntimeOptions) -> Runtime:
    """Load a model's code.

    Raises
    ------
    ModelError
        If the code cannot be found, imported or loaded, or no runtime serves its ``storageUri``.
    """
    # A runtime is imported where it is used: no model pays for the libraries of the others.
    uri = model.spec.storage_uri
    match uri.partition(":")[0] if ":" in uri.partition("/")[0] else "file":
        case "python":
            from dfml_engine.runtimes.python import PythonRuntime  # noqa: PLC0415

            return PythonRuntime.load(model, options)
        case "file":
            from dfml_engine.runtimes.sklearn import SklearnRuntime  # noqa: PLC0415

            return SklearnRuntime.load(model, options)
        case "oip+http":
            from dfml_engine.runtimes.remote_rest import RestRuntime  # noqa: PLC0415

            return RestRuntime.load(model, options)
        case "oip+grpc":
            from dfml_engine.runtimes.remote_grpc import GrpcRuntime  # noqa: PLC0415

            return GrpcRuntime.load(model, options)
        case _:
            msg = f"model '{model.name}': no runtime for storageUri {uri!r}; expected {STORAGE_FORMS}"
            raise ModelError(msg)
