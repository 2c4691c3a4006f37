"""Tensors of many records -> columns of numbers, decoded together instead of one by one.

One element makes one column ``T``; up to :data:`MAX_ELEMENTS` make ``T[0]`` and so on; more make ``T.mean``,
``T.std``, ``T.min``, ``T.max`` and ``T.size``. Which it is, the longest tensor of the window decides. BYTES become
text. What a record does not have is NaN.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfml.errors import PayloadError
from dfml.inference.codec import Message, check_pairing, typed_to_raw
from dfml.lineage.entry import Kind
from dfml.lineage.payload import parse_message
from dfml.tensor import DATATYPES, Datatype, from_raw, split_bytes

MAX_ELEMENTS = 64
SUMMARIES = ("mean", "std", "min", "max", "size")

Column = NDArray[Any]
"""One value per request: float64, or objects (text and NaN) for BYTES."""


@dataclass(slots=True)
class _Group:
    """The raw contents of one tensor in one datatype, with the rows they belong to."""

    rows: list[int] = field(default_factory=list)
    raws: list[bytes] = field(default_factory=list)


class TensorColumns:
    """Collects the tensors of one port of one step (or pipeline), then gives them as columns."""

    def __init__(self, kind: Kind, n_rows: int) -> None:
        self._kind = kind
        self._n_rows = n_rows
        self._groups: dict[str, dict[str, _Group]] = {}
        self.rows: set[int] = set()
        self.n_unreadable = 0

    def add(self, row: int, payload: bytes) -> None:
        """Take a record's tensors; an unreadable record is counted and has no values."""
        try:
            message = parse_message(self._kind, payload)
            check_pairing(message)
            found = list(_raw_tensors(message))
        except PayloadError:
            self.n_unreadable += 1
            return
        self.rows.add(row)
        for name, datatype, raw in found:
            group = self._groups.setdefault(name, {}).setdefault(datatype, _Group())
            group.rows.append(row)
            group.raws.append(raw)

    def presence(self) -> dict[str, Column]:
        """Return for each tensor which rows have it (1.0, else 0.0)."""
        found = {}
        for name, groups in self._groups.items():
            found[name] = np.zeros(self._n_rows)
            for group in groups.values():
                found[name][group.rows] = 1.0
        return found

    def columns(self) -> dict[str, Column]:
        """Return the columns of all tensors, by their names behind the port."""
        return {
            f"{name}{suffix}": column for name, groups in self._groups.items() for suffix, column in self._of(groups)
        }

    def _of(self, groups: dict[str, _Group]) -> Iterator[tuple[str, Column]]:
        parts = [(group.rows, *_decode(group, DATATYPES[datatype])) for datatype, group in groups.items()]
        longest = max(int(sizes.max(initial=0)) for _, _, sizes in parts)
        is_text = any(values.dtype == object for _, values, _ in parts)
        if longest > MAX_ELEMENTS:
            yield from self._summaries(parts, is_text=is_text)
            return
        table = np.full((self._n_rows, max(longest, 1)), np.nan, dtype=object if is_text else np.float64)
        for rows, values, sizes in parts:
            starts = np.cumsum(sizes) - sizes
            within = np.arange(len(values)) - np.repeat(starts, sizes)
            table[np.repeat(rows, sizes), within] = values
        if longest <= 1:
            yield "", table[:, 0]
        else:
            yield from ((f"[{index}]", table[:, index]) for index in range(longest))

    def _summaries(
        self, parts: list[tuple[list[int], Column, Column]], *, is_text: bool
    ) -> Iterator[tuple[str, Column]]:
        names = ("size",) if is_text else SUMMARIES
        made = {name: np.full(self._n_rows, np.nan) for name in names}
        for rows, values, sizes in parts:
            made["size"][rows] = sizes
            if is_text:
                continue
            ends = np.cumsum(sizes)
            for row, start, end in zip(rows, ends - sizes, ends, strict=True):
                piece = values[start:end]
                if len(piece):
                    made["mean"][row], made["std"][row] = piece.mean(), piece.std()
                    made["min"][row], made["max"][row] = piece.min(), piece.max()
        yield from ((f".{name}", column) for name, column in made.items())


def _raw_tensors(message: Message) -> Iterator[tuple[str, str, bytes]]:
    """Yield name, datatype and raw contents; the second tensor of a name (a pipeline's answer may) is ``T(2)``."""
    raws = message.raw_contents
    seen: dict[str, int] = {}
    for index, tensor in enumerate(message.tensors):
        name, datatype = tensor.name, tensor.datatype
        raw = raws[index] if raws else typed_to_raw(tensor)
        kind = DATATYPES.get(datatype)
        if kind is None or (kind.wire_bytes and len(raw) % kind.wire_bytes):
            msg = f"tensor {name!r}: {len(raw)} bytes are no {datatype}"
            raise PayloadError(msg)
        seen[name] = seen.get(name, 0) + 1
        yield name if seen[name] == 1 else f"{name}({seen[name]})", datatype, raw


def _decode(group: _Group, kind: Datatype) -> tuple[Column, Column]:
    """Return all elements one after the other, and how many each record has."""
    if not kind.wire_bytes:
        texts = [[each.decode(errors="replace") for each in split_bytes(raw, "")] for raw in group.raws]
        flat = np.empty(sum(map(len, texts)), dtype=object)
        flat[:] = [text for found in texts for text in found]
        return flat, np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    sizes = np.fromiter(map(len, group.raws), dtype=np.int64, count=len(group.raws)) // kind.wire_bytes
    joined = b"".join(group.raws)
    if kind.name == "BF16":
        return from_raw(joined, kind, [int(sizes.sum())], "").astype(np.float64), sizes
    return np.frombuffer(joined, dtype=kind.dtype).astype(np.float64), sizes
