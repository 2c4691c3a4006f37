"""Rules of waking readers of the same process."""

import threading
import time

from dfml.log.sqlite.wake import Wake

LONG_S = 30.0


def test_a_waiter_is_woken_by_a_unit() -> None:
    wake = Wake()
    timer = threading.Timer(0.05, wake.notify)
    begun_s = time.monotonic()
    timer.start()
    wake.wait(0, LONG_S)
    timer.join()
    assert wake.n_units == 1
    assert time.monotonic() - begun_s < LONG_S


def test_a_unit_that_came_before_the_wait_is_not_waited_for() -> None:
    wake = Wake()
    wake.notify()
    begun_s = time.monotonic()
    wake.wait(0, LONG_S)
    assert time.monotonic() - begun_s < LONG_S


def test_a_wait_ends_without_a_unit() -> None:
    wake = Wake()
    wake.wait(0, 0.001)
    assert wake.n_units == 0
