import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfml_engine.held import HeldOffsets


def test_nothing_held_commits_the_next_offset():
    held = HeldOffsets()
    held.next_offset = 7
    assert held.committable == 7


def test_the_oldest_held_offset_is_committable():
    held = HeldOffsets()
    held.hold(3)
    held.hold(5)
    held.next_offset = 6
    held.release(5)
    assert held.committable == 3
    held.release(3)
    assert held.committable == 6


def test_an_offset_is_needed_until_released_as_often_as_held():
    held = HeldOffsets()
    held.hold(1)
    held.hold(1)
    held.next_offset = 2
    held.release(1)
    assert held.committable == 1
    held.release(1)
    assert (held.committable, len(held)) == (2, 0)


def test_releasing_what_is_not_held_is_an_error():
    with pytest.raises(KeyError):
        HeldOffsets().release(4)


@given(st.data())
def test_the_committable_offset_never_passes_one_that_is_held(data: st.DataObject):
    held, open_offsets = HeldOffsets(), []
    for offset in range(data.draw(st.integers(1, 20))):
        for _ in range(data.draw(st.integers(0, 2))):
            held.hold(offset)
            open_offsets.append(offset)
        held.next_offset = offset + 1
        while open_offsets and data.draw(st.booleans()):
            held.release(open_offsets.pop(data.draw(st.integers(0, len(open_offsets) - 1))))
        assert held.committable == min(open_offsets, default=offset + 1)


def test_an_older_offset_may_be_held_after_a_newer_one():
    held = HeldOffsets()
    held.hold(6)
    held.hold(5)
    assert held.committable == 5
    held.release(5)
    assert held.committable == 6
