import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dfml.errors import PayloadError
from dfml.tensor import DATATYPES, datatype, datatype_of, from_raw, to_raw

FIXED = sorted(set(DATATYPES) - {"BYTES", "BF16"})


@pytest.mark.parametrize("name", FIXED)
@given(data=st.data())
def test_raw_bytes_give_back_the_array(name: str, data: st.DataObject) -> None:
    kind = DATATYPES[name]
    array = data.draw(hnp.arrays(kind.dtype, hnp.array_shapes(min_dims=0, min_side=0, max_dims=3)))
    raw = to_raw(array, kind, "tensor 'x'")
    assert len(raw) == array.size * kind.wire_bytes
    np.testing.assert_array_equal(from_raw(raw, kind, array.shape, "tensor 'x'"), array)


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_bytes_elements_are_length_and_content(elements: list[bytes]) -> None:
    raw = b"".join(struct.pack("<I", len(element)) + element for element in elements)
    array = from_raw(raw, DATATYPES["BYTES"], [len(elements)], "tensor 'x'")
    assert array.tolist() == elements
    assert to_raw(array, DATATYPES["BYTES"], "tensor 'x'") == raw


@given(st.floats(width=32, allow_nan=False))
def test_bf16_rounds_to_the_nearest(value: float) -> None:
    kind = DATATYPES["BF16"]
    raw = to_raw(np.array([value], dtype=np.float32), kind, "tensor 'x'")
    back = float(from_raw(raw, kind, [1], "tensor 'x'")[0])
    assert len(raw) == 2
    assert back == value or abs(back - value) <= max(abs(value) * 2**-8, 2**-133) or np.isinf(back)


@pytest.mark.parametrize(
    ("value", "raw"),
    [
        (1.0, "803f"),
        (-2.0, "00c0"),
        (1.00390625, "803f"),
        (1.01171875, "823f"),
        (float("inf"), "807f"),
        (3.4e38, "807f"),
    ],
)
def test_bf16_has_the_upper_half_of_a_float32_ties_to_even(value: float, raw: str) -> None:
    assert to_raw(np.array([value], dtype=np.float32), DATATYPES["BF16"], "tensor 'x'").hex() == raw


def test_bf16_nan_stays_nan() -> None:
    worst = np.array([0x7FFFFFFF, 0x7F800001], dtype="<u4").view("<f4")
    raw = to_raw(worst, DATATYPES["BF16"], "tensor 'x'")
    assert np.isnan(from_raw(raw, DATATYPES["BF16"], [2], "tensor 'x'")).all()


def test_fp16_raw_is_two_bytes_an_element() -> None:
    assert to_raw(np.array([1.0], dtype=np.float16), DATATYPES["FP16"], "tensor 'x'") == b"\x00\x3c"


def test_an_array_from_raw_shares_the_memory_and_cannot_be_written() -> None:
    array = from_raw(bytes(8), DATATYPES["FP32"], [2], "tensor 'x'")
    assert not array.flags.owndata
    assert not array.flags.writeable


def test_a_big_endian_array_is_written_little_endian() -> None:
    array = np.array([1, 2], dtype=">i4")
    assert datatype_of(array, "tensor 'x'").name == "INT32"
    assert to_raw(array, DATATYPES["INT32"], "tensor 'x'") == b"\x01\0\0\0\x02\0\0\0"


def test_a_transposed_array_is_written_row_major() -> None:
    array = np.arange(6, dtype=np.int8).reshape(2, 3).T
    assert list(to_raw(array, DATATYPES["INT8"], "tensor 'x'")) == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize("values", [np.array(["é"]), np.array([b"\xc3\xa9"]), np.array(["é"], dtype=object)])
def test_text_is_sent_as_utf8_bytes(values: np.ndarray) -> None:
    assert datatype_of(values, "tensor 'x'").name == "BYTES"
    assert to_raw(values, DATATYPES["BYTES"], "tensor 'x'") == b"\x02\0\0\0\xc3\xa9"


@pytest.mark.parametrize(
    ("raw", "name", "shape", "text"),
    [
        (bytes(20), "FP32", [2, 3], r"tensor 'x': shape \[2,3\] needs 6 elements, got 5$"),
        (bytes(28), "FP32", [2, 3], r"tensor 'x': shape \[2,3\] needs 6 elements, got 7$"),
        (bytes(23), "FP32", [2, 3], r"tensor 'x': shape \[2,3\] of FP32 needs 24 bytes, got 23$"),
        (bytes(4), "FP32", [-1], r"tensor 'x': shape \[-1\] has a negative dimension"),
        (b"", "FP32", [1] * 65, "tensor 'x': shape has 65 dimensions, expected at most 64"),
        (b"", "FP32", [2**62, 2**62, 0], "tensor 'x': shape .* cannot be held"),
        (b"", "FP32", [2**62, 2**62], f"needs {2**124} elements, got 0"),
        (b"\x02", "BOOL", [1], "tensor 'x': a BOOL byte is neither 0 nor 1"),
        (b"\x05\0\0\0abcd", "BYTES", [1], "tensor 'x': BYTES element 0 is cut short: needs 9 bytes up to here, got 8"),
        (b"\x00\0\0\0\x01\0", "BYTES", [1], "tensor 'x': BYTES element 1 is cut short"),
        (b"\x00\0\0\0", "BYTES", [2], r"tensor 'x': shape \[2\] needs 2 elements, got 1$"),
    ],
)
def test_raw_bytes_that_do_not_fit_are_refused(raw: bytes, name: str, shape: list[int], text: str) -> None:
    with pytest.raises(PayloadError, match=text):
        from_raw(raw, DATATYPES[name], shape, "tensor 'x'")


@pytest.mark.parametrize(
    ("name", "meant"), [("FP23", "FP32"), ("fp32", "FP32"), ("float64", "FP64"), ("STRING", "BYTES"), ("INT", "INT64")]
)
def test_an_unknown_datatype_names_the_one_meant(name: str, meant: str) -> None:
    with pytest.raises(PayloadError, match=rf"tensor 'x': unknown datatype '{name}', .*; did you mean {meant}\?"):
        datatype(name, "tensor 'x'")


def test_an_array_without_datatype_is_refused() -> None:
    with pytest.raises(PayloadError, match="tensor 'x': numpy dtype complex128 has no Open Inference datatype"):
        datatype_of(np.array([1j]), "tensor 'x'")


def test_an_array_of_another_dtype_is_not_converted_silently() -> None:
    with pytest.raises(PayloadError, match="tensor 'x': datatype INT8 holds int8, got an array of float64"):
        to_raw(np.array([1.5]), DATATYPES["INT8"], "tensor 'x'")


def test_a_bytes_element_of_another_type_is_refused() -> None:
    with pytest.raises(PayloadError, match="tensor 'x': BYTES element 1 is of type int, expected bytes or str"):
        to_raw(np.array([b"a", 1], dtype=object), DATATYPES["BYTES"], "tensor 'x'")
