"""A whole message passed on as the input of a step or the output of a pipeline, without being parsed.

On the wire requests and responses are lists of fields, and differ only in the number of the raw contents' field: the
bytes of tensors and parameters are moved as they stand. What they hold is found out by who computes with them.
https://protobuf.dev/programming-guides/encoding/
"""

from dfml.inference.oip_pb2 import InferRequest, InferResponse

_NAME, _ID, _PARAMETERS, _TENSOR = b"\x0a", b"\x1a", 0x22, 0x2A
_REPLACED = frozenset({0x0A, 0x12, 0x1A})
"""The tags of model name, model version and id: the new message has its own."""
_RAW = {InferRequest: b"\x3a", InferResponse: b"\x32"}
_MANY_BYTES = 0x80
"""From this on a length takes more than one byte."""


def pass_whole(
    value: bytes,
    kind: type[InferRequest | InferResponse],
    to_kind: type[InferRequest | InferResponse],
    model_name: bytes,
    request_id: bytes,
) -> bytes | None:
    """Return the message of kind ``to_kind`` that has all tensors and parameters of the ``kind`` in ``value``.

    None where that takes a parser: no tensor or several (whose names must differ), other fields than the two kinds
    share, raw contents that do not pair with the tensor, or bytes that are no message.
    """
    raw, raw_after = _RAW[kind][0], _RAW[to_kind]
    kept = [_NAME, _length(model_name), model_name, _ID, _length(request_id), request_id]
    n_tensors = n_raw = at = 0
    end = len(value)
    try:
        while at < end:
            begin, tag, size = at, value[at], value[at + 1]
            at += 2
            if size >= _MANY_BYTES:
                size, at = _long_length(value, at - 1)
            at += size
            if tag == _TENSOR:
                n_tensors += 1
                kept.append(value[begin:at])
            elif tag == raw:
                n_raw += 1
                kept += (raw_after, value[begin + 1 : at])
            elif tag == _PARAMETERS:
                kept.append(value[begin:at])
            elif tag not in _REPLACED:
                return None
    except IndexError:
        return None
    return b"".join(kept) if at == end and n_tensors == 1 and n_raw <= 1 else None


def _length(text: bytes) -> bytes:
    size = len(text)
    if size < _MANY_BYTES:
        return b"%c" % size
    head = bytearray()
    while size >= _MANY_BYTES:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes((*head, size))


def _long_length(value: bytes, at: int) -> tuple[int, int]:
    """Return the length whose bytes begin here, seven bits in each, and where they end."""
    size = shift = 0
    while True:
        byte = value[at]
        at += 1
        size |= (byte & 0x7F) << shift
        if byte < _MANY_BYTES:
            return size, at
        shift += 7
