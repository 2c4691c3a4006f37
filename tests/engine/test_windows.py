"""The windows of a task: due in order of time, forgotten when their rule ends."""

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dfml_engine.windows import SLACK, Windows


def gathering(close_ms: int, window_ms: int = 0) -> Any:
    return SimpleNamespace(close_ms=close_ms, window=0, rule=SimpleNamespace(window_ms=window_ms))


def opened(windows: Windows, close_ms: int, window_ms: int = 0) -> Any:
    made = gathering(close_ms, window_ms)
    windows.open(SimpleNamespace(), made)
    return made


def due(windows: Windows, now_ms: int) -> list[int]:
    return [made.close_ms for _, made in windows.due(now_ms)]


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=40), st.integers(0, 60))
def test_open_windows_are_due_in_order_and_ended_ones_never(plan: list[tuple[int, bool]], now_ms: int) -> None:
    windows = Windows()
    made = [(opened(windows, close_ms), ends) for close_ms, ends in plan]
    for each, ends in made:
        if ends:
            windows.end(each)
    left = sorted(close_ms for close_ms, ends in plan if not ends)
    assert due(windows, now_ms) == [close_ms for close_ms in left if close_ms <= now_ms]
    assert windows.next_close_ms() == next((close_ms for close_ms in left if close_ms > now_ms), None)


def test_a_window_that_was_never_opened_ends_without_a_word() -> None:
    windows = Windows()
    windows.end(gathering(5))
    assert len(windows) == 0


def test_ended_windows_do_not_pile_up_until_they_would_have_closed() -> None:
    windows = Windows()
    stays = opened(windows, 60_000)
    for _ in range(10 * SLACK):
        windows.end(opened(windows, 50_000))
    assert len(windows) == 1
    assert len(windows._heap) <= 2 + SLACK + 1
    assert due(windows, 60_000) == [stays.close_ms]


def test_when_the_clock_was_set_back_only_windows_from_before_close_as_much_earlier() -> None:
    windows = Windows()
    opened(windows, 9_100, 100)
    assert due(windows, 9_050) == []
    opened(windows, 1_100, 100)
    assert due(windows, 1_010) == []
    assert due(windows, 1_060) == [1_060]
    assert due(windows, 1_100) == [1_100]
