import threading
from collections.abc import Iterator

import pytest

from dfml_engine.runtimes.pool import MAX_ABANDONED, CallPool

SOON_S = 5.0


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Give what the hanging calls wait for; it is opened at the end at the latest."""
    opened = threading.Event()
    yield opened
    opened.set()


def runs_a_call(pool: CallPool, within_s: float = SOON_S) -> bool:
    ran = threading.Event()
    pool.submit(ran.set)
    return ran.wait(within_s)


def hang(pool: CallPool, gate: threading.Event) -> threading.Event:
    """Occupy a thread until the gate opens; return what is set when it is free again."""
    began, done = threading.Event(), threading.Event()

    def call() -> None:
        began.set()
        gate.wait()
        done.set()

    pool.submit(call)
    assert began.wait(SOON_S)
    return done


def test_a_replaced_thread_runs_what_the_hanging_one_cannot(gate: threading.Event):
    pool = CallPool("m", 1)
    hang(pool, gate)
    pool.replace_thread()
    assert runs_a_call(pool)


def test_a_pool_that_is_stuck_starts_no_more_threads(gate: threading.Event):
    pool = CallPool("m", 1)
    for _ in range(MAX_ABANDONED):
        hang(pool, gate)
        pool.replace_thread()
    assert pool.stuck
    hang(pool, gate)
    pool.replace_thread()
    assert not runs_a_call(pool, within_s=0.05)


def test_a_pool_whose_hanging_calls_all_returned_runs_on(gate: threading.Event):
    pool = CallPool("m", 1)
    hanging = []
    for _ in range(MAX_ABANDONED + 1):
        hanging.append(hang(pool, gate))
        pool.replace_thread()
    gate.set()
    for done in hanging:
        assert done.wait(SOON_S)
        pool.retire_thread()
    assert not pool.stuck
    assert all(runs_a_call(pool) for _ in range(3))


def test_a_closed_pool_ends_its_threads():
    pool = CallPool("closed", 3)
    assert runs_a_call(pool)
    pool.close()
    for thread in [each for each in threading.enumerate() if each.name.startswith("closed-")]:
        thread.join(SOON_S)
        assert not thread.is_alive()
