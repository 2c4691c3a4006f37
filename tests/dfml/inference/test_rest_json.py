import base64
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dfml.errors import PayloadError
from dfml.inference.codec import decode_tensors, encode_response, validate
from dfml.inference.oip_pb2 import InferRequest, InferResponse
from dfml.inference.rest_json import parse_infer_request, render_infer_response
from dfml.tensor import DATATYPES, Array

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)


def arrays(name: str) -> st.SearchStrategy[Array]:
    if name == "BYTES":
        return hnp.arrays(object, SHAPES, elements=st.binary(max_size=5), fill=st.nothing())
    if name == "BF16":
        upper = hnp.arrays("<u2", SHAPES)
        return upper.map(lambda halves: (halves.astype("<u4") << 16).view("<f4"))
    return hnp.arrays(DATATYPES[name].dtype, SHAPES)


def body(**tensor: Any) -> bytes:
    return orjson.dumps({"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", **tensor}]})


def read(**tensor: Any) -> list[Any]:
    message = parse_infer_request(body(**tensor))
    validate(message)
    return decode_tensors(message)["x"].tolist()


def nested_like(array: Array, data: list[Any]) -> Any:
    made = np.empty(array.size, dtype=object)
    made[:] = data
    return made.reshape(array.shape).tolist()


@pytest.mark.parametrize("name", sorted(DATATYPES))
@given(data=st.data())
def test_json_and_message_and_array_give_each_other_back(name: str, data: st.DataObject) -> None:
    array = data.draw(arrays(name))
    sent = encode_response({"x": array}, model_name="m", request_id="7", datatypes={"x": name})
    rendered = orjson.loads(render_infer_response(InferResponse.FromString(sent.SerializeToString())))
    (output,) = rendered["outputs"]
    for values in (output["data"], nested_like(array, output["data"])):
        request = parse_infer_request(orjson.dumps({"id": "7", "inputs": [{**output, "data": values}]}))
        assert (request.id, request.tensors[0].datatype) == ("7", name)
        np.testing.assert_array_equal(decode_tensors(request)["x"], array)
        assert not request.tensors[0].parameters
        again = InferResponse(model_name="m", id="7", tensors=request.tensors, raw_contents=request.raw_contents)
        assert orjson.loads(render_infer_response(again)) == rendered


def test_data_may_be_flat_or_nested_row_major() -> None:
    flat = parse_infer_request(body(shape=[2, 3], data=[1, 2, 3, 4, 5, 6]))
    nested = parse_infer_request(body(shape=[2, 3], data=[[1, 2, 3], [4, 5, 6]]))
    assert flat == nested
    assert decode_tensors(flat)["x"].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_everything_but_the_data_is_passed_on() -> None:
    document = {
        "id": "r1",
        "model_name": "ignored",
        "parameters": {"a": True, "b": -5, "c": 2**64 - 1, "d": "text", "e": 1.5},
        "inputs": [{"name": "x", "shape": [1], "datatype": "INT8", "data": [1], "parameters": {"unit": "m"}}],
        "outputs": [{"name": "y", "parameters": {"k": 1}}],
    }
    request = parse_infer_request(orjson.dumps(document))
    assert request.id == "r1"
    assert request.parameters["a"].bool_param is True
    assert request.parameters["b"].int64_param == -5
    assert request.parameters["c"].uint64_param == 2**64 - 1
    assert request.parameters["d"].string_param == "text"
    assert request.parameters["e"].double_param == 1.5
    assert request.tensors[0].parameters["unit"].string_param == "m"
    assert (request.outputs[0].name, request.outputs[0].parameters["k"].int64_param) == ("y", 1)
    response = InferResponse(model_name="m", model_version="2", id="r1", parameters=request.parameters)
    rendered = orjson.loads(render_infer_response(response))
    assert rendered == {
        "model_name": "m", "model_version": "2", "id": "r1", "parameters": document["parameters"], "outputs": [],
    }  # fmt: skip


def test_null_for_an_optional_member_means_absent() -> None:
    tensor = {"name": "x", "shape": [1], "datatype": "INT8", "data": [1], "parameters": None}
    sent = orjson.dumps({"id": None, "parameters": None, "outputs": None, "inputs": [tensor]})
    assert decode_tensors(parse_infer_request(sent))["x"].tolist() == [1]


