"""Times and windows as people write them."""

import pytest

from dfml.errors import BadInputError
from dfml.lineage.windows import parse_time, parse_window

NOW_MS = 1_772_368_200_000  # 2026-03-01T12:30:00Z


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("now", NOW_MS),
        ("-5m", NOW_MS - 300_000),
        ("-1.5h", NOW_MS - 5_400_000),
        ("-250ms", NOW_MS - 250),
        (" -2d ", NOW_MS - 172_800_000),
        ("1700000000000", 1_700_000_000_000),
        ("2026-03-01T12:30:00Z", NOW_MS),
        ("2026-03-01T12:30:00", NOW_MS),
        ("2026-03-01 13:30:00+01:00", NOW_MS),
        ("2026-03-01", NOW_MS - 45_000_000),
    ],
)
def test_a_time_is_milliseconds_since_the_epoch(text, expected_ms):
    assert parse_time(text, NOW_MS) == expected_ms


@pytest.mark.parametrize("text", ["", "soon", "5m", "-5", "-5y", "2026-13-01", "²"])
def test_what_is_no_time_is_refused_with_the_forms(text):
    with pytest.raises(BadInputError, match="expected now, -5m"):
        parse_time(text, NOW_MS)


def test_a_window_is_two_times():
    assert parse_window("-5m..-1m", NOW_MS) == (NOW_MS - 300_000, NOW_MS - 60_000)
    assert parse_window("-5m..", NOW_MS) == (NOW_MS - 300_000, NOW_MS)


@pytest.mark.parametrize("text", ["-5m", "..now", ""])
def test_half_a_window_is_refused(text):
    with pytest.raises(BadInputError, match=r"expected A\.\.B"):
        parse_window(text, NOW_MS)


def test_a_window_that_ends_before_it_begins_is_refused():
    with pytest.raises(BadInputError, match="ends 60000 ms before it begins"):
        parse_window("now..-1m", NOW_MS)
