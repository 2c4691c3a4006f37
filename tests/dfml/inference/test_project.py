import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfml.errors import PayloadError
from dfml.inference.codec import Message, decode_tensors, encode_request, encode_response, validate
from dfml.inference.oip_pb2 import InferRequest, InferResponse
from dfml.inference.project import merge, merge_response, want_all

Values = dict[str, list[int]]


def make(values: Values, *, raw: bool, kind: type[InferRequest] | type[InferResponse] = InferResponse) -> Message:
    if raw:
        encode = encode_request if kind is InferRequest else encode_response
        arrays = {name: np.array(numbers, dtype=np.int32) for name, numbers in values.items()}
        return encode(arrays, model_name="m", request_id="1")
    message = kind()
    for name, numbers in values.items():
        message.tensors.add(name=name, datatype="INT32", shape=[len(numbers)]).contents.int_contents.extend(numbers)
    return message


def read(message: Message) -> Values:
    validate(message)
    return {name: array.tolist() for name, array in decode_tensors(message).items()}


KINDS = [InferRequest, InferResponse]
FORMS = pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
ABC: Values = {"a": [1], "b": [2, 2], "c": [3, 3, 3]}

numbers = st.lists(st.integers(-9, 9), max_size=3)
values = st.dictionaries(st.sampled_from("abcdef"), numbers, max_size=5)
parts = st.lists(st.tuples(values, st.booleans(), st.sampled_from(KINDS)), min_size=1, max_size=4)


@given(parts, st.data())
def test_every_picked_tensor_keeps_its_own_contents(
    given_parts: list[tuple[Values, bool, type[InferRequest]]], data: st.DataObject
) -> None:
    sources, expected = [], []
    for index, (tensors, raw, kind) in enumerate(given_parts):
        names = data.draw(st.permutations(sorted(tensors)))[: data.draw(st.integers(0, len(tensors)))]
        sources.append((make(tensors, raw=raw, kind=kind), tuple((name, f"{name}{index}") for name in names)))
        expected += [(f"{name}{index}", tensors[name]) for name in names]
    for result in (
        merge(sources, model_name="n", request_id="7"),
        merge_response(sources, model_name="n", request_id="7"),
    ):
        assert list(read(type(result).FromString(result.SerializeToString())).items()) == expected


@FORMS
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dropped", sorted(ABC))
def test_dropping_a_tensor_leaves_the_others_with_their_contents(
    dropped: str, kind: type[InferRequest], raw: bool
) -> None:
    kept = {name: numbers for name, numbers in ABC.items() if name != dropped}
    source = (make(ABC, raw=raw, kind=kind), tuple((name, name) for name in kept))
    assert read(merge([source], model_name="n", request_id="7")) == kept
    assert read(merge_response([source], model_name="n", request_id="7")) == kept


@FORMS
def test_a_whole_part_passes_unchanged(raw: bool) -> None:
    source = make(ABC, raw=raw)
    result = merge([(source, None)], model_name="n", request_id="7")
    assert (result.model_name, result.id) == ("n", "7")
    assert list(result.tensors) == list(source.tensors)
    assert list(result.raw_contents) == list(source.raw_contents)


def test_tensors_stand_in_the_order_they_are_wanted() -> None:
    result = merge([(make(ABC, raw=True), (("c", "x"), ("a", "y")))], model_name="n", request_id="7")
    assert list(read(result).items()) == [("x", [3, 3, 3]), ("y", [1])]


@FORMS
def test_raw_and_typed_parts_are_joined_as_raw(raw: bool) -> None:
    sources = [(make({"a": [1, 2]}, raw=raw), None), (make({"b": [3]}, raw=not raw), None)]
    result = merge(sources, model_name="n", request_id="7")
    assert len(result.raw_contents) == 2
    assert not any(tensor.HasField("contents") for tensor in result.tensors)
    assert read(result) == {"a": [1, 2], "b": [3]}


def test_typed_contents_that_cannot_become_raw_are_refused() -> None:
    bad = make({"a": [1, 2]}, raw=False)
    bad.tensors[0].shape[0] = 3
    with pytest.raises(PayloadError, match=r"tensor 'a': shape \[3\] needs 3 elements, got 2"):
        merge([(bad, None), (make({"b": [3]}, raw=True), None)], model_name="n", request_id="7")


def test_a_part_with_too_few_raw_contents_is_refused() -> None:
    bad = make(ABC, raw=True)
    del bad.raw_contents[1]
    for wanted in (None, (("a", "a"),)):
        with pytest.raises(PayloadError, match="message has 3 tensors and 2 raw contents"):
            merge([(bad, wanted)], model_name="n", request_id="7")


def test_two_tensors_of_one_name_are_an_error_except_where_allowed() -> None:
    sources = [(make({"a": [1]}, raw=True), None), (make({"b": [2]}, raw=True), (("b", "a"),))]
    with pytest.raises(PayloadError, match="two tensors are named 'a' after joining; rename one with tensorMap"):
        merge(sources, model_name="n", request_id="7")
    result = merge_response(sources, model_name="n", request_id="7", allow_duplicates=True)
    assert [tensor.name for tensor in result.tensors] == ["a", "a"]
    assert [contents[0] for contents in result.raw_contents] == [1, 2]


def test_parameters_are_the_first_parts() -> None:
    first, second = make({"a": [1]}, raw=True), make({"b": [2]}, raw=True)
    first.parameters["k"].int64_param = 1
    second.parameters["k"].int64_param = 2
    first.tensors[0].parameters["unit"].string_param = "m"
    result = merge([(first, None), (second, None)], model_name="n", request_id="7")
    assert result.parameters["k"].int64_param == 1
    assert result.tensors[0].parameters["unit"].string_param == "m"


def test_an_absent_tensor_is_left_out() -> None:
    source = make(ABC, raw=True)
    assert read(merge([(source, (("a", "a"), ("z", "z")))], model_name="n", request_id="7")) == {"a": [1]}


def test_one_tensor_may_be_taken_under_two_names() -> None:
    source = make(ABC, raw=True)
    result = merge([(source, (("a", "x"), ("a", "y")))], model_name="n", request_id="7")
    assert read(result) == {"x": [1], "y": [1]}


def test_all_tensors_can_be_taken_with_some_renamed() -> None:
    source = make(ABC, raw=True)
    assert want_all(source, {"z": "y"}) is None
    wanted = want_all(source, {"b": "B"})
    assert wanted == (("a", "a"), ("b", "B"), ("c", "c"))
    assert read(merge([(source, wanted)], model_name="n", request_id="7")) == {"a": [1], "B": [2, 2], "c": [3, 3, 3]}


def test_the_source_is_left_as_it_was() -> None:
    source = make(ABC, raw=True)
    before = source.SerializeToString(deterministic=True)
    merge([(source, (("a", "x"),))], model_name="n", request_id="7").tensors[0].shape.append(9)
    assert source.SerializeToString(deterministic=True) == before