def test_integers_beyond_2_to_53_are_exact() -> None:
    values = [2**53 + 1, -(2**63), 2**63 - 1]
    assert read(shape=[3], datatype="INT64", data=values) == values
    assert read(datatype="UINT64", data=[2**64 - 1]) == [2**64 - 1]
    response = encode_response({"x": np.array(values)}, model_name="m", request_id="")
    assert orjson.loads(render_infer_response(response))["outputs"][0]["data"] == values


def test_numbers_without_json_spelling_are_strings() -> None:
    got = read(shape=[4], data=["NaN", "Infinity", "-Infinity", 1])
    assert np.isnan(got[0])
    assert got[1:] == [float("inf"), float("-inf"), 1.0]
    response = encode_response({"x": np.array([np.nan, np.inf, -np.inf, 0.1], "f4")}, model_name="m", request_id="")
    assert b'"data":["NaN","Infinity","-Infinity",0.1]' in render_infer_response(response)


def test_half_floats_are_written_as_numbers() -> None:
    array = np.array([0.5, -2.0], dtype=np.float32)
    for name in ("FP16", "BF16"):
        given_array = array.astype(np.float16) if name == "FP16" else array
        response = encode_response({"x": given_array}, model_name="m", request_id="", datatypes={"x": name})
        assert orjson.loads(render_infer_response(response))["outputs"][0]["data"] == [0.5, -2.0]
        assert decode_tensors(parse_infer_request(body(shape=[2], datatype=name, data=[0.5, -2])))["x"].tolist() == [
            0.5,
            -2.0,
        ]


def test_bytes_are_utf8_text() -> None:
    assert read(shape=[2], datatype="BYTES", data=["é", ""]) == ["é".encode(), b""]
    response = encode_response({"x": np.array(["é"])}, model_name="m", request_id="")
    assert orjson.loads(render_infer_response(response))["outputs"][0]["data"] == ["é"]


def test_bytes_that_are_not_utf8_are_base64_and_say_so() -> None:
    response = encode_response({"x": np.array([b"\xff", b"a"], dtype=object)}, model_name="m", request_id="")
    (output,) = orjson.loads(render_infer_response(response))["outputs"]
    assert output["data"] == [base64.b64encode(b"\xff").decode(), base64.b64encode(b"a").decode()]
    assert output["parameters"] == {"content_type": "base64"}


def test_booleans_may_be_one_and_zero() -> None:
    assert read(shape=[4], datatype="BOOL", data=[True, False, 1, 0]) == [True, False, True, False]


def test_a_scalar_may_stand_without_an_array() -> None:
    assert read(shape=[], datatype="INT32", data=5) == read(shape=[], datatype="INT32", data=[5]) == 5


def test_a_typed_response_is_rendered_as_a_raw_one() -> None:
    response = InferResponse()
    response.tensors.add(name="x", datatype="INT8", shape=[2]).contents.int_contents.extend([1, -1])
    assert orjson.loads(render_infer_response(response))["outputs"][0]["data"] == [1, -1]


def test_a_response_whose_contents_do_not_fit_is_refused() -> None:
    response = encode_response({"x": np.array([1.0])}, model_name="m", request_id="")
    response.tensors[0].shape[0] = 2
    with pytest.raises(PayloadError, match=r"tensor 'x': shape \[2\] needs 2 elements, got 1"):
        render_infer_response(response)


