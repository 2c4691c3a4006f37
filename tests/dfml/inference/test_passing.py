"""A message that is passed on whole is what parsing and writing it anew gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfml.inference.codec import read_message
from dfml.inference.oip_pb2 import InferRequest, InferResponse, Tensor
from dfml.inference.passing import pass_whole
from dfml.inference.project import merge, merge_response

KINDS = [InferRequest, InferResponse]
NAME = st.text(max_size=200)


@st.composite
def messages(draw: st.DrawFn, kind: type, n_tensors: int) -> bytes:
    message = kind(model_name=draw(NAME), model_version=draw(NAME), id=draw(NAME))
    if draw(st.booleans()):
        message.parameters["p"].int64_param = draw(st.integers(0, 9))
    raw = draw(st.booleans())
    for _ in range(n_tensors):
        numbers = draw(st.lists(st.integers(0, 255), max_size=300))
        tensor = Tensor(name=draw(NAME), datatype="UINT8", shape=[len(numbers)])
        if raw:
            message.raw_contents.append(bytes(numbers))
        else:
            tensor.contents.uint_contents.extend(numbers)
        message.tensors.append(tensor)
    return bytes(message.SerializeToString())


@given(st.data(), st.sampled_from(KINDS), st.sampled_from(KINDS), NAME, NAME)
def test_a_message_of_one_tensor_is_passed_on_as_a_parser_would(data, kind, to_kind, name: str, request: str):
    value = data.draw(messages(kind, 1))
    again = merge if to_kind is InferRequest else merge_response
    expected = again([(read_message(kind, value), None)], model_name=name, request_id=request)
    passed = pass_whole(value, kind, to_kind, name.encode(), request.encode())
    assert passed is not None
    assert to_kind.FromString(passed) == expected


@given(st.data(), st.sampled_from(KINDS), st.sampled_from([0, 2]))
def test_no_tensor_and_several_take_a_parser(data, kind, n_tensors: int):
    assert pass_whole(data.draw(messages(kind, n_tensors)), kind, InferRequest, b"m", b"r") is None


def whole() -> bytes:
    tensor = Tensor(name="X", datatype="UINT8", shape=[3])
    return bytes(InferResponse(model_name="m", tensors=[tensor], raw_contents=[b"abc"]).SerializeToString())


RAW_AGAIN = bytes(InferResponse(raw_contents=[b"d"]).SerializeToString())
UNKNOWN_FIELD = b"\x42\x01x"


@pytest.mark.parametrize("end", range(1, len(whole())))
def test_a_message_that_was_cut_is_passed_on_only_where_it_is_still_one(end: int):
    cut = whole()[:end]
    passed = pass_whole(cut, InferResponse, InferResponse, b"m", b"")
    assert passed is None or InferResponse.FromString(passed) == InferResponse.FromString(cut)


@pytest.mark.parametrize("value", [whole() + RAW_AGAIN, whole() + UNKNOWN_FIELD, b"\x2a" + b"\xff" * 10, b"garbage"])
def test_what_is_no_such_message_takes_a_parser_to_say_why(value: bytes):
    assert pass_whole(value, InferResponse, InferRequest, b"m", b"r") is None
