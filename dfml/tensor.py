"""Tensors: the Open Inference datatypes, their numpy arrays and their raw bytes.

==========  ============  ==========  ===================================================
datatype    numpy         wire bytes  note
==========  ============  ==========  ===================================================
BOOL        bool          1           0 or 1, nothing else
INT8..64    int8..64      1..8        little endian
UINT8..64   uint8..64     1..8        little endian
FP16        float16       2           raw only: the protocol has no typed contents for it
BF16        float32       2           raw only; the upper half of a float32
FP32, FP64  float32, 64   4, 8
BYTES       object        4 + length  per element a little-endian u32 length, then the bytes
==========  ============  ==========  ===================================================

Arrays made from raw bytes share their memory where the layout allows (all but BF16 and BYTES) and are read-only then.
"""

import difflib
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfml.errors import PayloadError

Array = NDArray[Any]

MAX_DIMENSIONS = 64
"""What numpy can hold; a shape with more dimensions is refused with a text instead of numpy's."""


@dataclass(frozen=True, slots=True)
class Datatype:
    """One row of the table: its numpy dtype, its bytes per element on the wire, its typed contents.

    ``wire_bytes`` is 0 for BYTES (elements differ in length). ``contents`` is the field of ``TensorContents`` that
    holds its values, ``""`` where there is none.
    """

    name: str
    dtype: np.dtype[Any]
    wire_bytes: int
    contents: str


def _row(name: str, dtype: str, wire_bytes: int, contents: str) -> tuple[str, Datatype]:
    return name, Datatype(name, np.dtype(dtype), wire_bytes, contents)


DATATYPES: dict[str, Datatype] = dict(
    [
        _row("BOOL", "?", 1, "bool_contents"),
        _row("INT8", "<i1", 1, "int_contents"),
        _row("INT16", "<i2", 2, "int_contents"),
        _row("INT32", "<i4", 4, "int_contents"),
        _row("INT64", "<i8", 8, "int64_contents"),
        _row("UINT8", "<u1", 1, "uint_contents"),
        _row("UINT16", "<u2", 2, "uint_contents"),
        _row("UINT32", "<u4", 4, "uint_contents"),
        _row("UINT64", "<u8", 8, "uint64_contents"),
        _row("FP16", "<f2", 2, ""),
        _row("BF16", "<f4", 2, ""),
        _row("FP32", "<f4", 4, "fp32_contents"),
        _row("FP64", "<f8", 8, "fp64_contents"),
        _row("BYTES", "O", 0, "bytes_contents"),
    ]
)
"""Every datatype by its name."""

_BY_DTYPE = {row.dtype: row for row in DATATYPES.values() if row.name not in {"BF16", "BYTES"}}
_ALIASES = {"FLOAT16": "FP16", "FLOAT32": "FP32", "FLOAT64": "FP64", "FLOAT": "FP32", "DOUBLE": "FP64", "INT": "INT64"}
_ALIASES |= {"STRING": "BYTES", "STR": "BYTES", "BOOLEAN": "BOOL", "BFLOAT16": "BF16", "OBJECT": "BYTES"}


def datatype(name: str, where: str) -> Datatype:
    """Return the datatype of that name; ``where`` opens the error's text (``tensor 'x'``).

    Raises
    ------
    PayloadError
        If there is none; a near miss is named.
    """
    found = DATATYPES.get(name)
    if found is None:
        raise PayloadError(_unknown_datatype(name, where))
    return found


def _unknown_datatype(name: str, where: str) -> str:
    meant = _ALIASES.get(name.upper()) or next(iter(difflib.get_close_matches(name.upper(), DATATYPES, 1)), None)
    hint = f"; did you mean {meant}?" if meant else ""
    return f"{where}: unknown datatype {name!r}, expected one of {', '.join(DATATYPES)}{hint}"


def datatype_of(array: Array, where: str) -> Datatype:
    """Return the datatype that an array is sent as; text and object arrays are BYTES.

    Raises
    ------
    PayloadError
        If the array's dtype has no counterpart (complex numbers, dates, structures).
    """
    found = _BY_DTYPE.get(array.dtype)
    if found is not None:
        return found
    if array.dtype.kind in "OSU":
        return DATATYPES["BYTES"]
    found = _BY_DTYPE.get(array.dtype.newbyteorder("<"))
    if found is None:
        msg = f"{where}: numpy dtype {array.dtype} has no Open Inference datatype; convert it to one of "
        raise PayloadError(msg + ", ".join(str(row.dtype) for row in DATATYPES.values() if row.name != "BF16"))
    return found


def spell_shape(shape: Sequence[int]) -> str:
    """Write a shape as error texts have it: ``[2,3]``."""
    return f"[{','.join(map(str, shape))}]"


def count_elements(shape: Sequence[int], where: str) -> int:
    """Return how many elements a shape has; the empty shape is a scalar and has one.

    Raises
    ------
    PayloadError
        If a dimension is negative or there are more dimensions than numpy can hold.
    """
    if len(shape) == 1 and shape[0] >= 0:
        return shape[0]
    if len(shape) > MAX_DIMENSIONS:
        msg = f"{where}: shape has {len(shape)} dimensions, expected at most {MAX_DIMENSIONS}"
        raise PayloadError(msg)
    if len(shape) and min(shape) < 0:
        msg = f"{where}: shape {spell_shape(shape)} has a negative dimension"
        raise PayloadError(msg)
    return math.prod(shape)


