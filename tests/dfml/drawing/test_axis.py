import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfml.drawing.axis import spell_ms, spell_number, spell_share, spell_ticks_ms, tick_step, ticks

FINITE = st.floats(-1e9, 1e9)


@pytest.mark.parametrize(("span", "step"), [(1.0, 0.2), (6.0, 1.0), (61.0, 20.0), (0.003, 0.0005)])
def test_the_axis_has_round_steps(span: float, step: float) -> None:
    assert tick_step(span) == pytest.approx(step)


@pytest.mark.parametrize(("time_ms", "words"), [(0, "0 ms"), (0.25, "250 µs"), (3.14159, "3.14 ms"), (2500, "2.5 s")])
def test_durations_are_spelled_in_the_unit_that_suits_them(time_ms: float, words: str) -> None:
    assert spell_ms(time_ms) == words


@given(FINITE, st.floats(1e-6, 1e9))
def test_ticks_are_few_ascending_and_inside(low: float, span: float) -> None:
    span = max(span, abs(low) * 1e-6)  # below that the numbers themselves are too coarse
    found = ticks(low, low + span)
    slack = span * 1e-3
    assert len(found) <= 8
    assert all(low - slack <= tick <= low + span + slack for tick in found)
    assert found == sorted(set(found))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "0"),
        (60000.0, "60,000"),
        (2018, "2018"),
        (1234567.0, "1.23 M"),
        (0.125, "0.125"),
        (1e-7, "1e-07"),
        (3.0, "3"),
        (-12.5, "-12.5"),
    ],
)
def test_numbers_are_spelled_short(value: float, words: str) -> None:
    assert spell_number(value) == words


@pytest.mark.parametrize(("share", "words"), [(0.0, "0 %"), (0.0004, "<0.1 %"), (0.123, "12.3 %"), (1.0, "100 %")])
def test_shares_are_spelled_as_percents(share: float, words: str) -> None:
    assert spell_share(share) == words


def test_the_ticks_of_one_axis_share_their_unit() -> None:
    assert spell_ticks_ms([0.0, 0.5, 1.0]) == ["0 ms", "0.5 ms", "1 ms"]
    assert spell_ticks_ms([0.0, 0.2]) == ["0 µs", "200 µs"]
    assert spell_ticks_ms([0.0, 1500.0]) == ["0 s", "1.5 s"]
