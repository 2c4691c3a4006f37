"""Rules of the lock among processes."""

import threading
from pathlib import Path

import pytest

from dfml.log.sqlite.file_lock import FileLock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def test_a_free_lock_is_taken_at_once(path: Path) -> None:
    lock = FileLock(path)
    assert lock.acquire(0)
    lock.close()


def test_a_held_lock_is_not_taken_in_time(path: Path) -> None:
    holder, waiter = FileLock(path), FileLock(path)
    assert holder.acquire(1)
    assert not waiter.acquire(0.01)
    holder.close()
    waiter.close()


def test_a_waiter_gets_the_lock_when_it_is_released(path: Path) -> None:
    holder, waiter = FileLock(path), FileLock(path)
    assert holder.acquire(1)
    timer = threading.Timer(0.05, holder.release)
    timer.start()
    assert waiter.acquire(30)
    timer.join()
    holder.close()
    waiter.close()


def test_a_wait_that_was_given_up_does_not_keep_the_lock(path: Path) -> None:
    holder, waiter, third = FileLock(path), FileLock(path), FileLock(path)
    assert holder.acquire(1)
    assert not waiter.acquire(0.01)
    holder.release()
    assert third.acquire(30)
    third.release()
    assert waiter.acquire(30)
    for lock in (holder, waiter, third):
        lock.close()
