"""Bodies of an infer call as its client sees them: the request to send, the tensors of the answer."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from dfml.errors import PayloadError
from dfml.inference.codec import decode_tensors
from dfml.inference.oip_pb2 import InferRequest
from dfml.inference.rest_binary import JSON_LENGTH_HEADER, parse_binary_request
from dfml.inference.rest_json import Document, build_request, describe_output, load_document, render_output
from dfml_engine.runtimes.base import Tensors


@dataclass(frozen=True, slots=True)
class Body:
    """A body's bytes and the headers that say what is in it."""

    content: bytes
    headers: Mapping[str, str]


def render_request(request: InferRequest, parameters: Mapping[str, object], *, binary: bool) -> Body:
    """Return the body of a request with raw contents: JSON, or JSON with the raw tensors behind it.

    ``parameters`` are the request's. A binary body asks for a binary answer.

    Raises
    ------
    PayloadError
        If shape, datatype and contents of a tensor do not fit each other.
    """
    document: Document = {"id": request.id}
    pairs = list(zip(request.tensors, request.raw_contents, strict=True))
    if not binary:
        if parameters:
            document["parameters"] = parameters
        document["inputs"] = [render_output(tensor, raw) for tensor, raw in pairs]
        content = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
        return Body(content, {"content-type": "application/json"})
    document["parameters"] = {**parameters, "binary_data_output": True}
    document["inputs"] = [
        {**describe_output(tensor), "parameters": {"binary_data_size": len(raw)}} for tensor, raw in pairs
    ]
    head = orjson.dumps(document)
    headers = {"content-type": "application/octet-stream", JSON_LENGTH_HEADER: str(len(head))}
    return Body(b"".join([head, *request.raw_contents]), headers)


def parse_response(content: bytes, json_length: str | None) -> Tensors:
    """Return the tensors of an answer's body; ``json_length`` is its header Inference-Header-Content-Length, if any.

    Raises
    ------
    PayloadError
        If the body is not such an answer.
    """
    json_bytes = len(content) if json_length is None else _read_length(json_length, content)
    outputs = load_document(content[:json_bytes]).get("outputs")
    if not isinstance(outputs, list):
        msg = "outputs is missing, expected an array of tensors"
        raise PayloadError(msg)
    if not outputs:
        return {}
    try:
        return decode_tensors(_read_outputs(outputs, content[json_bytes:], is_binary=json_length is not None))
    except PayloadError as error:
        text = str(error)
        raise PayloadError(text.replace("inputs", "outputs", 1) if text.startswith("inputs") else text) from error


def _read_outputs(outputs: list[object], tail: bytes, *, is_binary: bool) -> InferRequest:
    """Read outputs by the reader of inputs: they are spelled alike."""
    if not is_binary:
        return build_request({"inputs": outputs}, None)
    head = orjson.dumps({"inputs": outputs})
    return parse_binary_request(head + tail, len(head))


def _read_length(text: str, content: bytes) -> int:
    if text.isascii() and text.isdigit() and int(text) <= len(content):
        return int(text)
    msg = f"{JSON_LENGTH_HEADER} is {text!r}, but the body has {len(content)} bytes"
    raise PayloadError(msg)
