import pytest

from dfml.spec.findings import nearest

FEW = ["amounts", "witnesses", "classifier"]


@pytest.mark.parametrize(("got", "meant"), [("amuonts", "amounts"), ("Witnesses", "witnesses"), ("tax", None)])
def test_the_word_that_was_meant_is_found(got: str, meant: str | None):
    assert nearest(got, FEW) == meant


@pytest.mark.parametrize(("got", "meant"), [("amuonts", "amounts"), ("Witnesses", "witnesses")])
def test_it_is_found_among_thousands_too(got: str, meant: str):
    assert nearest(got, [*FEW, *(f"p{number}" for number in range(5_000))]) == meant
