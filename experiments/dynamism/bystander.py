"""A caller at a steady pace, in a thread: how long each answer took, and when it came."""

import threading
import time
from collections.abc import Sequence

import httpx
import numpy as np
from numpy.typing import NDArray

BODY = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [0.0]}]}


class Caller:
    """Calls a pipeline again and again, with a pause between an answer and the next call.

    Attributes
    ----------
    taken_ms : list of float
        How long each answer took.
    answered_s : list of float
        When each came, on the monotonic clock.
    answers : dict of str to float
        The number answered to each request id.
    """

    def __init__(self, url: str, pipeline: str, pause_s: float) -> None:
        self.taken_ms: list[float] = []
        self.answered_s: list[float] = []
        self.answers: dict[str, float] = {}
        self._address = f"{url}/v2/pipelines/{pipeline}/infer"
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._call, daemon=True)
        self._thread.start()

    def _call(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self._stop.wait(self._pause_s):
                began = time.perf_counter()
                answer = client.post(self._address, json=BODY).raise_for_status().json()
                self.answered_s.append(time.perf_counter())
                self.taken_ms.append((self.answered_s[-1] - began) * 1000)
                self.answers[answer["id"]] = answer["outputs"][0]["data"][0]

    def count(self) -> int:
        """Return how many answers have come."""
        return len(self.taken_ms)

    def stop(self) -> None:
        """Stop calling; the call under way is finished.

        Raises
        ------
        RuntimeError
            If the caller had ended before, because a call failed.
        """
        alive = self._thread.is_alive()
        self._stop.set()
        self._thread.join()
        if not alive:
            msg = "a call failed: its error stands above"
            raise RuntimeError(msg)


def percentiles(taken_ms: Sequence[float]) -> NDArray[np.float64]:
    """Return p50 and p99, shape ``[2]``; not a number where nothing came."""
    return np.percentile(taken_ms, [50, 99]) if taken_ms else np.full(2, np.nan)


def longest_gap_ms(answered_s: Sequence[float]) -> float:
    """Return the longest time without an answer, milliseconds."""
    return float(np.diff(sorted(answered_s)).max() * 1000)
