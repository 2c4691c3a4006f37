import os
import signal
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from dfml.errors import NotFoundError
from dfml.lineage.lookup import request_entries
from dfml.lineage.store import LineageStore

REQUESTS = ("while it was dead", "when it was back")


def tapped(path: Path) -> list[int]:
    """Return how many records of each request are in the store, if there is one yet."""
    with suppress(NotFoundError), closing(LineageStore(path, read_only=True)) as store:
        return [len(request_entries(store, request)) for request in REQUESTS]
    return []


async def test_a_tap_that_dies_is_started_again_and_misses_nothing(stack: Callable, texts: Any, wait: Callable):
    async with stack(tap=True) as calls:
        calls.load(texts.model("m", "add1"), texts.pipeline("p", "{steps: [{name: m}], output: {steps: [m]}}"))
        first = calls.stack.tap.pid
        os.kill(first, signal.SIGKILL)
        await calls.ask("p", {"X": [1]}, REQUESTS[0])
        await wait(lambda: calls.stack.tap.pid not in {0, first})
        await calls.ask("p", {"X": [1]}, REQUESTS[1])
        path = calls.stack.settings.lineage_path
        found = await wait(lambda: (found := tapped(path)) and all(n >= 4 for n in found) and found, timeout_s=30)
        assert found == [4, 4]
