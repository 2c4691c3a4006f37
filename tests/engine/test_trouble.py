"""What is said of trouble that lasts."""

import logging

import pytest

from dfml_engine.trouble import Trouble


def test_trouble_is_told_when_it_begins_at_growing_intervals_and_when_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now_s = 0
    trouble = Trouble(logging.getLogger("t"), "no log", lambda: float(now_s))
    for now_s in range(100):  # noqa: B007 - the clock is the lambda's
        trouble.begin("away")
    assert trouble.reason == "away"
    trouble.end()
    trouble.end()
    assert [record.getMessage() for record in caplog.records] == [
        "no log for 0 s: away",
        "no log for 10 s: away",
        "no log for 30 s: away",
        "no log for 70 s: away",
        "no log: over after 99 s",
    ]


def test_trouble_that_comes_again_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    trouble = Trouble(logging.getLogger("t"), "no log")
    for _ in range(2):
        trouble.begin("away")
        trouble.end()
    assert len(caplog.records) == 4
