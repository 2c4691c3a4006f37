"""Rules of the headers' encoding."""

from hypothesis import given
from hypothesis import strategies as st

from dfml.log.sqlite.header_blob import decode_headers, encode_headers
from dfml.record import Headers


@given(st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=300))).map(tuple))
def test_decoding_undoes_encoding(headers: Headers) -> None:
    assert decode_headers(encode_headers(headers)) == headers


def test_no_headers_take_no_space() -> None:
    assert encode_headers(()) == b""


def test_values_of_256_bytes_and_more_are_kept() -> None:
    headers = (("short", b"v"), ("long", b"x" * 70_000), ("edge", b"y" * 256))
    assert decode_headers(encode_headers(headers)) == headers


def test_more_sequences_of_names_than_are_remembered_do_no_harm() -> None:
    every = [(((f"x-{number}", b"v"),)) for number in range(10_000)]
    assert [decode_headers(encode_headers(headers)) for headers in every] == every
