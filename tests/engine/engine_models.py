"""The code of the test pipelines' steps. Gates let a test hold a call for as long as it wants."""

import sys
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

Tensors = dict[str, np.ndarray[Any, Any]]

CALLED = threading.Semaphore(0)
"""Released when a held model is called."""
GATE = threading.Event()
"""Held models return when it is set."""
COUNTS: dict[str, int] = {}
"""How often each request ran through ``count``."""


def reset() -> None:
    """Close the gate for the next test; who still stands before the old one may go."""
    global CALLED, GATE  # noqa: PLW0603
    GATE.set()
    GATE, CALLED = threading.Event(), threading.Semaphore(0)
    COUNTS.clear()


def first(inputs: Mapping[str, Any]) -> Any:
    return next(iter(inputs.values()))


def add1(inputs: Tensors) -> Tensors:
    return {"OUT": first(inputs) + 1}


def add100(inputs: Tensors) -> Tensors:
    return {"OUT": first(inputs) + 100}


def double(inputs: Tensors) -> Tensors:
    return {"OUT": first(inputs) * 2}


def repeat(inputs: Tensors) -> Tensors:
    """Give the first input three times."""
    return {"OUT": np.tile(first(inputs), 3)}


def total(inputs: Tensors) -> Tensors:
    """Give the sum of all inputs, and how many there were."""
    return {"OUT": np.sum(list(inputs.values()), axis=0), "N": np.array([len(inputs)], dtype=np.float32)}


def sign(inputs: Tensors) -> Tensors:
    """Emit POS or NEG, by the first value."""
    values = first(inputs)
    return {"POS" if values.flat[0] >= 0 else "NEG": values}


def countdown(inputs: Tensors) -> Tensors:
    """Emit AGAIN with one less until 0, then DONE."""
    values = first(inputs)
    return {"DONE": values} if values.flat[0] <= 0 else {"AGAIN": values - 1}


def fail(inputs: Tensors) -> Tensors:
    msg = "no such luck"
    raise ValueError(msg)


def leave(inputs: Tensors) -> Tensors:
    """Do what a script does at its end."""
    sys.exit(3)


def nothing(inputs: Tensors) -> Any:
    return None


def words(inputs: Tensors) -> Any:
    return {"OUT": {"not": "a tensor"}}


def hold(inputs: Tensors) -> Tensors:
    """Return once the gate is open; a negative input goes through at once."""
    gate, called = GATE, CALLED
    if first(inputs).flat[0] >= 0:
        called.release()
        gate.wait()
    return {"OUT": first(inputs) + 1}


def count(inputs: Tensors, context: Any) -> Tensors:
    COUNTS[context.request_id] = COUNTS.get(context.request_id, 0) + 1
    return {"OUT": first(inputs) + 1}


HERE_IS_NO_CODE = "a str"


def same(inputs: Tensors) -> Tensors:
    return {"OUT": first(inputs)}
