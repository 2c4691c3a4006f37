"""Messages to numpy arrays and back, and the check that a message is what the protocol allows.

A message carries its tensors in one of two forms: *raw* (one bytes value per tensor in ``raw_contents``, in order) or
*typed* (numbers in each tensor's ``contents``); never both. What we write is raw.
"""

from collections.abc import Iterator, Mapping
from typing import TypeVar

import numpy as np
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from dfml.errors import PayloadError
from dfml.inference.oip_pb2 import InferRequest, InferResponse, Tensor, TensorContents
from dfml.tensor import (
    Array,
    Datatype,
    check_count,
    check_raw,
    count_elements,
    datatype,
    datatype_of,
    from_raw,
    object_array,
    reshape,
    to_raw,
)

Message = InferRequest | InferResponse
_Kind = TypeVar("_Kind", InferRequest, InferResponse)

_FIELDS = tuple(field.name for field in TensorContents.DESCRIPTOR.fields)
_RANGES = {f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16)}


def read_message(kind: type[_Kind], value: bytes) -> _Kind:
    """Return the message that a record's value holds.

    Protobuf alone does not tell: many a text parses, as a message of nothing but fields that the protocol does not
    have. Such a value is refused here; a message without tensors that has a model's name or an id is not.

    Raises
    ------
    PayloadError
        If the value is no such message; its first bytes are quoted.
    """
    try:
        message = kind.FromString(value)
    except DecodeError as error:
        raise PayloadError(_not_a_message(kind, value)) from error
    if not message.tensors and (not value or len(UnknownFieldSet(message))):
        raise PayloadError(_not_a_message(kind, value))
    return message


def _not_a_message(kind: type[Message], value: bytes) -> str:
    begin = f", beginning {value[:40]!r}" if value else ""
    return f"expected a protobuf {kind.__name__}, got {len(value)} bytes{begin}"


def decode_tensors(message: Message) -> dict[str, Array]:
    """Return a message's arrays by tensor name, in the message's order.

    Raw contents are not copied: such arrays are read-only.

    Raises
    ------
    PayloadError
        If shape, datatype and contents do not fit each other, or two tensors have the same name.
    """
    found: dict[str, Array] = {}
    for name, array in iterate_tensors(message):
        if name in found:
            msg = f"tensor {name!r} is there twice, expected each name once"
            raise PayloadError(msg)
        found[name] = array
    return found


def iterate_tensors(message: Message) -> Iterator[tuple[str, Array]]:
    """Yield name and array of each tensor in order; a name may occur more than once.

    Raises
    ------
    PayloadError
        If shape, datatype and contents do not fit each other.
    """
    raw = message.raw_contents
    check_pairing(message)
    for index, tensor in enumerate(message.tensors):
        yield tensor.name, decode_tensor(tensor, raw[index] if raw else None)


def check_pairing(message: Message) -> None:
    """Check that raw contents, where there are any, are as many as the tensors.

    Raises
    ------
    PayloadError
        If they are not.
    """
    n_raw = len(message.raw_contents)
    if n_raw and n_raw != len(message.tensors):
        msg = f"message has {len(message.tensors)} tensors and {n_raw} raw contents, expected as many or none"
        raise PayloadError(msg)


def decode_tensor(tensor: Tensor, raw: bytes | None) -> Array:
    """Return one tensor's array, from its raw contents or, where ``raw`` is None, from its typed ones.

    Raises
    ------
    PayloadError
        If shape, datatype and contents do not fit each other.
    """
    where = f"tensor {tensor.name!r}"
    kind = datatype(tensor.datatype, where)
    if raw is not None:
        _refuse_both_forms(tensor, where)
        return from_raw(raw, kind, tensor.shape, where)
    return reshape(_read_typed(tensor, kind, where), tensor.shape, where)


def _refuse_both_forms(tensor: Tensor, where: str) -> None:
    if tensor.HasField("contents") and tensor.contents.ByteSize():
        msg = f"{where}: has both raw and typed contents, expected one of them"
        raise PayloadError(msg)


