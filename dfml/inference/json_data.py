"""A tensor's ``data`` in JSON, to and from raw bytes.

Numbers and booleans are JSON's. What JSON has no spelling for:

- NaN and the infinities are the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``, read and written. (``null`` is
  refused: absent is not a number.)
- BYTES elements are strings, UTF-8. A tensor with any element that is not UTF-8 is written in base64, all of it, and
  its parameter ``content_type`` says ``base64``; a tensor that comes with that parameter is read so.
- Integers are exact over their whole range, beyond 2^53 too.

FP32 and FP16 are written with as many digits as tell the value from its neighbours, so 0.1 stays ``0.1``.
"""

import base64
import binascii
import itertools
import math
import struct
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, cast

import numpy as np

from dfml.errors import PayloadError
from dfml.tensor import Array, Datatype, count_elements, join_bytes, spell_shape, to_raw

NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""How JSON spells what its numbers cannot."""

_LETTERS = {"INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "UINT8": "B", "UINT16": "H", "UINT32": "I"}
_LETTERS |= {"UINT64": "Q", "FP16": "e", "FP32": "f", "BF16": "f", "FP64": "d", "BOOL": "?", "BYTES": ""}
_JSON_TYPES = {
    str: "text",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    list: "an array",
    dict: "an object",
}


def raw_from_json(data: object, kind: Datatype, shape: Sequence[int], where: str, *, in_base64: bool = False) -> bytes:
    """Return the raw bytes of JSON data, flat or nested as the shape says, row-major.

    ``where`` is the data's place in the body (``inputs[1].data``); ``in_base64`` is for BYTES alone.

    Raises
    ------
    PayloadError
        If there are too many or too few elements, the nesting differs from the shape, or an element is of the wrong
        kind or out of the datatype's range. The text names the first such element.
    """
    needed = count_elements(shape, where)
    if type(data) is not list:
        if shape:
            msg = f"{where}: got {_spell_type(data)}, expected an array"
            raise PayloadError(msg)
        data = [data]
    values: list[Any] = data
    types = set(map(type, values))
    nested = list in types
    if nested:
        values = _flatten(values, shape, where)
        types = set(map(type, values))
    if len(values) != needed:
        msg = f"{where}: shape {spell_shape(shape)} needs {needed} elements, got {len(values)}"
        raise PayloadError(msg)

    def place(index: int) -> str:
        return where + (_spell_index(index, shape) if nested else f"[{index}]")

    return _pack(values, types, kind, place, in_base64=in_base64)


def _flatten(rows: list[Any], shape: Sequence[int], where: str) -> list[Any]:
    """Unnest level by level: every array of a level must be as long as the shape says."""
    if not shape or len(rows) != shape[0]:
        _refuse_nesting(rows, shape, 0, where)
    for depth, size in enumerate(shape[1:], start=1):
        for index, row in enumerate(rows):
            if type(row) is not list or len(row) != size:
                _refuse_nesting(row, shape, depth, where + _spell_index(index, shape[:depth]))
        rows = list(itertools.chain.from_iterable(rows))
    for index, row in enumerate(rows):
        if type(row) is list:
            _refuse_nesting(row, shape, len(shape), where + _spell_index(index, shape))
    return rows


def _refuse_nesting(row: object, shape: Sequence[int], depth: int, where: str) -> NoReturn:
    got = f"has {len(row)} elements" if isinstance(row, list) else f"is {_spell_type(row)}"
    expected = f"{shape[depth]} elements" if depth < len(shape) else "no array here"
    msg = f"{where}: {got}, expected {expected} (shape {spell_shape(shape)}, nested row-major)"
    raise PayloadError(msg)


def _spell_index(index: int, shape: Sequence[int]) -> str:
    return "".join(f"[{part}]" for part in np.unravel_index(index, tuple(shape)))


def _spell_type(value: object) -> str:
    return "null" if value is None else _JSON_TYPES.get(type(value), type(value).__name__)


def _pack(
    values: list[Any], types: set[type], kind: Datatype, place: Callable[[int], str], *, in_base64: bool
) -> bytes:
    if kind.name == "BYTES":
        return _pack_bytes(values, types, place, in_base64=in_base64)
    if not types <= _accepted(kind):
        values = [_number(value, kind, place, index) for index, value in enumerate(values)]
    try:
        packed = struct.pack(f"<{len(values)}{_LETTERS[kind.name]}", *values)
        return to_raw(np.frombuffer(packed, dtype="<f4"), kind, "") if kind.name == "BF16" else packed
    except (struct.error, OverflowError) as error:
        index = next(index for index, value in enumerate(values) if not _fits(value, kind))
        msg = f"{place(index)}: {values[index]} is out of range for {kind.name}"
        raise PayloadError(msg) from error


_FLOATS = frozenset({int, float})
_INTEGERS = frozenset({int})
_BOOLEANS = frozenset({bool})


def _accepted(kind: Datatype) -> frozenset[type]:
    """Return the Python types that may be packed without a look at each element."""
    if kind.dtype.kind == "f":
        return _FLOATS
    return _BOOLEANS if kind.name == "BOOL" else _INTEGERS


def _number(value: object, kind: Datatype, place: Callable[[int], str], index: int) -> object:
    if type(value) in _accepted(kind):
        return value
    if kind.dtype.kind == "f" and isinstance(value, str) and value in NON_FINITE:
        return NON_FINITE[value]
    if kind.name == "BOOL" and type(value) is int and value in {0, 1}:
        return bool(value)
    expected = {"f": 'a number, "NaN", "Infinity" or "-Infinity"', "b": "true, false, 1 or 0"}
    got = f"{_spell_type(value)} {value!r}" if isinstance(value, int | float | str) else _spell_type(value)
    msg = f"{place(index)}: got {got[:80]}, expected {expected.get(kind.dtype.kind, 'an integer')} ({kind.name})"
    raise PayloadError(msg)


def _fits(value: float, kind: Datatype) -> bool:
    try:
        struct.pack(f"<{_LETTERS[kind.name]}", value)
    except (struct.error, OverflowError):
        return False
    return True


def _pack_bytes(values: list[Any], types: set[type], place: Callable[[int], str], *, in_base64: bool) -> bytes:
    if not types <= {str}:
        index = next(index for index, value in enumerate(values) if type(value) is not str)
        msg = f"{place(index)}: got {_spell_type(values[index])}, expected text (BYTES)"
        raise PayloadError(msg)
    if in_base64:
        return join_bytes([_unbase64(value, place, index) for index, value in enumerate(values)])
    return join_bytes([value.encode() for value in values])


def _unbase64(value: str, place: Callable[[int], str], index: int) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        msg = f"{place(index)}: not base64 (as the parameter content_type says): {error}"
        raise PayloadError(msg) from error


def json_floats(array: Array) -> Array | list[object]:
    """Return floats flat, with the strings of :data:`NON_FINITE` in place of NaN and the infinities, if any."""
    flat = array.reshape(-1)
    odd = np.flatnonzero(~np.isfinite(flat))
    if not odd.size:
        return flat
    # Scalars stay of their width: orjson writes a numpy float32 with a float32's digits.
    values: list[object] = list(flat)
    for index in odd:
        value = float(flat[index])
        values[index] = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return values


def json_bytes(array: Array) -> tuple[list[str], bool]:
    """Return BYTES elements as text, flat, and whether the text is base64 (some element is not UTF-8)."""
    elements = cast("list[bytes]", array.reshape(-1).tolist())
    try:
        return [element.decode() for element in elements], False
    except UnicodeDecodeError:
        return [base64.b64encode(element).decode() for element in elements], True
