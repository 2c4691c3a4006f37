"""The binary tensor extension of the REST protocol: JSON first, raw tensors behind it.

The header ``Inference-Header-Content-Length`` tells how many bytes of the body are JSON. An input announces its raw
bytes by the parameter ``binary_data_size``; they follow in the order of the inputs. An output comes back raw when its
entry in ``outputs`` has the parameter ``binary_data``, or the request has ``binary_data_output``. These three
parameters concern the transport alone: they are taken off the message and no model sees them.
"""

from dataclasses import dataclass

from dfml.errors import PayloadError
from dfml.inference.codec import check_pairing, typed_to_raw
from dfml.inference.oip_pb2 import InferRequest, InferResponse, Tensor
from dfml.inference.rest_json import (
    Document,
    build_request,
    describe_output,
    dump_response,
    load_document,
    render_output,
)
from dfml.tensor import check_raw, datatype

JSON_LENGTH_HEADER = "Inference-Header-Content-Length"


@dataclass(slots=True)
class _Tail:
    body: bytes
    at: int

    def take(self, size: object, where: str) -> bytes:
        if type(size) is not int or size < 0:
            msg = f"{where}.parameters.binary_data_size: got {size!r}, expected a number of bytes"
            raise PayloadError(msg)
        left = len(self.body) - self.at
        if size > left:
            msg = f"{where}: binary_data_size is {size} bytes, but {left} are left of the body"
            raise PayloadError(msg)
        self.at += size
        return self.body[self.at - size : self.at]


def parse_binary_request(body: bytes, json_bytes: int) -> InferRequest:
    """Return the request of a body whose first ``json_bytes`` bytes are JSON.

    Raises
    ------
    PayloadError
        If the JSON is wrong (as :func:`dfml.inference.rest_json.parse_infer_request`), or the raw bytes behind it are
        fewer or more than announced.
    """
    if not 0 <= json_bytes <= len(body):
        msg = f"{JSON_LENGTH_HEADER} is {json_bytes}, but the body has {len(body)} bytes"
        raise PayloadError(msg)
    tail = _Tail(body, json_bytes)
    request = build_request(load_document(body[:json_bytes]), tail)
    if tail.at != len(body):
        msg = f"body has {len(body) - tail.at} bytes more than the JSON and the inputs' binary_data_size announce"
        raise PayloadError(msg)
    return request


@dataclass(frozen=True, slots=True)
class OutputForm:
    """How the caller wants the outputs.

    ``names`` are the outputs asked for, in order (empty: all there are); ``binary`` those to be sent raw and ``json``
    those to be sent as JSON by their own word; ``binary_by_default`` whether the others are raw.
    """

    names: tuple[str, ...] = ()
    binary: frozenset[str] = frozenset()
    json: frozenset[str] = frozenset()
    binary_by_default: bool = False

    def is_binary(self, name: str) -> bool:
        """Return whether that output is sent raw."""
        return name in self.binary or (self.binary_by_default and name not in self.json)


JSON_FORM = OutputForm()
"""All outputs, as JSON."""


def take_output_form(request: InferRequest) -> OutputForm:
    """Return how the caller wants the outputs and take the parameters that said so off the request."""
    if not request.outputs and "binary_data_output" not in request.parameters:
        return JSON_FORM
    by_default = False
    if "binary_data_output" in request.parameters:
        by_default = request.parameters["binary_data_output"].bool_param
        del request.parameters["binary_data_output"]
    said: dict[str, bool] = {}
    for output in request.outputs:
        if "binary_data" in output.parameters:
            said[output.name] = output.parameters["binary_data"].bool_param
            del output.parameters["binary_data"]
    return OutputForm(
        names=tuple(output.name for output in request.outputs),
        binary=frozenset(name for name, binary in said.items() if binary),
        json=frozenset(name for name, binary in said.items() if not binary),
        binary_by_default=by_default,
    )


def render_response(response: InferResponse, form: OutputForm) -> tuple[bytes, int | None]:
    """Return a response's body, and the length of its JSON where raw tensors follow (None: all of it is JSON).

    Raises
    ------
    PayloadError
        If shape, datatype and contents of an output do not fit each other.
    """
    check_pairing(response)
    raw = response.raw_contents
    pairs = [(tensor, raw[index] if raw else None) for index, tensor in enumerate(response.tensors)]
    if form.names:
        pairs = [pair for name in form.names for pair in pairs if pair[0].name == name]
    documents: list[Document] = []
    tail: list[bytes] = []
    for tensor, contents in pairs:
        if form.is_binary(tensor.name):
            document, encoded = _render_binary(tensor, contents)
            tail.append(encoded)
        else:
            document = render_output(tensor, contents)
        documents.append(document)
    head = dump_response(response, documents)
    return (b"".join([head, *tail]), len(head)) if tail else (head, None)


def check_outputs(response: InferResponse, form: OutputForm) -> None:
    """Check that the outputs asked for are there; :func:`render_response` leaves out those that are not.

    Raises
    ------
    PayloadError
        If one is not.
    """
    if not form.names:
        return
    present = [tensor.name for tensor in response.tensors]
    absent = [name for name in form.names if name not in present]
    if absent:
        asked, there = ", ".join(map(repr, absent)), ", ".join(map(repr, present)) or "none"
        msg = f"outputs: asked for {asked}, but the answer's outputs are {there}"
        raise PayloadError(msg)


def _render_binary(tensor: Tensor, raw: bytes | None) -> tuple[Document, bytes]:
    where = f"tensor {tensor.name!r}"
    contents = typed_to_raw(tensor) if raw is None else raw
    check_raw(contents, datatype(tensor.datatype, where), tensor.shape, where)
    document = describe_output(tensor)
    document["parameters"] = {**document.get("parameters", {}), "binary_data_size": len(contents)}
    return document, contents
