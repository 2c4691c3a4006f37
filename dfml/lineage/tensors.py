"""The tensors behind a column of a frame, whole, as they were recorded."""

from collections.abc import Sequence

from dfml.lineage.entry import Kind
from dfml.lineage.lookup import request_entries
from dfml.lineage.payload import read_tensors
from dfml.lineage.store import LineageStore
from dfml.tensor import Array


def read_column(store: LineageStore, requests: Sequence[str], column: str) -> list[Array]:
    """Return the tensor that a column shows or summarises, of each request that has it; of several visits the last.

    Parameters
    ----------
    store : LineageStore
    requests : sequence of str
        Request ids; one that the store does not know has no tensor.
    column : str
        ``step.outputs.T``, ``P.inputs.T`` or ``P.outputs.T``, with or without ``[i]`` or ``.mean`` and so on behind it.

    Raises
    ------
    PayloadError
        If a record is no inference message.
    """
    owner, port, *_ = column.split(".")
    found = []
    for request in requests:
        latest = None
        for entry in request_entries(store, request):
            mine = entry.step == owner if entry.kind is Kind.STEP_OUTPUTS else entry.pipeline == owner
            if entry.kind.port != port or entry.kind is Kind.STEP_INPUTS or not mine:
                continue
            for tensor in read_tensors(entry):
                if _is_of(column, f"{owner}.{port}.{tensor.name}"):
                    latest = tensor.array
        if latest is not None:
            found.append(latest)
    return found


def _is_of(column: str, tensor: str) -> bool:
    return column == tensor or (column.startswith(tensor) and column[len(tensor)] in ".[")
