"""JSON bodies of the Open Inference REST protocol, to and from messages with raw contents.

Request ``{id?, parameters?, inputs: [{name, shape, datatype, parameters?, data}], outputs?}``, response ``{model_name,
model_version?, id?, parameters?, outputs}``. Members that the protocol does not have are ignored, ``null`` for an
optional one means absent. How ``data`` is spelled: :mod:`dfml.inference.json_data`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import orjson

from dfml.errors import PayloadError
from dfml.inference.codec import check_pairing, decode_tensor
from dfml.inference.json_data import json_bytes, json_floats, raw_from_json
from dfml.inference.oip_pb2 import InferParameter, InferRequest, InferResponse, Tensor
from dfml.tensor import Datatype, check_raw, datatype

Document = dict[str, Any]

_INT64_LIMIT = 2**63


class BinaryTail(Protocol):
    """The raw tensors behind a body's JSON, in the order of the inputs that announce them."""

    def take(self, size: object, where: str) -> bytes:
        """Return the next ``size`` bytes; PayloadError if there are not as many."""
        ...


def parse_infer_request(body: bytes) -> InferRequest:
    """Return the request that a JSON body spells.

    Raises
    ------
    PayloadError
        If the body is empty, not JSON or not such a request. The text says what and where:
        ``inputs[1].data: shape [2,2] needs 4 elements, got 3``.
    """
    return build_request(load_document(body), None)


def load_document(body: bytes) -> Document:
    """Return a body's JSON object.

    Raises
    ------
    PayloadError
        If the body is empty, broken (with line and column) or not an object.
    """
    if not body:
        msg = 'no body, expected a JSON object {"inputs": [...]}'
        raise PayloadError(msg)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise PayloadError(_broken_json(body, error)) from error
    if type(document) is not dict:
        msg = f'body is {_spell(document)}, expected an object {{"inputs": [...]}}'
        raise PayloadError(msg)
    return document


def _broken_json(body: bytes, error: orjson.JSONDecodeError) -> str:
    at = body[error.pos : error.pos + 9].lstrip(b"-")
    hint = ""
    if at.startswith((b"NaN", b"Infinity")):
        hint = '; JSON has no such number: write the string "NaN", "Infinity" or "-Infinity"'
    return f"body is not JSON: {error}{hint}"


def build_request(document: Document, tail: BinaryTail | None) -> InferRequest:
    """Return the request of a parsed body; ``tail`` holds the raw tensors where the body has any.

    Raises
    ------
    PayloadError
        As :func:`parse_infer_request`.
    """
    request_id = document.get("id")
    if request_id is not None and type(request_id) is not str:
        msg = f"id: got {_spell(request_id)}, expected text"
        raise PayloadError(msg)
    request = InferRequest(id=request_id or "")
    _set_parameters(request.parameters, document.get("parameters"), "parameters")
    names: set[str] = set()
    for index, entry in enumerate(_entries(document, "inputs", required=True)):
        _add_input(request, entry, f"inputs[{index}]", tail)
        name = request.tensors[index].name
        if name in names:
            msg = f"inputs[{index}].name: {name!r} is there twice, expected each name once"
            raise PayloadError(msg)
        names.add(name)
    for index, entry in enumerate(_entries(document, "outputs", required=False)):
        where = f"outputs[{index}]"
        output = request.outputs.add(name=_text(entry, "name", where))
        _set_parameters(output.parameters, entry.get("parameters"), f"{where}.parameters")
    return request


def _entries(document: Document, key: str, *, required: bool) -> list[Document]:
    entries = document.get(key)
    if entries is None and not required:
        return []
    if key not in document:
        msg = f"{key} is missing, expected an array of tensors"
        raise PayloadError(msg)
    if type(entries) is not list:
        msg = f"{key}: got {_spell(entries)}, expected an array"
        raise PayloadError(msg)
    if required and not entries:
        msg = f"{key} is empty, expected at least one tensor"
        raise PayloadError(msg)
    for index, entry in enumerate(entries):
        if type(entry) is not dict:
            msg = f"{key}[{index}]: got {_spell(entry)}, expected an object"
            raise PayloadError(msg)
    return entries


def _add_input(request: InferRequest, entry: Document, where: str, tail: BinaryTail | None) -> None:
    name = _text(entry, "name", where)
    kind = datatype(_text(entry, "datatype", where), f"{where}.datatype")
    shape = _shape(entry, where)
    tensor = request.tensors.add(name=name, datatype=kind.name, shape=shape)
    if entry.get("parameters") is not None:
        _set_parameters(tensor.parameters, entry["parameters"], f"{where}.parameters")
        binary_bytes = entry["parameters"].get("binary_data_size")
        if binary_bytes is not None:
            raw = _take_binary(entry, where, tail)
            check_raw(raw, kind, shape, f"{where}: binary data")
            del tensor.parameters["binary_data_size"]
            request.raw_contents.append(raw)
            return
    if "data" not in entry:
        msg = f"{where}.data is missing"
        raise PayloadError(msg)
    in_base64 = _is_base64(tensor, kind)
    request.raw_contents.append(raw_from_json(entry["data"], kind, shape, f"{where}.data", in_base64=in_base64))
    if in_base64:
        del tensor.parameters["content_type"]


