"""The runtime of scikit-learn artefacts: a joblib file at a path or ``file:`` URI.

The Model says ``requirements: [sklearn]``. Its parameter ``outputs`` lists, separated by commas, the methods of the
estimator that are called, each of which gives the output tensor of its name; without it that is ``predict`` alone.

===================================  ================================================================================
inputs                               what the estimator is given
===================================  ================================================================================
one tensor [rows, columns]           the tensor
one tensor [rows] of numbers         a table of one column
one tensor [rows] of text            the tensor (what a text vectoriser takes)
several, each [rows] or [rows, n]    their columns side by side, in the order of the tensors
fitted on a table with column names  a table with these columns, each from the tensor of its name, in any order
===================================  ================================================================================

BYTES are given to the estimator as ``str``. A joblib file executes code when it is loaded, so it is loaded only from
the folders of the setting ``artefact_paths``.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import numpy as np

from dfml.errors import MissingTensorError, ModelError
from dfml.spec.schema import Model
from dfml_engine.runtimes.base import Array, Context, RuntimeOptions, Tensors
from dfml_engine.runtimes.parameters import read_parameters

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples", "transform")
"""The methods that the parameter ``outputs`` may name."""
REQUIREMENTS = frozenset({"sklearn", "scikit-learn"})
ARTEFACT_NAME = "model.joblib"
"""The file that is loaded when the storageUri is a folder."""


class SklearnRuntime:
    """A fitted estimator under a model's name."""

    def __init__(self, name: str, estimator: object, outputs: Sequence[str] = ("predict",)) -> None:
        self._name = name
        self._methods: dict[str, Callable[[Any], object]] = {output: getattr(estimator, output) for output in outputs}
        names = getattr(estimator, "feature_names_in_", None)
        self._columns: list[str] = [] if names is None else [str(name) for name in names]

    @classmethod
    def load(cls, model: Model, options: RuntimeOptions) -> Self:
        """Load the artefact.

        Raises
        ------
        ModelError
            If it lies outside the allowed folders, is not there or cannot be loaded, scikit-learn is not installed,
            the requirements do not name it, or the estimator lacks a method that the outputs name.
        """
        where = f"model '{model.name}' ({model.spec.storage_uri})"
        if not REQUIREMENTS.intersection(model.spec.requirements):
            got = ", ".join(model.spec.requirements) or "none"
            msg = f"{where}: requirements are {got}; an artefact needs requirements: [sklearn]"
            raise ModelError(msg)
        outputs = _read_outputs(model)
        estimator = _load_artefact(_find_artefact(model.spec.storage_uri, options.artefact_paths, where), where)
        lacking = [output for output in outputs if not hasattr(estimator, output)]
        if lacking:
            there = ", ".join(method for method in METHODS if hasattr(estimator, method)) or "none of these"
            msg = f"{where}: a {type(estimator).__name__} has no {lacking[0]}; parameter outputs may name: {there}"
            raise ModelError(msg)
        return cls(model.name, estimator, outputs)

    def infer(self, inputs: Tensors, context: Context) -> Tensors:
        """Call the estimator's methods.

        Raises
        ------
        MissingTensorError
            If the estimator was fitted on columns by name, and one of them is not there.
        ModelError
            If the tensors make no table, or the estimator raises.
        """
        table = self._table(inputs)
        return {output: self._call(output, method, table, inputs) for output, method in self._methods.items()}

    def _table(self, inputs: Tensors) -> object:
        if not inputs:
            msg = f"model '{self._name}' needs at least one tensor, it was given no tensors"
            raise MissingTensorError(msg)
        tensors = {name: self._readable(name, array) for name, array in inputs.items()}
        if len(tensors) == 1 and set(tensors) != set(self._columns):
            return self._named(_as_table(next(iter(tensors.values()))))
        if self._columns:
            return self._table_by_name(tensors)
        self._check_rows(tensors)
        return np.hstack([_as_columns(array) for array in tensors.values()])

    def _table_by_name(self, tensors: Tensors) -> object:
        missing = [name for name in self._columns if name not in tensors]
        if missing:
            msg = f"model '{self._name}' needs tensor {missing[0]!r}, it was given {', '.join(tensors)}"
            raise MissingTensorError(msg)
        chosen = {name: tensors[name] for name in self._columns}
        self._check_rows(chosen)
        wide = [name for name, array in chosen.items() if _as_columns(array).shape[1] != 1]
        if wide:
            shape = list(chosen[wide[0]].shape)
            msg = f"model '{self._name}' takes tensor '{wide[0]}' as one column, expected shape [rows], got {shape}"
            raise ModelError(msg)
        import pandas as pd  # noqa: PLC0415  (of the extra; an estimator with column names was fitted with it)

        return pd.DataFrame({name: array.reshape(-1) for name, array in chosen.items()})

    def _named(self, table: Array) -> object:
        """Return the table under the estimator's column names, where it has as many columns."""
        if not self._columns or table.ndim != 2 or table.shape[1] != len(self._columns):
            return table
        import pandas as pd  # noqa: PLC0415

        return pd.DataFrame(table, columns=self._columns)

    def _check_rows(self, tensors: Tensors) -> None:
        rows = {name: len(_as_columns(array)) for name, array in tensors.items()}
        if len(set(rows.values())) > 1:
            got = ", ".join(f"'{name}' has {n_rows}" for name, n_rows in rows.items())
            msg = f"model '{self._name}' takes its tensors as columns of one table, expected as many rows each: {got}"
            raise ModelError(msg)

    def _readable(self, name: str, array: Array) -> Array:
        """Return a tensor with its bytes as text."""
        if array.dtype.kind != "O":
            return array
        try:
            words = [value.decode() if isinstance(value, bytes) else value for value in array.reshape(-1).tolist()]
        except UnicodeDecodeError as error:
            msg = f"model '{self._name}' takes text, tensor '{name}' is not UTF-8: {error}"
            raise ModelError(msg) from error
        return np.array(words, dtype=object).reshape(array.shape)

    def _call(self, output: str, method: Callable[[Any], object], table: object, inputs: Tensors) -> Array:
        try:
            result: Any = method(table)
            array: Array = np.asarray(result.toarray() if hasattr(result, "toarray") else result)
        except Exception as error:
            given = ", ".join(f"{name} {list(array.shape)}" for name, array in inputs.items())
            msg = f"model '{self._name}' raised {type(error).__name__} in {output}: {error} (it was given {given})"
            raise ModelError(msg) from error
        return array


