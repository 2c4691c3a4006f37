"""A record's payload as tensors, and tensors as short JSON-able values."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dfml.inference.codec import Message, check_pairing, decode_tensor, read_message
from dfml.inference.oip_pb2 import InferRequest, InferResponse
from dfml.lineage.entry import Entry, Kind
from dfml.tensor import Array

SHOWN_ELEMENTS = 16
"""Elements of a tensor that a rendered trace shows."""
SHOWN_LETTERS = 200
"""Characters of one BYTES element, or of an error's text, that a rendered trace shows."""


@dataclass(frozen=True, slots=True)
class TensorValue:
    """One tensor of a record, in the record's order; a pipeline's answer may hold a name twice."""

    name: str
    datatype: str
    array: Array

    def to_dict(self, shown: int = SHOWN_ELEMENTS) -> dict[str, Any]:
        """Return name, datatype, shape and the first ``shown`` elements, row-major, JSON-able."""
        flat = self.array.reshape(-1)
        return {
            "name": self.name,
            "datatype": self.datatype,
            "shape": list(self.array.shape),
            "data": [plain(value) for value in flat[:shown].tolist()],
            "n_left_out": max(0, int(flat.size) - shown),
        }


def plain(value: object) -> object:
    """Return an element as JSON has it: text for bytes (shortened), None for NaN and infinities."""
    if isinstance(value, bytes):
        return shorten(value.decode(errors="replace"))
    if isinstance(value, float) and (value != value or value in {float("inf"), float("-inf")}):  # noqa: PLR0124
        return None
    return value


def shorten(text: str) -> str:
    """Return at most :data:`SHOWN_LETTERS` characters, and how many more there are."""
    if len(text) <= SHOWN_LETTERS:
        return text
    return f"{text[:SHOWN_LETTERS]}… ({len(text) - SHOWN_LETTERS} more)"


def parse_message(kind: Kind, payload: bytes) -> Message:
    """Return the inference message of a payload.

    Raises
    ------
    PayloadError
        If it is none.
    """
    return read_message(InferRequest, payload) if kind.port == "inputs" else read_message(InferResponse, payload)


def read_tensors(entry: Entry) -> Iterator[TensorValue]:
    """Yield the record's tensors in order; none for an error's text and for a payload that was not kept.

    Raises
    ------
    PayloadError
        If the payload is no inference message, or shape, datatype and contents do not fit each other.
    """
    if entry.kind is Kind.ERROR or entry.payload is None:
        return
    message = parse_message(entry.kind, entry.payload)
    check_pairing(message)
    raw = message.raw_contents
    for index, tensor in enumerate(message.tensors):
        yield TensorValue(tensor.name, tensor.datatype, decode_tensor(tensor, raw[index] if raw else None))


def error_text(entry: Entry) -> str:
    """Return the text of an error record."""
    return (entry.payload or b"").decode(errors="replace")
