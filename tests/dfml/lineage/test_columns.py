"""Columns say the same as decoding each tensor by itself."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dfml.inference.codec import encode_response
from dfml.inference.oip_pb2 import InferResponse
from dfml.lineage.columns import TensorColumns
from dfml.lineage.entry import Kind

DTYPES = st.sampled_from(["?", "<i1", "<i4", "<i8", "<u2", "<f2", "<f4", "<f8"])
ARRAYS = DTYPES.flatmap(
    lambda dtype: hnp.arrays(dtype, st.integers(0, 5), elements={"allow_nan": False} if "f" in dtype else None)
)


@given(st.lists(st.one_of(st.none(), ARRAYS), min_size=1, max_size=8))
def test_each_element_stands_in_its_row_and_column(arrays):
    collected = TensorColumns(Kind.STEP_OUTPUTS, len(arrays))
    for row, array in enumerate(arrays):
        if array is not None:
            message = encode_response({"t": array}, model_name="m", request_id="r")
            collected.add(row, message.SerializeToString())
    columns = list(collected.columns().values())
    for row, array in enumerate(arrays):
        expected = [] if array is None else [float(value) for value in array]
        found = [column[row] for column in columns]
        np.testing.assert_array_equal(found, expected + [np.nan] * (len(columns) - len(expected)))


def test_typed_contents_give_the_same_columns_as_raw():
    message = InferResponse()
    tensor = message.tensors.add(name="t", datatype="INT64", shape=[2])
    tensor.contents.int64_contents.extend([3, 4])
    collected = TensorColumns(Kind.STEP_OUTPUTS, 1)
    collected.add(0, message.SerializeToString())
    assert {name: column.tolist() for name, column in collected.columns().items()} == {"t[0]": [3.0], "t[1]": [4.0]}


def test_bf16_is_read_as_the_upper_half_of_a_float():
    message = encode_response(
        {"t": np.array([1.5, -2.0], "f4")}, model_name="m", request_id="r", datatypes={"t": "BF16"}
    )
    collected = TensorColumns(Kind.STEP_OUTPUTS, 1)
    collected.add(0, message.SerializeToString())
    assert [column.tolist() for column in collected.columns().values()] == [[1.5], [-2.0]]


def test_a_name_that_an_answer_holds_twice_has_two_columns():
    message = encode_response({"t": np.array([1.0])}, model_name="m", request_id="r")
    message.MergeFrom(encode_response({"t": np.array([2.0])}, model_name="m", request_id="r"))
    collected = TensorColumns(Kind.ANSWER, 1)
    collected.add(0, message.SerializeToString())
    assert {name: column.tolist() for name, column in collected.columns().items()} == {"t": [1.0], "t(2)": [2.0]}


def test_long_texts_give_their_number():
    message = encode_response({"t": np.array([b"a"] * 70, object)}, model_name="m", request_id="r")
    collected = TensorColumns(Kind.STEP_OUTPUTS, 2)
    collected.add(1, message.SerializeToString())
    np.testing.assert_array_equal(collected.columns()["t.size"], [np.nan, 70.0])
