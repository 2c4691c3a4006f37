"""``infer``: requests to a pipeline through the REST gateway, one or a file of them."""

import asyncio
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from dfml.cli.output import FAILED, OK, Output, OutputOption, print_json, print_table, progress, say
from dfml.cli.target import LogOption, find_target
from dfml.errors import (
    BadInputError,
    ConflictError,
    DeadlineError,
    DfmlError,
    ModelError,
    NotFoundError,
    OverloadedError,
    PayloadError,
    PayloadTooLargeError,
)

if TYPE_CHECKING:
    import httpx

ERRORS: dict[int, type[DfmlError]] = {
    400: PayloadError,
    404: NotFoundError,
    408: DeadlineError,
    409: ConflictError,
    413: PayloadTooLargeError,
    503: OverloadedError,
    504: DeadlineError,
}
"""What a status of the gateway means; every other one is a failure of the model."""
PATIENCE_S = 86_400.0
"""Deadlines are the gateway's: it answers 504 and says what was missing, which is better than giving up here."""
CONNECT_S = 5.0
SHOWN_ELEMENTS = 16
"""Elements of a tensor in a table; JSON has them all."""


@dataclass(frozen=True, slots=True)
class Call:
    """Where requests go and with which headers."""

    url: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the status and the JSON document."""

    status: int
    document: dict[str, Any]
    location: str = ""

    @property
    def answered(self) -> bool:
        """Whether it is an answer, or the promise of one."""
        return self.status in {200, 202}


def infer(
    ctx: typer.Context,
    pipeline: Annotated[str, typer.Argument(help="The pipeline's name.")],
    body: Annotated[
        str | None, typer.Argument(metavar="[JSON]", help="An Open Inference request; - reads stdin.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="A request a line; the answers come a line each, in order.")] = None,
    asynchronous: Annotated[
        bool, typer.Option("--async", help="Do not wait for the answer; 'dfml trace ID' shows it later.")
    ] = False,
    request_id: Annotated[str | None, typer.Option(help="The request's id; one is drawn without it.")] = None,
    timeout_ms: Annotated[int | None, typer.Option(min=1, help="How long to wait for an answer.")] = None,
    clients: Annotated[int, typer.Option(min=1, max=256, help="Requests of the file on their way at once.")] = 8,
    url: Annotated[str | None, typer.Option(help="The gateway.", show_default="that of the running stack")] = None,
    log: LogOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Send a request to a pipeline and print its answer.

    With `--file` each line of the output is the answer to that line of the file, or
    `{"error", "status", "line"}`; the exit code is 1 when any failed.

    Example: `dfml infer claims '{"inputs":[{"name":"amount","shape":[1],"datatype":"FP64","data":[100]}]}'`
    """
    if (body is None) == (file is None):
        msg = "give one of a JSON request and --file F.jsonl"
        raise BadInputError(msg)
    if file is not None and request_id is not None:
        msg = '--request-id names one request; in a file each line gives its own "id"'
        raise BadInputError(msg)
    base = (url or find_target(ctx, log).rest_url).rstrip("/")
    options = {"x-request-id": request_id, "x-request-timeout-ms": timeout_ms and str(timeout_ms)}
    headers = {"content-type": "application/json"} | {name: value for name, value in options.items() if value}
    if asynchronous:
        headers["prefer"] = "respond-async"
    call = Call(f"{base}/v2/pipelines/{quote(pipeline, safe='')}/infer", headers)
    if file is not None:
        with progress() as bars, _lines(file) as lines:
            n_failed = asyncio.run(_send_lines(call, lines, clients, bars))
        raise typer.Exit(FAILED if n_failed else OK)
    text = sys.stdin.read() if body == "-" else body or ""
    reply = asyncio.run(_send_one(call, text.encode()))
    if not reply.answered:
        raise ERRORS.get(reply.status, ModelError)(str(reply.document.get("error", reply.document)))
    _print_reply(reply, output)


def _print_reply(reply: Reply, output: Output) -> None:
    if output is Output.JSON:
        print_json(reply.document)
    elif reply.status == 202:
        print_table(("request", "status", "answer will be at"), [(reply.document["id"], "accepted", reply.location)])
    else:
        rows = [
            (each["name"], each["datatype"], each["shape"], _shorten(each["data"]))
            for each in reply.document["outputs"]
        ]
        print_table(("tensor", "datatype", "shape", "data"), rows)
        say(f"request {reply.document.get('id', '')}")


def _shorten(data: list[object]) -> str:
    shown = ", ".join(str(element) for element in data[:SHOWN_ELEMENTS])
    return f"[{shown}]" if len(data) <= SHOWN_ELEMENTS else f"[{shown}, … {len(data) - SHOWN_ELEMENTS} more]"


@contextmanager
def _lines(file: Path) -> Iterator[list[bytes]]:
    """Give the file's lines, blank ones included, so that numbers agree with an editor's."""
    try:
        yield (sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()).splitlines()
    except OSError as error:
        msg = f"--file {file}: it cannot be read: {error.strerror}"
        raise BadInputError(msg) from error


@contextmanager
def _mapped(call: Call) -> Iterator[None]:
    import httpx

    try:
        yield
    except httpx.HTTPError as error:
        why = str(error) or type(error).__name__
        msg = f"no gateway answers at {call.url}: {why}; start a stack with 'dfml up', or say where it is with --url"
        raise NotFoundError(msg) from error
    except httpx.InvalidURL as error:
        msg = f"--url: {error}"
        raise BadInputError(msg) from error


def _client(n_connections: int) -> "httpx.AsyncClient":
    import httpx

    limits = httpx.Limits(max_connections=n_connections, max_keepalive_connections=n_connections)
    return httpx.AsyncClient(timeout=httpx.Timeout(PATIENCE_S, connect=CONNECT_S), limits=limits, trust_env=False)


async def _post(client: "httpx.AsyncClient", call: Call, body: bytes) -> Reply:
    import orjson

    response = await client.post(call.url, content=body, headers=call.headers)
    try:
        document = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        document = {"error": f"no JSON came back, but {response.text[:200]!r}"}
        return Reply(response.status_code if response.is_error else 502, document)
    return Reply(response.status_code, document, response.headers.get("location", ""))


async def _send_one(call: Call, body: bytes) -> Reply:
    with _mapped(call):
        async with _client(1) as client:
            return await _post(client, call, body)


async def _send_lines(call: Call, lines: list[bytes], clients: int, bars: Any) -> int:
    """Send the lines, a bounded number at once, print the answers in order and return how many failed."""
    import orjson

    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    bar = bars.add_task("requests", total=len(numbered))
    started_s = time.perf_counter()
    n_failed = 0
    waiting: deque[tuple[int, asyncio.Task[Reply]]] = deque()

    async def print_next() -> int:
        number, task = waiting.popleft()
        reply = await task
        said = reply.document if reply.answered else {**reply.document, "status": reply.status, "line": number}
        typer.echo(orjson.dumps(said))
        bars.advance(bar)
        return 0 if reply.answered else 1

    with _mapped(call):
        async with _client(clients) as client, asyncio.TaskGroup() as group:
            for number, line in numbered:
                waiting.append((number, group.create_task(_post(client, call, line))))
                if len(waiting) >= clients:
                    n_failed += await print_next()
            while waiting:
                n_failed += await print_next()
    n_answered = len(numbered) - n_failed
    say(f"{n_answered} answered, {n_failed} failed in {time.perf_counter() - started_s:.2f} s")
    return n_failed
