"""The code of the steps: pure functions of their tensors, by kind. A step's name says its kind and its salt."""

from collections.abc import Mapping
from typing import Any

import numpy as np

Tensors = dict[str, np.ndarray[Any, Any]]


def stir(inputs: Mapping[str, Any], salt: int = 0) -> Any:
    """Return numbers that depend on every tensor, its name and its place."""
    total: Any = np.full((1,), salt, dtype=np.int64)
    for place, (name, array) in enumerate(inputs.items()):
        total = total + (place + 2) * np.asarray(array, dtype=np.int64) + sum(map(ord, name))
    return total % 97


def first(array: Any) -> int:
    return int(array.flat[0]) if array.size else 0


def mix(inputs: Tensors) -> Tensors:
    """Emit A and B always."""
    value = stir(inputs)
    return {"A": value, "B": (value * 3 + 1) % 97}


def choose(inputs: Tensors) -> Tensors:
    """Emit A or B."""
    value = stir(inputs)
    return {"AB"[first(value) % 2]: value}


def sparse(inputs: Tensors) -> Tensors:
    """Emit both, one or none of A and B."""
    value = stir(inputs)
    return {name: value + at for at, name in enumerate("AB") if first(value) >> at & 1}


def fussy(inputs: Tensors) -> Tensors:
    """Fail on every third value."""
    value = stir(inputs)
    if (value % 3 == 0).any():
        msg = "a multiple of three"
        raise ValueError(msg)
    return {"A": value}


def total(inputs: Tensors) -> Tensors:
    """Emit one number for all rows, and the rows."""
    value = stir(inputs)
    return {"A": value.sum(axis=0, keepdims=True), "B": value}


def again(inputs: Tensors) -> Tensors:
    """Emit AGAIN with one less until there is nothing left, then DONE."""
    value = next(iter(inputs.values()), np.zeros(1, dtype=np.int64))
    return {"AGAIN": value - 1} if first(value) > 0 else {"DONE": value}


def same(inputs: Tensors) -> Tensors:
    """Emit the first tensor as A."""
    return {"A": next(iter(inputs.values()), np.zeros(1, dtype=np.int64))}


KINDS = {"mix": mix, "choose": choose, "sparse": sparse, "fussy": fussy, "total": total, "again": again, "same": same}
"""A step named ``mix3`` runs ``mix``."""


def model_of(step: str) -> Any:
    return KINDS[step.rstrip("0123456789")]
