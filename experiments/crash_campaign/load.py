"""Callers that keep asking: each sends its request again under the same id until it is answered."""

import threading
import time
from itertools import count

import httpx

from experiments.crash_campaign.pipelines import NAMES, expected

RETRY_S = 0.1
TIMEOUT_S = 40.0


class Load:
    """Callers in threads.

    Attributes
    ----------
    answered : dict of str to float
        When each request was answered, by id, on the monotonic clock.
    wrong : list of str
        Requests whose answer was not the expected one, with what came.
    """

    def __init__(self, port: int, n_callers: int) -> None:
        self.answered: dict[str, float] = {}
        self.wrong: list[str] = []
        self._address = f"http://127.0.0.1:{port}/v2/pipelines"
        self._numbers = count()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(n_callers)]
        for thread in self._threads:
            thread.start()

    def _call(self) -> None:
        with httpx.Client(timeout=TIMEOUT_S) as client:
            while not self._stop.is_set():
                number = next(self._numbers)
                self._ask(client, NAMES[number % len(NAMES)], number)

    def _ask(self, client: httpx.Client, pipeline: str, number: int) -> None:
        request = f"r{number}"
        body = {"id": request, "inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [float(number)]}]}
        while True:
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
        if value != expected(pipeline, number):
            self.wrong.append(f"{pipeline} {request}: expected {expected(pipeline, number)}, got {value}")
        self.answered[request] = time.perf_counter()

    def wait_for_answer(self, timeout_s: float) -> float:
        """Return how many seconds passed until the next answer came."""
        began, n_before = time.perf_counter(), len(self.answered)
        while len(self.answered) == n_before and time.perf_counter() - began < timeout_s:
            time.sleep(0.005)
        return time.perf_counter() - began

    def stop(self) -> None:
        """Let every caller get its last answer."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
