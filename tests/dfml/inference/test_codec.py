import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dfml.errors import PayloadError
from dfml.inference.codec import (
    decode_tensors,
    encode_request,
    encode_response,
    iterate_tensors,
    read_message,
    validate,
)
from dfml.inference.oip_pb2 import InferRequest, InferResponse
from dfml.tensor import DATATYPES, Array

TYPED = sorted(name for name, kind in DATATYPES.items() if kind.contents)
FLAT = hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=3)


def arrays(name: str) -> st.SearchStrategy[Array]:
    if name == "BYTES":
        return st.lists(st.binary(max_size=5), max_size=4).map(lambda values: np.array([*values, b""], dtype=object))
    return hnp.arrays(DATATYPES[name].dtype, FLAT)


def typed(name: str, values: list[object], shape: list[int] | None = None) -> InferRequest:
    message = InferRequest()
    tensor = message.tensors.add(name="x", datatype=name, shape=shape or [len(values)])
    getattr(tensor.contents, DATATYPES[name].contents).extend(values)
    return message


def raw(name: str, shape: list[int], contents: bytes) -> InferRequest:
    message = InferRequest(raw_contents=[contents])
    message.tensors.add(name="x", datatype=name, shape=shape)
    return message


@given(
    st.lists(st.sampled_from(sorted(set(DATATYPES) - {"BF16"})), max_size=4).flatmap(
        lambda names: st.tuples(*(arrays(name) for name in names))
    )
)
def test_a_request_gives_back_its_arrays(given_arrays: tuple[Array, ...]) -> None:
    tensors = {f"t{index}": array for index, array in enumerate(given_arrays)}
    sent = encode_request(tensors, model_name="m", request_id="1").SerializeToString()
    message = InferRequest.FromString(sent)
    validate(message)
    got = decode_tensors(message)
    assert list(got) == list(tensors)
    for name, array in tensors.items():
        assert got[name].dtype == array.dtype
        np.testing.assert_array_equal(got[name], array)


@pytest.mark.parametrize("name", TYPED)
@given(data=st.data())
def test_typed_contents_give_the_same_array_as_raw(name: str, data: st.DataObject) -> None:
    array = data.draw(arrays(name))
    message = typed(name, array.reshape(-1).tolist(), list(array.shape))
    validate(message)
    got = decode_tensors(message)["x"]
    assert got.dtype == array.dtype
    np.testing.assert_array_equal(got, array)


def test_raw_contents_belong_to_tensors_in_order() -> None:
    message = encode_response({"a": np.array([1, 2]), "b": np.array([3.5])}, model_name="m", request_id="1")
    assert isinstance(message, InferResponse)
    assert message.id == "1"
    assert {name: array.tolist() for name, array in decode_tensors(message).items()} == {"a": [1, 2], "b": [3.5]}


def test_a_datatype_can_be_asked_for() -> None:
    message = encode_request(
        {"x": np.array([1.5], dtype=np.float32)}, model_name="m", request_id="1", datatypes={"x": "BF16"}
    )
    assert message.tensors[0].datatype == "BF16"
    assert message.raw_contents[0] == b"\xc0\x3f"
    assert decode_tensors(message)["x"].tolist() == [1.5]


def test_integers_beyond_2_to_53_are_exact() -> None:
    values = [2**53 + 1, -(2**63), 2**63 - 1]
    assert decode_tensors(typed("INT64", values))["x"].tolist() == values
    assert decode_tensors(typed("UINT64", [2**64 - 1]))["x"].tolist() == [2**64 - 1]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (typed("FP32", [1, 2, 3, 4, 5], [2, 3]), r"tensor 'x': shape \[2,3\] needs 6 elements, got 5$"),
        (typed("FP32", [1, 2, 3], [2]), r"tensor 'x': shape \[2\] needs 2 elements, got 3$"),
        (typed("INT8", [1, 300]), r"tensor 'x': element 1 is 300, expected -128 to 127 \(INT8\)"),
        (typed("UINT16", [65536]), r"tensor 'x': element 0 is 65536, expected 0 to 65535 \(UINT16\)"),
        (raw("FP16", [2], bytes(8)), r"tensor 'x': shape \[2\] needs 2 elements, got 4$"),
        (raw("FP64", [1], bytes(7)), r"tensor 'x': shape \[1\] of FP64 needs 8 bytes, got 7$"),
        (raw("FLOAT", [1], bytes(4)), "tensor 'x': unknown datatype 'FLOAT'"),
    ],
)
def test_contents_that_do_not_fit_are_refused(message: InferRequest, text: str) -> None:
    with pytest.raises(PayloadError, match=text):
        decode_tensors(message)
    with pytest.raises(PayloadError, match=text):
        validate(message)


def test_raw_contents_must_be_as_many_as_the_tensors() -> None:
    message = raw("FP32", [1], bytes(4))
    message.raw_contents.append(bytes(4))
    with pytest.raises(PayloadError, match="message has 1 tensors and 2 raw contents, expected as many or none"):
        validate(message)


def test_raw_and_typed_contents_of_one_tensor_are_refused() -> None:
    message = typed("FP32", [1.0])
    message.raw_contents.append(bytes(4))
    with pytest.raises(PayloadError, match="tensor 'x': has both raw and typed contents"):
        decode_tensors(message)


def test_values_in_another_types_contents_are_refused() -> None:
    message = typed("FP32", [])
    message.tensors[0].contents.int_contents.append(1)
    with pytest.raises(PayloadError, match="tensor 'x': FP32 belongs in fp32_contents, got int_contents"):
        decode_tensors(message)


def test_fp16_has_no_typed_contents() -> None:
    message = InferRequest()
    message.tensors.add(name="x", datatype="FP16", shape=[1]).contents.fp32_contents.append(1.0)
    with pytest.raises(PayloadError, match="tensor 'x': FP16 has no typed contents in the protocol; send it in raw"):
        decode_tensors(message)


def test_two_tensors_of_one_name_are_iterated_but_not_made_a_dict() -> None:
    message = raw("INT8", [1], b"\x01")
    message.tensors.add(name="x", datatype="INT8", shape=[1])
    message.raw_contents.append(b"\x02")
    assert [(name, array.tolist()) for name, array in iterate_tensors(message)] == [("x", [1]), ("x", [2])]
    with pytest.raises(PayloadError, match="tensor 'x' is there twice"):
        decode_tensors(message)


def test_a_scalar_has_the_empty_shape() -> None:
    message = encode_request({"x": np.array(7)}, model_name="m", request_id="1")
    assert list(message.tensors[0].shape) == []
    assert decode_tensors(message)["x"].item() == 7


@pytest.mark.parametrize("kind", [InferRequest, InferResponse])
@pytest.mark.parametrize(
    "value", [b"", b"\x00" * 5, b"hello world", b"model 'a' raised", b'{"inputs": []}', b"\xff\xfe"]
)
def test_a_text_or_json_record_is_not_a_message(kind: type[InferRequest], value: bytes) -> None:
    with pytest.raises(PayloadError, match=f"expected a protobuf {kind.__name__}, got {len(value)} bytes"):
        read_message(kind, value)


def test_a_message_without_tensors_is_one() -> None:
    sent = InferResponse(model_name="m", id="1")
    assert read_message(InferResponse, sent.SerializeToString()) == sent


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
def test_no_text_is_taken_for_tensors_that_decode(text: str) -> None:
    try:
        message = read_message(InferResponse, text.encode())
    except PayloadError as error:
        assert "expected a protobuf InferResponse" in str(error)
    else:
        assert not message.tensors or message.tensors[0].datatype not in DATATYPES
