"""A caller at a steady pace, in a process of its own: how long each answer took, and when it came.

A thread would wait for the interpreter's lock while the loader works, and measure that.
"""

import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import httpx
import numpy as np
from numpy.typing import NDArray

BODY = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [0.0]}]}
REFUSED = 503
RETRY_S = 0.05


@dataclass(slots=True)
class Calls:
    """What a caller saw: milliseconds of each answer, when it came (monotonic seconds), the number by request id.

    A request that was refused for now (503) is sent again, and the time counts; ``refusals`` holds the reasons.
    """

    taken_ms: list[float] = field(default_factory=list)
    answered_s: list[float] = field(default_factory=list)
    answers: dict[str, float] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)

    def between(self, since_s: float, until_s: float) -> list[float]:
        """Return the milliseconds of the answers that came in that time."""
        pairs = zip(self.answered_s, self.taken_ms, strict=True)
        return [taken_ms for answered_s, taken_ms in pairs if since_s <= answered_s < until_s]


class Caller:
    """Calls a pipeline again and again, with a pause between an answer and the next call, until it is stopped."""

    def __init__(self, url: str, pipeline: str, pause_s: float) -> None:
        self._here, there = multiprocessing.Pipe()
        address = f"{url}/v2/pipelines/{pipeline}/infer"
        self._process = multiprocessing.get_context("spawn").Process(target=_call, args=(address, pause_s, there))
        self._process.start()
        there.close()  # or its end is never seen when the caller dies
        self._here.recv()

    @property
    def pid(self) -> int:
        """The process that calls."""
        assert self._process.pid is not None
        return self._process.pid

    def stop(self) -> Calls:
        """Stop calling and return what was seen.

        Raises
        ------
        EOFError
            If a call failed; the process said how.
        """
        self._here.send("stop")
        calls: Calls = self._here.recv()
        self._process.join()
        return calls


def _call(address: str, pause_s: float, parent: Connection) -> None:
    calls = Calls()
    with httpx.Client(timeout=30) as client:
        _ask(client, address, calls)  # untimed: it opens the connection
        parent.send("calling")
        while not parent.poll(pause_s):
            began = time.monotonic()
            _ask(client, address, calls)
            calls.answered_s.append(time.monotonic())
            calls.taken_ms.append((calls.answered_s[-1] - began) * 1000)
    parent.send(calls)


def _ask(client: httpx.Client, address: str, calls: Calls) -> None:
    while (said := client.post(address, json=BODY)).status_code == REFUSED:
        calls.refusals.append(said.json()["error"])
        time.sleep(RETRY_S)
    answer = said.raise_for_status().json()
    calls.answers[answer["id"]] = answer["outputs"][0]["data"][0]


def percentiles(taken_ms: Sequence[float]) -> NDArray[np.float64]:
    """Return p50 and p99, shape ``[2]``; not a number where nothing came."""
    return np.percentile(taken_ms, [50, 99]) if taken_ms else np.full(2, np.nan)


def longest_gap_ms(answered_s: Sequence[float]) -> float:
    """Return the longest time without an answer, milliseconds."""
    return float(np.diff(sorted(answered_s)).max() * 1000)
