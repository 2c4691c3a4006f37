"""A model's function as code that can be run again on recorded requests (:class:`dfml_analysis.damage.StepCode`)."""

from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from dfml_analysis.columns import parse_column
from dfml_analysis.damage import StepCode

Tensors = Mapping[str, "np.ndarray[Any, Any]"]
Model = Callable[[dict[str, "np.ndarray[Any, Any]"]], Tensors]
"""Tensors by name in, tensors by name out: what a Python runtime calls."""


def code_of(step: str, model: Model, needs: Collection[str] = ()) -> StepCode:
    """Return a step's code made of its model's function, called once for each recorded request.

    Parameters
    ----------
    step : str
    model : callable
        Gets the tensors that the step read, each by the name that it bears in the frame, shape ``(1,)``. Tensors of
        more elements are not put together again: a frame may hold their summaries only.
    needs : collection of str
        Tensors without which the step is not called; a request that lacks one gets no answer.

    Returns
    -------
    StepCode
        Its columns are ``step.outputs.T`` and ``step.outputs.T.presence`` for each tensor T that any request got,
        ``step.presence`` and ``step.error`` (0 where it was called). What the model raises is raised.
    """

    def run(inputs: pd.DataFrame) -> pd.DataFrame:
        answers = [_answer(model, row, needs) for row in inputs.to_dict("records")]
        names = list(dict.fromkeys(name for answer in answers if answer is not None for name in answer))
        columns: dict[str, object] = {
            f"{step}.presence": [float(bool(answer)) for answer in answers],
            f"{step}.error": [np.nan if answer is None else 0.0 for answer in answers],
        }
        for name in names:
            found = [np.nan if answer is None else answer.get(name, np.nan) for answer in answers]
            columns[f"{step}.outputs.{name}"] = found
            columns[f"{step}.outputs.{name}.presence"] = pd.Series(found).notna().astype(np.float64)
        return pd.DataFrame(columns)

    return run


def _answer(model: Model, row: Mapping[Hashable, object], needs: Collection[str]) -> dict[str, object] | None:
    tensors = {}
    for name, value in row.items():
        column = parse_column(str(name))
        if column.tensor is not None and not str(name).endswith(".presence") and not pd.isna(value):  # type: ignore[call-overload]
            tensors[column.tensor] = np.array([value])
    if any(need not in tensors for need in needs):
        return None
    return {name: tensor.item() for name, tensor in model(tensors).items()}
