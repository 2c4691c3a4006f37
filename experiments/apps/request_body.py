"""Tensors as the JSON body of an Open Inference request."""

from typing import TYPE_CHECKING, Any

from dfml.tensor import datatype_of

if TYPE_CHECKING:
    import numpy as np


def to_body(tensors: "dict[str, np.ndarray[Any, Any]]", request_id: str) -> dict[str, object]:
    """Return the body, whose ``data`` are plain lists; bytes become text."""
    inputs = []
    for name, array in tensors.items():
        kind = datatype_of(array, f"tensor {name!r}").name
        values = array.reshape(-1).tolist()
        if kind == "BYTES":
            values = [value.decode() if isinstance(value, bytes) else value for value in values]
        inputs.append({"name": name, "shape": list(array.shape), "datatype": kind, "data": values})
    return {"id": request_id, "inputs": inputs}