def _take_binary(entry: Document, where: str, tail: BinaryTail | None) -> bytes:
    size = entry["parameters"]["binary_data_size"]
    if tail is None:
        msg = f"{where}: has binary_data_size, but the header Inference-Header-Content-Length is missing"
        raise PayloadError(msg)
    if entry.get("data") is not None:
        msg = f"{where}: has both data and binary_data_size, expected one of them"
        raise PayloadError(msg)
    return tail.take(size, where)


def _is_base64(tensor: Tensor, kind: Datatype) -> bool:
    parameters = tensor.parameters
    return kind.name == "BYTES" and "content_type" in parameters and parameters["content_type"].string_param == "base64"


def _text(entry: Document, key: str, where: str) -> str:
    value = entry.get(key)
    if type(value) is str and value:
        return value
    if key not in entry:
        msg = f"{where}.{key} is missing"
    else:
        msg = f"{where}.{key}: got {_spell(value)}, expected text that is not empty"
    raise PayloadError(msg)


def _shape(entry: Document, where: str) -> list[int]:
    shape = entry.get("shape")
    if type(shape) is list and all(type(size) is int and 0 <= size < _INT64_LIMIT for size in shape):
        return shape
    if "shape" not in entry:
        msg = f"{where}.shape is missing"
        raise PayloadError(msg)
    got = orjson.dumps(shape).decode()
    msg = f"{where}.shape: got {got[:80]}, expected an array of whole numbers, none negative"
    raise PayloadError(msg)


def _set_parameters(target: Any, given: object, where: str) -> None:
    if given is None:
        return
    if not isinstance(given, dict):
        msg = f"{where}: got {_spell(given)}, expected an object"
        raise PayloadError(msg)
    for key, value in given.items():
        field = _parameter_field(value)
        if field is None:
            msg = f"{where}.{key}: got {_spell(value)}, expected a boolean, a number or text"
            raise PayloadError(msg)
        target[key].CopyFrom(InferParameter(**{field: value}))


def _parameter_field(value: object) -> str | None:
    if isinstance(value, bool):
        return "bool_param"
    if isinstance(value, int):
        return "int64_param" if value < _INT64_LIMIT else "uint64_param"
    return {str: "string_param", float: "double_param"}.get(type(value))


def _spell(value: object) -> str:
    if value is None:
        return "null"
    names: dict[type, str] = {str: "text", bool: "a boolean", list: "an array", dict: "an object"}
    return names.get(type(value), "a number")


def render_infer_response(response: InferResponse) -> bytes:
    """Return the JSON body of a response, raw or typed; ``data`` is flat, row-major.

    Raises
    ------
    PayloadError
        If shape, datatype and contents of an output do not fit each other.
    """
    raw = response.raw_contents
    check_pairing(response)
    outputs = [render_output(tensor, raw[index] if raw else None) for index, tensor in enumerate(response.tensors)]
    return dump_response(response, outputs)


def dump_response(response: InferResponse, outputs: Iterable[Document]) -> bytes:
    """Return the JSON body of a response with the outputs given instead of its tensors."""
    document: Document = {"model_name": response.model_name}
    if response.model_version:
        document["model_version"] = response.model_version
    if response.id:
        document["id"] = response.id
    if response.parameters:
        document["parameters"] = _plain_parameters(response.parameters)
    document["outputs"] = outputs
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def describe_output(tensor: Tensor) -> Document:
    """Return an output's entry without its data."""
    document: Document = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
    if tensor.parameters:
        document["parameters"] = _plain_parameters(tensor.parameters)
    return document


def render_output(tensor: Tensor, raw: bytes | None) -> Document:
    """Return an output's entry with its data.

    Raises
    ------
    PayloadError
        If shape, datatype and contents do not fit each other.
    """
    document = describe_output(tensor)
    array = decode_tensor(tensor, raw)
    if tensor.datatype == "BYTES":
        document["data"], in_base64 = json_bytes(array)
        if in_base64:
            document["parameters"] = {**document.get("parameters", {}), "content_type": "base64"}
    else:
        document["data"] = json_floats(array) if array.dtype.kind == "f" else array.reshape(-1)
    return document


def _plain_parameters(parameters: Mapping[str, InferParameter]) -> Document:
    return {key: _plain(value) for key, value in parameters.items()}


def _plain(parameter: InferParameter) -> object:
    field = parameter.WhichOneof("parameter_choice")
    return getattr(parameter, field) if field else None
