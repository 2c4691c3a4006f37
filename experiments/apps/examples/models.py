"""The code of the example pipelines' steps: tensors by name in, tensors by name out.

===============  ========================  =====================================================================
model            takes                     gives
===============  ========================  =====================================================================
mul10            ``INPUT``                 ``OUTPUT`` = 10 x INPUT
add10            ``INPUT``                 ``OUTPUT`` = INPUT + 10
tfsimple         ``INPUT0``, ``INPUT1``    ``OUTPUT0`` = their sum, ``OUTPUT1`` = their difference
conditional      ``CHOICE``, ``INPUT0``,   ``OUTPUT0`` = INPUT0 when CHOICE is 0, else ``OUTPUT1`` = INPUT1
                 ``INPUT1``
reject_negative  ``INPUT``                 ``OUTPUT`` = INPUT; fails on negative values
Range            ``INPUT``                 ``in_range`` when all values are in its range, else ``out_of_range``
Nearest          ``INPUT``, a row each     ``LABEL``, the number of the nearest centre, a row each
===============  ========================  =====================================================================

Each keeps shape and datatype of what it is given, unless said otherwise.
"""

from typing import Any

import numpy as np

Tensors = dict[str, np.ndarray[Any, Any]]
"""Tensors by name; a tensor that a branch did not emit is not in it."""


def mul10(inputs: Tensors) -> Tensors:
    """Multiply by ten."""
    return {"OUTPUT": inputs["INPUT"] * 10}


def add10(inputs: Tensors) -> Tensors:
    """Add ten."""
    return {"OUTPUT": inputs["INPUT"] + 10}


def tfsimple(inputs: Tensors) -> Tensors:
    """Give the sum and the difference of two tensors of one shape."""
    return {"OUTPUT0": inputs["INPUT0"] + inputs["INPUT1"], "OUTPUT1": inputs["INPUT0"] - inputs["INPUT1"]}


def conditional(inputs: Tensors) -> Tensors:
    """Route: emit the tensor of one branch alone, so that the step of the other never fires."""
    if int(inputs["CHOICE"].flat[0]) == 0:
        return {"OUTPUT0": inputs["INPUT0"]}
    return {"OUTPUT1": inputs["INPUT1"]}


def reject_negative(inputs: Tensors) -> Tensors:
    """Pass the input on.

    Raises
    ------
    ValueError
        If a value is negative; the pipeline's caller is told so.
    """
    if (inputs["INPUT"] < 0).any():
        msg = f"INPUT has negative values, the smallest is {inputs['INPUT'].min()}"
        raise ValueError(msg)
    return {"OUTPUT": inputs["INPUT"]}


class Range:
    """Say whether every value is between ``low`` and ``high``, by which of two tensors is there.

    Parameters
    ----------
    low, high : str
        The ends of the range, both in it; the Model's parameters, which are text.
    """

    def __init__(self, low: str = "0", high: str = "100") -> None:
        self._low, self._high = float(low), float(high)

    def predict(self, inputs: Tensors) -> Tensors:
        """Return ``in_range`` or ``out_of_range``, shape ``[1]`` and datatype BOOL."""
        values = inputs["INPUT"]
        is_in_range = ((values >= self._low) & (values <= self._high)).all()
        return {"in_range" if is_in_range else "out_of_range": np.array([True])}


class Nearest:
    """Label each row with the nearest of three centres; made for batches, as it labels all rows in one call."""

    def load(self) -> None:
        """Prepare the centres, as a real model would read its weights."""
        self._centres = np.array([0.0, 10.0, 100.0])

    def predict(self, inputs: Tensors) -> Tensors:
        """Return ``LABEL``, shape ``[rows]`` and datatype INT64, for ``INPUT`` of shape ``[rows, n]``: by row mean."""
        means = inputs["INPUT"].mean(axis=1)
        return {"LABEL": np.abs(means[:, None] - self._centres[None, :]).argmin(axis=1)}
