from typing import Any

import numpy as np
import orjson
import pytest

from dfml.errors import PayloadError
from dfml.inference.codec import decode_tensors, encode_response
from dfml.inference.oip_pb2 import InferRequest, InferResponse
from dfml.inference.rest_binary import (
    JSON_FORM,
    OutputForm,
    check_outputs,
    parse_binary_request,
    render_response,
    take_output_form,
)

A = np.array([1.5, 2.5], dtype=np.float32)


def tensor(name: str = "a", **members: Any) -> dict[str, Any]:
    return {"name": name, "shape": [2], "datatype": "FP32", **members}


def parse(inputs: list[dict[str, Any]], tail: bytes, **members: Any) -> InferRequest:
    head = orjson.dumps({"inputs": inputs, **members})
    return parse_binary_request(head + tail, len(head))


def sized(size: object) -> dict[str, Any]:
    return {"parameters": {"binary_data_size": size}}


def test_raw_tensors_follow_the_json_in_the_order_of_the_inputs() -> None:
    inputs = [tensor("a", **sized(8)), tensor("b", data=[7, 8]), tensor("c", **sized(5), shape=[1], datatype="BYTES")]
    request = parse(inputs, A.tobytes() + b"\x01\0\0\0z")
    got = {name: array.tolist() for name, array in decode_tensors(request).items()}
    assert got == {"a": [1.5, 2.5], "b": [7, 8], "c": [b"z"]}
    assert not any(made.parameters for made in request.tensors)


@pytest.mark.parametrize(
    ("inputs", "tail", "text"),
    [
        ([tensor(**sized(8))], bytes(7), r"inputs\[0\]: binary_data_size is 8 bytes, but 7 are left of the body"),
        ([tensor(**sized(8))], bytes(9), "body has 1 bytes more than"),
        ([tensor(**sized(4))], bytes(4), r"inputs\[0\]: binary data: shape \[2\] needs 2 elements, got 1"),
        ([tensor(**sized(-8))], bytes(8), r"inputs\[0\].parameters.binary_data_size: got -8, expected a number of"),
        ([tensor(**sized("8"))], bytes(8), r"inputs\[0\].parameters.binary_data_size: got '8', expected a number of"),
        ([tensor(**sized(8), data=[1, 2])], bytes(8), r"inputs\[0\]: has both data and binary_data_size"),
    ],
)
def test_raw_bytes_that_do_not_fit_are_refused(inputs: list[dict[str, Any]], tail: bytes, text: str) -> None:
    with pytest.raises(PayloadError, match=text):
        parse(inputs, tail)


@pytest.mark.parametrize("length", [-1, 100])
def test_a_json_length_beyond_the_body_is_refused(length: int) -> None:
    with pytest.raises(PayloadError, match=f"Inference-Header-Content-Length is {length}, but the body has 2 bytes"):
        parse_binary_request(b"{}", length)


def response() -> InferResponse:
    return encode_response({"a": A, "b": np.array([7], dtype=np.int8)}, model_name="m", request_id="1")


def test_outputs_come_back_raw_where_asked() -> None:
    outputs = [{"name": "b", "parameters": {"binary_data": False}}, {"name": "a", "parameters": {"binary_data": True}}]
    form = take_output_form(parse([tensor(data=[1, 2])], b"", outputs=outputs))
    body, json_bytes = render_response(response(), form)
    assert json_bytes is not None
    b, a = orjson.loads(body[:json_bytes])["outputs"]
    assert (b["name"], b["data"]) == ("b", [7])
    assert (a["name"], a["parameters"], "data" in a) == ("a", {"binary_data_size": 8}, False)
    assert body[json_bytes:] == A.tobytes()


def test_all_outputs_come_back_raw_when_asked_for_all() -> None:
    request = parse([tensor(data=[1, 2])], b"", parameters={"binary_data_output": True, "k": 1})
    form = take_output_form(request)
    assert list(request.parameters) == ["k"]
    body, json_bytes = render_response(response(), form)
    assert json_bytes is not None
    assert body[json_bytes:] == A.tobytes() + b"\x07"


def test_one_output_may_decline_to_be_raw() -> None:
    outputs = [{"name": "a", "parameters": {"binary_data": False}}, {"name": "b"}]
    form = take_output_form(parse([tensor(data=[1, 2])], b"", parameters={"binary_data_output": True}, outputs=outputs))
    assert not form.is_binary("a")
    assert form.is_binary("b")


def test_typed_outputs_come_back_raw_too() -> None:
    typed = InferResponse()
    typed.tensors.add(name="x", datatype="UINT16", shape=[2]).contents.uint_contents.extend([1, 2])
    body, json_bytes = render_response(typed, OutputForm(binary_by_default=True))
    assert body[json_bytes:] == b"\x01\0\x02\0"


def test_without_wishes_all_outputs_are_json() -> None:
    form = take_output_form(parse([tensor(data=[1, 2])], b""))
    assert form is JSON_FORM
    body, json_bytes = render_response(response(), form)
    assert json_bytes is None
    assert [output["name"] for output in orjson.loads(body)["outputs"]] == ["a", "b"]


def test_an_output_that_is_not_there_is_refused() -> None:
    with pytest.raises(PayloadError, match="outputs: asked for 'z', but the answer's outputs are 'a', 'b'"):
        check_outputs(response(), OutputForm(names=("a", "z")))


def test_a_malformed_answer_is_not_sent_raw() -> None:
    bad = response()
    bad.tensors[0].shape[0] = 3
    with pytest.raises(PayloadError, match=r"tensor 'a': shape \[3\] needs 3 elements, got 2"):
        render_response(bad, OutputForm(binary_by_default=True))
