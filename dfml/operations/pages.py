"""The three pages of every process: ``/healthz`` (it lives), ``/readyz`` (it does its work), ``/metrics``.

The pipeline gateway serves them beside its REST face; every other part by :class:`PagesServer`, on a thread of its own,
so that they answer while a model keeps the event loop busy.
"""

import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import orjson

from dfml.errors import SettingsError
from dfml.operations.metrics import CONTENT_TYPE, Exposition, Sample

HEALTH, READY, METRICS = "/healthz", "/readyz", "/metrics"
PATHS = (HEALTH, READY, METRICS)
PATIENCE_S = 10.0
"""How long one who connects may take to ask: a thread waits for it."""


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    status: int
    content_type: str
    body: bytes


class Pages:
    """The pages of one process.

    Parameters
    ----------
    part : str
        What the process runs.
    problems : callable
        Returns what keeps it from its work; nothing when it is ready.
    partitions : callable
        Returns the partition numbers that it owns.
    samples : callable
        Returns the metrics.
    """

    def __init__(
        self,
        part: str,
        problems: Callable[[], Sequence[str]],
        partitions: Callable[[], Sequence[int]],
        samples: Callable[[], Iterable[Sample]],
    ) -> None:
        self._part = part
        self._problems = problems
        self._partitions = partitions
        self._samples = samples
        self._exposition = Exposition(self._all_samples)

    def answer(self, path: str) -> Page | None:
        """Return a page, or None where there is none; safe to call on any thread, and it may wait for the log."""
        match path:
            case "/healthz":
                return _json(200, {"alive": True, "part": self._part, "version": version("dfml")})
            case "/readyz":
                reasons = list(self._problems())
                told = {"ready": not reasons, "part": self._part, "partitions": list(self._partitions())}
                return _json(503 if reasons else 200, {**told, "reasons": reasons})
            case "/metrics":
                return Page(200, CONTENT_TYPE, self._exposition.render())
            case _:
                return None

    def _all_samples(self) -> Iterable[Sample]:
        yield Sample("dfml_ready", float(not self._problems()))
        yield Sample("dfml_partitions_owned", len(self._partitions()))
        yield from self._samples()


def _json(status: int, document: object) -> Page:
    return Page(status, "application/json", orjson.dumps(document))


class PagesServer:
    """Serves pages over HTTP on a thread.

    Parameters
    ----------
    pages : Pages
        What is served.
    host, port
        Where; port 0 takes a free one.

    Raises
    ------
    SettingsError
        If the address cannot be listened on.
    """

    def __init__(self, pages: Pages, host: str, port: int) -> None:
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            self._server = _server_class(family)((host, port), _handler_class(pages))
        except OSError as error:
            msg = f"metrics_host {host!r}, metrics_port {port}: cannot listen there: {error.strerror or error}"
            raise SettingsError(msg) from error
        shown = f"[{host}]" if family == socket.AF_INET6 else host
        self.url = f"http://{shown}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="pages", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _server_class(family: socket.AddressFamily) -> type[ThreadingHTTPServer]:
    return type("_Server", (ThreadingHTTPServer,), {"address_family": family, "daemon_threads": True})


def _handler_class(pages: Pages) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = PATIENCE_S

        def do_GET(self) -> None:
            page = pages.answer(self.path.partition("?")[0])
            if page is None:
                page = _json(404, {"error": f"{self.path}: there are {', '.join(PATHS)}"})
            self.send_response(page.status)
            self.send_header("content-type", page.content_type)
            self.send_header("content-length", str(len(page.body)))
            self.end_headers()
            self.wfile.write(page.body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: a probe asks every few seconds."""

    return Handler
