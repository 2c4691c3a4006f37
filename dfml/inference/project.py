"""What the engine does to payloads on their way: pick tensors, rename them, join several messages into one.

Contents are moved, not decoded, and stay with their tensor. The protocol wants the tensors of a message all raw or all
typed, so where a join meets both forms the typed ones become raw.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from dfml.errors import PayloadError
from dfml.inference.codec import Message, check_pairing, typed_to_raw
from dfml.inference.oip_pb2 import InferRequest, InferResponse, Tensor

Wanted = tuple[tuple[str, str], ...]
"""Tensors to take, in order: (name in the source, name in the result)."""

Part = tuple[Message, Wanted | None]
"""A source message and what to take of it; None takes all, names unchanged."""

_Picked = tuple[Tensor, str, bytes | None]
_Result = TypeVar("_Result", InferRequest, InferResponse)


def merge(parts: Sequence[Part], *, model_name: str, request_id: str, allow_duplicates: bool = False) -> InferRequest:
    """Return a request made of the parts' tensors, part after part; parameters are the first part's.

    A wanted tensor that its part does not have is left out.

    Raises
    ------
    PayloadError
        If two tensors end up with the same name (unless allowed), or a part's raw contents are not as many as its
        tensors, or typed contents that have to become raw are malformed.
    """
    request = InferRequest(model_name=model_name, id=request_id)
    return _fill(request, parts, allow_duplicates=allow_duplicates)


def merge_response(
    parts: Sequence[Part], *, model_name: str, request_id: str, allow_duplicates: bool = False
) -> InferResponse:
    """Return a response made of the parts' tensors; otherwise as :func:`merge`.

    Raises
    ------
    PayloadError
        As :func:`merge`.
    """
    response = InferResponse(model_name=model_name, id=request_id)
    return _fill(response, parts, allow_duplicates=allow_duplicates)


def want_all(message: Message, renames: Mapping[str, str]) -> Wanted | None:
    """Return what takes every tensor of the message, some of them renamed; None where no rename applies."""
    names = [tensor.name for tensor in message.tensors]
    if not any(name in renames for name in names):
        return None
    return tuple((name, renames.get(name, name)) for name in dict.fromkeys(names))


def _fill(result: _Result, parts: Sequence[Part], *, allow_duplicates: bool) -> _Result:
    if parts and parts[0][0].parameters:
        result.parameters.MergeFrom(parts[0][0].parameters)
    if len(parts) == 1 and parts[0][1] is None:
        _take_whole(result, parts[0][0])
    else:
        _take_picked(result, [picked for message, wanted in parts for picked in _pick(message, wanted)])
    if not allow_duplicates and len(result.tensors) > 1:
        _refuse_duplicates(result)
    return result


def _take_whole(result: Message, source: Message) -> None:
    check_pairing(source)
    result.tensors.MergeFrom(source.tensors)
    result.raw_contents.MergeFrom(source.raw_contents)


def _pick(message: Message, wanted: Wanted | None) -> list[_Picked]:
    check_pairing(message)
    raw = message.raw_contents or [None] * len(message.tensors)
    tensors = list(zip(message.tensors, raw, strict=True))
    if wanted is None:
        return [(tensor, tensor.name, contents) for tensor, contents in tensors]
    return [
        (tensor, new_name, contents) for name, new_name in wanted for tensor, contents in tensors if tensor.name == name
    ]


def _take_picked(result: Message, picked: Sequence[_Picked]) -> None:
    any_raw = any(contents is not None for _, _, contents in picked)
    for tensor, name, contents in picked:
        made = result.tensors.add()
        made.MergeFrom(tensor)
        made.name = name
        if contents is not None:
            result.raw_contents.append(contents)
        elif any_raw:
            result.raw_contents.append(typed_to_raw(tensor))
            made.ClearField("contents")


def _refuse_duplicates(result: Message) -> None:
    names = [tensor.name for tensor in result.tensors]
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        msg = f"two tensors are named {', '.join(map(repr, twice))} after joining; rename one with tensorMap"
        raise PayloadError(msg)
