"""How the table of workers spells what it shows."""

import pytest

from dfml.cli.workers import spell_duration, spell_numbers


@pytest.mark.parametrize(
    ("numbers", "text"), [((), ""), ((3,), "3"), ((2, 0, 1), "0-2"), ((0, 1, 2, 5, 7, 8), "0-2, 5, 7-8")]
)
def test_numbers_in_a_row_are_joined(numbers, text):
    assert spell_numbers(numbers) == text


@pytest.mark.parametrize(
    ("duration_ms", "text"), [(-5, "0 s"), (59_999, "59 s"), (60_000, "1 min"), (7_200_000, "2 h"), (90_000_000, "1 d")]
)
def test_a_duration_has_its_largest_whole_unit(duration_ms, text):
    assert spell_duration(duration_ms) == text