def _read_typed(tensor: Tensor, kind: Datatype, where: str) -> Array:
    values = _typed_values(tensor, kind, where)
    if kind.name == "BYTES":
        return object_array(list(values))
    if kind.name not in _RANGES:
        return np.array(values, dtype=kind.dtype)
    wide = np.array(values, dtype=np.int64)
    limits = np.iinfo(kind.dtype)
    outside = np.flatnonzero((wide < limits.min) | (wide > limits.max))
    if outside.size:
        index = int(outside[0])
        msg = f"{where}: element {index} is {wide[index]}, expected {limits.min} to {limits.max} ({kind.name})"
        raise PayloadError(msg)
    return wide.astype(kind.dtype)


def _typed_values(tensor: Tensor, kind: Datatype, where: str) -> "list[bytes] | list[float]":
    contents = tensor.contents
    filled = [field for field in _FIELDS if len(getattr(contents, field))]
    if not kind.contents:
        if not filled and not count_elements(tensor.shape, where):
            return []
        msg = f"{where}: {kind.name} has no typed contents in the protocol; send it in raw_contents"
        raise PayloadError(msg)
    if filled and filled != [kind.contents]:
        msg = f"{where}: {kind.name} belongs in {kind.contents}, got {' and '.join(filled)}"
        raise PayloadError(msg)
    return list(getattr(contents, kind.contents))


def typed_to_raw(tensor: Tensor) -> bytes:
    """Return the raw form of a tensor's typed contents.

    Raises
    ------
    PayloadError
        If shape, datatype and contents do not fit each other.
    """
    where = f"tensor {tensor.name!r}"
    return to_raw(decode_tensor(tensor, None), datatype(tensor.datatype, where), where)


def validate(message: Message) -> None:
    """Check every tensor's datatype, shape and contents without making arrays of raw contents.

    Raises
    ------
    PayloadError
        On the first tensor that is wrong, or when raw contents are not as many as the tensors.
    """
    raw = message.raw_contents
    check_pairing(message)
    for index, tensor in enumerate(message.tensors):
        where = f"tensor {tensor.name!r}"
        kind = datatype(tensor.datatype, where)
        if raw:
            _refuse_both_forms(tensor, where)
            check_raw(raw[index], kind, tensor.shape, where)
        else:
            check_count(tensor.shape, _read_typed(tensor, kind, where).size, where)


def encode_request(
    tensors: Mapping[str, Array],
    *,
    model_name: str,
    request_id: str,
    datatypes: Mapping[str, str] | None = None,
) -> InferRequest:
    """Return a request of the arrays, in their order, with raw contents.

    ``datatypes`` says it where the array's dtype does not (BF16, whose arrays are float32).

    Raises
    ------
    PayloadError
        If an array's dtype has no datatype, or is not the one asked for.
    """
    request = InferRequest(model_name=model_name, id=request_id)
    _add_tensors(request, tensors, datatypes or {})
    return request


def encode_response(
    tensors: Mapping[str, Array],
    *,
    model_name: str,
    request_id: str,
    datatypes: Mapping[str, str] | None = None,
) -> InferResponse:
    """Return a response of the arrays, in their order, with raw contents; see :func:`encode_request`.

    Raises
    ------
    PayloadError
        If an array's dtype has no datatype, or is not the one asked for.
    """
    response = InferResponse(model_name=model_name, id=request_id)
    _add_tensors(response, tensors, datatypes or {})
    return response


def _add_tensors(message: Message, tensors: Mapping[str, Array], datatypes: Mapping[str, str]) -> None:
    for name, given in tensors.items():
        array = np.asarray(given)
        where = f"tensor {name!r}"
        asked = datatypes.get(name)
        kind = datatype(asked, where) if asked else datatype_of(array, where)
        message.tensors.add(name=name, datatype=kind.name, shape=array.shape)
        message.raw_contents.append(to_raw(array, kind, where))
