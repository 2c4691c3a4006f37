"""A client that costs little: one connection, prepared bytes, an answer read by its length."""

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.engine_latency.chain import PIPELINE, request_body

READ_BYTES = 65_536
HOST = "127.0.0.1"


class Connection:
    """One kept-alive connection that sends the same request again and again."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = request_body()
        head = (
            f"POST /v2/pipelines/{PIPELINE}/infer HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._request = head.encode() + body

    def ask(self) -> bytes:
        """Send the request and return the answer's body.

        Raises
        ------
        RuntimeError
            If the answer is not 200.
        """
        self._socket.sendall(self._request)
        data = self._socket.recv(READ_BYTES)
        while b"\r\n\r\n" not in data:
            data += self._socket.recv(READ_BYTES)
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += self._socket.recv(READ_BYTES)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(body.decode())
        return body

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def latencies_ms(port: int, n_requests: int, n_warm: int) -> NDArray[np.float64]:
    """Ask one after the other and return how long each took, shape ``[n_requests]``, in milliseconds."""
    connection = Connection(port)
    for _ in range(n_warm):
        connection.ask()
    taken = np.empty(n_requests)
    for number in range(n_requests):
        began = time.perf_counter_ns()
        connection.ask()
        taken[number] = (time.perf_counter_ns() - began) / 1e6
    connection.close()
    return taken


def has_wrk() -> bool:
    """Whether the program that measures throughput is installed."""
    return shutil.which("wrk") is not None


def requests_per_second(port: int, clients: int, seconds: int) -> float:
    """Keep ``clients`` connections busy with wrk and return how many requests were answered a second.

    Raises
    ------
    RuntimeError
        If an answer was not 2xx.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(f"wrk.method = 'POST'\nwrk.body = '{request_body().decode()}'\n")
        script.flush()
        url = f"http://{HOST}:{port}/v2/pipelines/{PIPELINE}/infer"
        command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "-s", str(Path(script.name)), url]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said:
        raise RuntimeError(said)
    return float(said.partition("Requests/sec:")[2].split()[0])