def _read_outputs(model: Model) -> tuple[str, ...]:
    text = read_parameters(model, {"outputs": "predict"})["outputs"]
    outputs = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [output for output in outputs if output not in METHODS]
    if unknown or not outputs:
        got = repr(unknown[0]) if unknown else "nothing"
        msg = f"model '{model.name}': parameter outputs names {got}; expected some of {', '.join(METHODS)}"
        raise ModelError(msg)
    return outputs


def _find_artefact(uri: str, allowed: Sequence[Path], where: str) -> Path:
    """Return the artefact's real path, links resolved, which lies in an allowed folder."""
    path = Path(unquote(urlsplit(uri).path) if uri.startswith("file:") else uri).resolve()
    if path.is_dir():
        path = (path / ARTEFACT_NAME).resolve()
    if not any(path.is_relative_to(folder.resolve()) for folder in allowed):
        folders = ", ".join(map(str, allowed)) or "none"
        msg = (
            f"{where}: {path} lies outside the folders that artefacts may be loaded from (setting artefact_paths: "
            f"{folders}); loading one executes code, so add its folder there only if you trust it"
        )
        raise ModelError(msg)
    if not path.is_file():
        msg = f"{where}: there is no file {path}"
        raise ModelError(msg)
    return path


def _load_artefact(path: Path, where: str) -> object:
    try:
        import joblib  # noqa: PLC0415  (of the extra)
        import sklearn  # noqa: F401, PLC0415
    except ImportError as error:
        msg = f"{where}: scikit-learn is not installed; install dfml with its extra 'analysis'"
        raise ModelError(msg) from error
    try:
        loaded: object = joblib.load(path)
    except Exception as error:
        msg = f"{where}: {path} cannot be loaded: {type(error).__name__}: {error}"
        raise ModelError(msg) from error
    return loaded


def _as_table(array: Array) -> Array:
    return array if array.ndim > 1 or (array.ndim == 1 and array.dtype.kind == "O") else array.reshape(-1, 1)


def _as_columns(array: Array) -> Array:
    """Return a tensor as columns: whatever is behind the first axis is laid out in one row."""
    return array.reshape(len(array), -1) if array.ndim > 1 else array.reshape(-1, 1)