BAD_BODIES = [
    (b"", "no body, expected a JSON object"),
    (b'{"inputs": [}', r"body is not JSON: .*line 1 column 13"),
    (b'{"inputs": [NaN]}', 'body is not JSON: .*column 13 .*write the string "NaN", "Infinity" or "-Infinity"'),
    (b'{"inputs": [-Infinity]}', 'body is not JSON: .*write the string "NaN"'),
    (b"[" * 5000, "body is not JSON: "),
    (b'{"a": "\xff"}', "body is not JSON: "),
    (b"[]", "body is an array, expected an object"),
    (b"null", "body is null, expected an object"),
    (b"{}", "inputs is missing, expected an array"),
    (b'{"inputs": null}', "inputs: got null, expected an array"),
    (b'{"inputs": {}}', "inputs: got an object, expected an array"),
    (b'{"inputs": []}', "inputs is empty, expected at least one tensor"),
    (b'{"inputs": [1]}', r"inputs\[0\]: got a number, expected an object"),
    (b'{"id": 7, "inputs": []}', "id: got a number, expected text"),
    (b'{"parameters": [], "inputs": []}', "parameters: got an array, expected an object"),
    (b'{"parameters": {"k": {}}, "inputs": []}', "parameters.k: got an object, expected a boolean, a number or text"),
    (b'{"inputs": [{}]}', r"inputs\[0\].name is missing"),
    (body(outputs=1, name=""), r"inputs\[0\].name: got text, expected text that is not empty"),
    (body(name=3, data=[1]), r"inputs\[0\].name: got a number, expected text"),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "text"), BAD_BODIES)
def test_a_body_that_is_not_a_request_is_refused(sent: bytes, text: str) -> None:
    with pytest.raises(PayloadError, match=text):
        parse_infer_request(sent)


BAD_TENSORS: list[tuple[dict[str, Any], str]] = [
    ({}, r"inputs\[0\].data is missing"),
    ({"data": None}, r"inputs\[0\].data: got null, expected an array"),
    ({"data": 1.5}, r"inputs\[0\].data: got a number, expected an array"),
    ({"data": "abc"}, r"inputs\[0\].data: got text, expected an array"),
    ({"data": [1, 2, 3], "shape": [2, 2]}, r"inputs\[0\].data: shape \[2,2\] needs 4 elements, got 3$"),
    ({"data": [1, 2, 3, 4, 5], "shape": [2, 2]}, r"inputs\[0\].data: shape \[2,2\] needs 4 elements, got 5$"),
    ({"data": [[1, 2], [3]], "shape": [2, 2]}, r"inputs\[0\].data\[1\]: has 1 elements, expected 2 elements"),
    ({"data": [[1, 2], 3], "shape": [2, 2]}, r"inputs\[0\].data\[1\]: is an integer, expected 2 elements"),
    ({"data": [[1, 2], [3, 4]], "shape": [4]}, r"inputs\[0\].data: has 2 elements, expected 4 elements"),
    ({"data": [[1, 2], [3, 4], [5, 6]], "shape": [2, 3]}, r"inputs\[0\].data: has 3 elements, expected 2 elements"),
    ({"data": [[[1]]], "shape": [1, 1]}, r"inputs\[0\].data\[0\]\[0\]: has 1 elements, expected no array here"),
    ({"data": [[1]], "shape": []}, r"inputs\[0\].data: has 1 elements, expected no array here"),
    ({"data": [[1, 2], [3, "a"]], "shape": [2, 2]}, r"inputs\[0\].data\[1\]\[1\]: got text 'a', expected a number"),
    ({"data": [1], "shape": [-1]}, r"inputs\[0\].shape: got \[-1\], expected an array of whole numbers"),
    ({"data": [1], "shape": [1.0]}, r"inputs\[0\].shape: got \[1.0\], expected an array of whole numbers"),
    ({"data": [1], "shape": [True]}, r"inputs\[0\].shape: got \[true\], expected an array of whole numbers"),
    ({"data": [1], "shape": 1}, r"inputs\[0\].shape: got 1, expected an array of whole numbers"),
    ({"data": [1], "shape": [1] * 65}, r"inputs\[0\].data: shape has 65 dimensions, expected at most 64"),
    ({"data": [1], "shape": [10**12, 10**12]}, r"needs 1000000000000000000000000 elements, got 1$"),
    ({"data": [], "shape": [0, 2**64 - 1]}, r"inputs\[0\].shape: got .* expected an array of whole numbers"),
    ({"data": [1], "datatype": "FP33"}, r"inputs\[0\].datatype: unknown datatype 'FP33', .*did you mean FP32\?"),
    ({"data": [1], "datatype": "float32"}, r"unknown datatype 'float32', .*did you mean FP32\?"),
    ({"data": [1], "datatype": 5}, r"inputs\[0\].datatype: got a number, expected text"),
    ({"data": [300], "datatype": "INT8"}, r"inputs\[0\].data\[0\]: 300 is out of range for INT8"),
    ({"data": [1, -1], "shape": [2], "datatype": "UINT8"}, r"inputs\[0\].data\[1\]: -1 is out of range for UINT8"),
    ({"data": [2**63], "datatype": "INT64"}, r"inputs\[0\].data\[0\]: 9223372036854775808 is out of range for INT64"),
    ({"data": [1e39]}, r"inputs\[0\].data\[0\]: 1e\+39 is out of range for FP32"),
    ({"data": [70000], "datatype": "FP16"}, r"inputs\[0\].data\[0\]: 70000 is out of range for FP16"),
    ({"data": [1.0], "datatype": "INT32"}, r"data\[0\]: got a number 1.0, expected an integer \(INT32\)"),
    ({"data": [True], "datatype": "INT32"}, r"data\[0\]: got a boolean True, expected an integer \(INT32\)"),
    ({"data": ["1"], "datatype": "INT32"}, r"data\[0\]: got text '1', expected an integer \(INT32\)"),
    ({"data": [False]}, r"data\[0\]: got a boolean False, expected a number, .* \(FP32\)"),
    ({"data": [None]}, r'data\[0\]: got null, expected a number, "NaN", "Infinity" or "-Infinity" \(FP32\)'),
    ({"data": ["nan"]}, r"data\[0\]: got text 'nan', expected a number"),
    ({"data": [{}]}, r"data\[0\]: got an object, expected a number"),
    ({"data": [2], "datatype": "BOOL"}, r"data\[0\]: got an integer 2, expected true, false, 1 or 0 \(BOOL\)"),
    ({"data": [1], "datatype": "BYTES"}, r"data\[0\]: got an integer, expected text \(BYTES\)"),
    (
        {"data": ["*"], "datatype": "BYTES", "parameters": {"content_type": "base64"}},
        r"data\[0\]: not base64 \(as the parameter content_type says\)",
    ),
    ({"data": [1], "parameters": 3}, r"inputs\[0\].parameters: got a number, expected an object"),
    ({"data": [1], "parameters": {"k": None}}, r"inputs\[0\].parameters.k: got null, expected a boolean, a number or"),
    ({"parameters": {"binary_data_size": 4}}, "has binary_data_size, but the header Inference-Header-Content-Length"),
]  # fmt: skip


