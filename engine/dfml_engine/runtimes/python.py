"""The runtime of Python callables: ``python:package.module:Name``.

``Name`` is a function ``f(inputs)``, or a class with ``predict(inputs)`` and optionally ``load()``. Inputs and outputs
are ``dict[str, numpy.ndarray]`` by tensor name, BYTES as object arrays of bytes. A second positional parameter, where
the callable takes one, is the request's :class:`~dfml_engine.runtimes.base.Context`. The model's ``parameters`` are
given to the class as keyword arguments, and bound to a function's keyword-only parameters.
"""

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Self

import numpy as np

from dfml.errors import MissingTensorError, ModelError
from dfml.spec.schema import Model
from dfml_engine.runtimes.base import Array, Context, MissingTensor, RuntimeOptions, Tensors

Call = Callable[..., object]


class PythonRuntime:
    """A Python callable under a model's name."""

    def __init__(self, name: str, call: Call) -> None:
        self._name = name
        self._call = call
        self._takes_context = _takes_context(call)

    @classmethod
    def load(cls, model: Model, options: RuntimeOptions) -> Self:
        """Import the module, make the object, call its ``load``.

        Raises
        ------
        ModelError
            If any of that fails; the text says which and why.
        """
        where = f"model '{model.name}' ({model.spec.storage_uri})"
        module_name, _, name = model.spec.storage_uri.removeprefix("python:").partition(":")
        if not module_name or not name:
            msg = f"{where}: expected python:package.module:Name"
            raise ModelError(msg)
        _extend_path(options.python_paths)
        try:
            target = _attribute(_import(module_name), name)
            return cls(model.name, _callable(target, {item.name: item.value for item in model.spec.parameters}))
        except ModelError as error:
            msg = f"{where}: {error}"
            raise ModelError(msg) from error
        except (Exception, SystemExit) as error:
            msg = f"{where} cannot be loaded: {type(error).__name__}: {error}"
            raise ModelError(msg) from error

    def infer(self, inputs: Tensors, context: Context) -> Tensors:
        """Call the code.

        Raises
        ------
        MissingTensorError
            If it asks for a tensor that is not there.
        ModelError
            If it raises or returns something that is not a dict of tensors.
        """
        try:
            outputs = self._call(inputs, context) if self._takes_context else self._call(inputs)
        except MissingTensor as error:
            given = ", ".join(inputs) or "no tensors"
            msg = f"model '{self._name}' needs tensor {error.args[0]!r}, it was given {given}"
            raise MissingTensorError(msg) from error
        except (Exception, SystemExit) as error:  # code that leaves the process must not take the gateway along
            given = ", ".join(inputs) or "no tensors"
            msg = f"model '{self._name}' raised {type(error).__name__}: {error} (it was given {given})"
            raise ModelError(msg) from error
        return self._checked(outputs)

    def _checked(self, outputs: object) -> Tensors:
        if not isinstance(outputs, Mapping):
            got = type(outputs).__name__
            msg = f"model '{self._name}' returned {got}, expected a dict of numpy arrays by tensor name"
            raise ModelError(msg)
        return {self._tensor_name(name): self._tensor(name, value) for name, value in outputs.items()}

    def _tensor_name(self, name: object) -> str:
        if not isinstance(name, str) or not name:
            msg = f"model '{self._name}' returned a tensor named {name!r}, expected a non-empty str"
            raise ModelError(msg)
        return name

    def _tensor(self, name: str, value: object) -> Array:
        if isinstance(value, np.ndarray) and value.dtype.kind in "biufOS":
            return value
        try:
            array: Array = np.asarray(value)
        except ValueError as error:
            msg = f"model '{self._name}' returned tensor '{name}' that is no array: {error}"
            raise ModelError(msg) from error
        if array.dtype.kind not in "biufOSU" or (array.dtype.kind == "O" and not isinstance(value, np.ndarray)):
            got = type(value).__name__
            msg = (
                f"model '{self._name}' returned tensor '{name}' of type {got}, expected numbers, booleans, str or bytes"
            )
            raise ModelError(msg)
        return array


def _extend_path(paths: object) -> None:
    for path in paths if isinstance(paths, (list, tuple)) else ():
        text = str(Path(path).resolve())
        if text not in sys.path:
            sys.path.append(text)


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        msg = f"there is no module {error.name!r}; add its folder with the setting python_paths"
        raise ModelError(msg) from error


def _attribute(module: ModuleType, name: str) -> object:
    target: object = module
    for part in name.split("."):
        target = getattr(target, part, None)
        if target is None:
            msg = f"module {module.__name__!r} has no {name!r}"
            raise ModelError(msg)
    return target


def _callable(target: object, parameters: Mapping[str, str]) -> Call:
    if inspect.isclass(target):
        model = target(**parameters)
        if hasattr(model, "load"):
            model.load()
        target, parameters = getattr(model, "predict", model), {}
    if not callable(target):
        msg = f"it is a {type(target).__name__}, expected a function, or a class with predict(inputs)"
        raise ModelError(msg)
    return functools.partial(target, **parameters) if parameters else target


def _takes_context(call: Call) -> bool:
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [item for item in parameters if item.kind in positional and item.default is inspect.Parameter.empty]
    return len(required) > 1
