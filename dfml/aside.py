"""Calls on threads of their own, for callers that cannot wait as long as they may take."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

_T = TypeVar("_T")


def call_aside(make: Callable[[], _T]) -> Future[_T]:
    """Call ``make`` on a thread of its own; the future brings what it returns or raises.

    The thread keeps no process from ending: a call that hangs for good may be left to itself.
    """
    future: Future[_T] = Future()
    Thread(target=_resolve, args=(future, make), daemon=True, name="aside").start()
    return future


def _resolve(future: Future[_T], make: Callable[[], _T]) -> None:
    try:
        future.set_result(make())
    except Exception as error:  # noqa: BLE001 - whoever asks for the result gets it
        future.set_exception(error)