def check_count(shape: Sequence[int], n_elements: int, where: str) -> None:
    """Compare a shape with the number of elements that came with it.

    Raises
    ------
    PayloadError
        If they differ: ``tensor 'x': shape [2,3] needs 6 elements, got 5``.
    """
    needed = count_elements(shape, where)
    if needed != n_elements:
        msg = f"{where}: shape {spell_shape(shape)} needs {needed} elements, got {n_elements}"
        raise PayloadError(msg)


def reshape(flat: Array, shape: Sequence[int], where: str) -> Array:
    """Give a flat array its shape, without a copy.

    Raises
    ------
    PayloadError
        If the shape does not fit the elements, or numpy cannot index it (an empty tensor of absurd dimensions).
    """
    check_count(shape, flat.size, where)
    return _shaped(flat, shape, where)


def _shaped(flat: Array, shape: Sequence[int], where: str) -> Array:
    try:
        return flat.reshape(tuple(shape))
    except ValueError as error:
        msg = f"{where}: shape {spell_shape(shape)} cannot be held: {error}"
        raise PayloadError(msg) from error


def check_raw(raw: bytes, kind: Datatype, shape: Sequence[int], where: str) -> None:
    """Compare raw bytes with datatype and shape without decoding them.

    Raises
    ------
    PayloadError
        If there are too many or too few bytes, a BYTES element is cut short, or a BOOL byte is neither 0 nor 1.
    """
    if not kind.wire_bytes:
        check_count(shape, len(split_bytes(raw, where)), where)
        return
    needed = count_elements(shape, where)
    if needed * kind.wire_bytes == len(raw):
        if kind.name == "BOOL" and raw.translate(None, b"\x00\x01"):
            msg = f"{where}: a BOOL byte is neither 0 nor 1"
            raise PayloadError(msg)
        return
    n_elements, rest = divmod(len(raw), kind.wire_bytes)
    if rest:
        got = f"{needed * kind.wire_bytes} bytes, got {len(raw)}"
        msg = f"{where}: shape {spell_shape(shape)} of {kind.name} needs {got}"
    else:
        msg = f"{where}: shape {spell_shape(shape)} needs {needed} elements, got {n_elements}"
    raise PayloadError(msg)


def from_raw(raw: bytes, kind: Datatype, shape: Sequence[int], where: str) -> Array:
    """Return the array that raw bytes hold, read-only over the same memory unless the datatype is BF16 or BYTES.

    Raises
    ------
    PayloadError
        If bytes, datatype and shape do not fit each other.
    """
    if kind.name == "BYTES":
        return reshape(object_array(split_bytes(raw, where)), shape, where)
    check_raw(raw, kind, shape, where)
    if kind.name == "BF16":
        halves = np.frombuffer(raw, dtype="<u2")
        return _shaped((halves.astype("<u4") << 16).view("<f4"), shape, where)
    return _shaped(np.frombuffer(raw, dtype=kind.dtype), shape, where)


def to_raw(array: Array, kind: Datatype, where: str) -> bytes:
    """Return an array's raw bytes, row-major and little endian.

    The array must be of the datatype's numpy dtype, byte order apart: nothing is rounded but float32 to BF16 (to the
    nearest, ties to even).

    Raises
    ------
    PayloadError
        If the array's dtype is another one, or a BYTES element is neither bytes nor text.
    """
    if kind.name == "BYTES":
        return join_bytes(as_bytes_list(array, where))
    if array.dtype != kind.dtype:
        if array.dtype.newbyteorder("<") != kind.dtype:
            msg = f"{where}: datatype {kind.name} holds {kind.dtype}, got an array of {array.dtype}"
            raise PayloadError(msg)
        array = array.astype(kind.dtype)
    if kind.name == "BF16":
        return _round_to_bf16(array).tobytes()
    return array.tobytes()


def _round_to_bf16(array: Array) -> Array:
    bits = np.ascontiguousarray(array).reshape(-1).view("<u4")
    nearest = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    # A NaN keeps its upper half with the quiet bit set: rounding could carry it into infinity.
    return np.where(np.isnan(array.reshape(-1)), (bits >> 16) | 0x40, nearest).astype("<u2")


def object_array(values: Sequence[object]) -> Array:
    """Return a flat object array of the values, whatever they are (numpy would unpack sequences)."""
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made


def as_bytes_list(array: Array, where: str) -> list[bytes]:
    """Return the elements of a BYTES array, row-major; text is encoded as UTF-8.

    Raises
    ------
    PayloadError
        If an element is neither bytes nor text.
    """
    values = array.reshape(-1).tolist()
    return [value if type(value) is bytes else _as_bytes(value, index, where) for index, value in enumerate(values)]


def _as_bytes(value: object, index: int, where: str) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    msg = f"{where}: BYTES element {index} is of type {type(value).__name__}, expected bytes or str"
    raise PayloadError(msg)


def split_bytes(raw: bytes, where: str) -> list[bytes]:
    """Cut the raw form of a BYTES tensor into its elements.

    Raises
    ------
    PayloadError
        If an element is cut short.
    """
    elements: list[bytes] = []
    at, end = 0, len(raw)
    while at < end:
        start = at + 4
        at = start + int.from_bytes(raw[at:start], "little")
        if start > end or at > end:
            msg = f"{where}: BYTES element {len(elements)} is cut short: needs {at} bytes up to here, got {end}"
            raise PayloadError(msg)
        elements.append(raw[start:at])
    return elements


def join_bytes(elements: Sequence[bytes]) -> bytes:
    """Return the raw form of BYTES elements: per element a little-endian u32 length, then the bytes."""
    pieces: list[bytes] = []
    for element in elements:
        pieces += (struct.pack("<I", len(element)), element)
    return b"".join(pieces)