@pytest.mark.parametrize(("tensor", "text"), BAD_TENSORS)
def test_a_tensor_that_does_not_fit_is_refused(tensor: dict[str, Any], text: str) -> None:
    with pytest.raises(PayloadError, match=text):
        parse_infer_request(body(**tensor))


def test_the_wrong_tensor_is_named_among_several() -> None:
    inputs = [{"name": name, "shape": [2], "datatype": "INT8", "data": [1] * n} for name, n in (("a", 2), ("b", 3))]
    with pytest.raises(PayloadError, match=r"inputs\[1\].data: shape \[2\] needs 2 elements, got 3"):
        parse_infer_request(orjson.dumps({"inputs": inputs}))
    inputs[1] = inputs[0]
    with pytest.raises(PayloadError, match=r"inputs\[1\].name: 'a' is there twice"):
        parse_infer_request(orjson.dumps({"inputs": inputs}))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=3), children, max_size=2),
    max_leaves=6,
)
members = st.sampled_from(["name", "shape", "datatype", "data", "parameters"])
texts = st.sampled_from(sorted(DATATYPES)) | json_values


@given(st.fixed_dictionaries({}, optional={"name": json_values, "shape": json_values | st.just([1]),
    "datatype": texts, "data": json_values, "parameters": json_values}))  # fmt: skip
def test_any_json_is_a_valid_request_or_refused_with_a_reason(tensor: dict[str, Any]) -> None:
    try:
        request = parse_infer_request(orjson.dumps({"inputs": [{"name": "x", "shape": [1], **tensor}]}))
    except PayloadError as error:
        assert str(error).startswith("inputs[0]")
    else:
        assert isinstance(request, InferRequest)
        validate(request)
