"""Callers that keep asking: each sends its request again under the same id until it is answered."""

import threading
import time
from collections.abc import Collection
from itertools import count

import httpx

from experiments.crash_campaign.pipelines import NAMES, expected

RETRY_S = 0.1
TIMEOUT_S = 40.0


class Load:
    """Callers in threads.

    Attributes
    ----------
    answered_s : dict of str to float
        When each request was answered, by id, on the monotonic clock.
    wrong : list of str
        Requests whose answer was not the expected one, with what came.
    """

    def __init__(self, port: int, n_callers: int) -> None:
        self.answered_s: dict[str, float] = {}
        self.wrong: list[str] = []
        self._address = f"http://127.0.0.1:{port}/v2/pipelines"
        self._numbers = count()
        self._open: set[str] = set()
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._give_up = threading.Event()
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(n_callers)]

    def start(self) -> None:
        """Let the callers begin."""
        for thread in self._threads:
            thread.start()

    def _call(self) -> None:
        with httpx.Client(timeout=TIMEOUT_S) as client:
            while not self._stop.is_set():
                with self._changed:
                    number = next(self._numbers)
                    self._open.add(f"r{number}")
                self._ask(client, NAMES[number % len(NAMES)], number)

    def _ask(self, client: httpx.Client, pipeline: str, number: int) -> None:
        request = f"r{number}"
        body = {"id": request, "inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [float(number)]}]}
        while not self._give_up.is_set():
            try:
                answer = client.post(f"{self._address}/{pipeline}/infer", json=body)
            except httpx.HTTPError:
                time.sleep(RETRY_S)
                continue
            if answer.status_code in {503, 504, 404}:
                time.sleep(RETRY_S)
                continue
            self._note(pipeline, number, request, answer)
            return

    def _note(self, pipeline: str, number: int, request: str, answer: httpx.Response) -> None:
        value = answer.json()["outputs"][0]["data"][0] if answer.status_code == 200 else answer.text
        with self._changed:
            if value != expected(pipeline, number):
                self.wrong.append(f"{pipeline} {request}: expected {expected(pipeline, number)}, got {value}")
            self.answered_s[request] = time.monotonic()
            self._open.discard(request)
            self._changed.notify_all()

    def open(self) -> frozenset[str]:
        """Return the ids of the requests that have no answer yet."""
        with self._changed:
            return frozenset(self._open)

    def wait_for(self, requests: Collection[str], timeout_s: float) -> bool:
        """Wait until these requests are answered; return whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: self._open.isdisjoint(requests), timeout_s)

    def wait_for_answers(self, n_answers: int, timeout_s: float) -> bool:
        """Wait until so many requests more are answered; return whether they are."""
        with self._changed:
            enough = len(self.answered_s) + n_answers
            return self._changed.wait_for(lambda: len(self.answered_s) >= enough, timeout_s)

    def stop(self, timeout_s: float) -> frozenset[str]:
        """Let every caller get its last answer; return the ids of those that do not in time."""
        self._stop.set()
        self.wait_for(self.open(), timeout_s)
        left = self.open()
        self._give_up.set()
        return left
