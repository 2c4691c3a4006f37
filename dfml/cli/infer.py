"""``infer``: requests to a pipeline through the REST gateway, one or a file of them."""

import asyncio
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from dfml.cli.gateway import Reply, UrlOption, call, open_client, pipeline_url, print_answer
from dfml.cli.output import FAILED, OK, Output, OutputOption, print_json, print_table, progress, say
from dfml.cli.target import LogOption, find_target
from dfml.errors import BadInputError


@dataclass(frozen=True, slots=True)
class Calls:
    """Which pipeline requests go to, where that is, and with which headers."""

    pipeline: str
    url: str
    headers: dict[str, str]


def infer(
    ctx: typer.Context,
    pipeline: Annotated[str, typer.Argument(help="The pipeline's name.")],
    body: Annotated[
        str | None, typer.Argument(metavar="JSON", help="An Open Inference request; - reads stdin.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="A request a line; the answers come a line each, in order.")] = None,
    asynchronous: Annotated[
        bool, typer.Option("--async", help="Do not wait for the answer; 'dfml answer PIPELINE ID' gives it later.")
    ] = False,
    request_id: Annotated[str | None, typer.Option(help="The request's id; one is drawn without it.")] = None,
    timeout_ms: Annotated[int | None, typer.Option(min=1, help="How long to wait for an answer.")] = None,
    clients: Annotated[int, typer.Option(min=1, max=256, help="Requests of the file on their way at once.")] = 8,
    url: UrlOption = None,
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
    base = url or find_target(ctx, log).rest_url
    options = {"x-request-id": request_id, "x-request-timeout-ms": timeout_ms and str(timeout_ms)}
    headers = {"content-type": "application/json"} | {name: value for name, value in options.items() if value}
    if asynchronous:
        headers["prefer"] = "respond-async"
    calls = Calls(pipeline, pipeline_url(base, pipeline, "infer"), headers)
    if file is not None:
        with progress() as bars, _lines(file) as lines:
            n_failed = asyncio.run(_send_lines(calls, lines, clients, bars))
        raise typer.Exit(FAILED if n_failed else OK)
    text = sys.stdin.read() if body == "-" else body or ""
    reply = asyncio.run(_send_one(calls, text.encode()))
    reply.require()
    if reply.pending:
        _print_promise(reply, pipeline, output)
    else:
        print_answer(reply, output)


def _print_promise(reply: Reply, pipeline: str, output: Output) -> None:
    request_id = reply.document["id"]
    if output is Output.JSON:
        print_json(reply.document)
    else:
        print_table(("request", "status"), [(request_id, "accepted")])
    say(f"its answer: dfml answer {pipeline} {request_id} --wait 10")


@contextmanager
def _lines(file: Path) -> Iterator[list[bytes]]:
    """Give the file's lines, blank ones included, so that numbers agree with an editor's."""
    try:
        yield (sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()).splitlines()
    except OSError as error:
        msg = f"--file {file}: it cannot be read: {error.strerror}"
        raise BadInputError(msg) from error


async def _send_one(calls: Calls, body: bytes) -> Reply:
    with open_client(calls.url) as client:
        async with client:
            return await call(client, "POST", calls.url, calls.headers, body)


async def _send_lines(calls: Calls, lines: list[bytes], clients: int, bars: Any) -> int:
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
        said = reply.document if reply.accepted else {**reply.document, "status": reply.status, "line": number}
        typer.echo(orjson.dumps(said))
        bars.advance(bar)
        return 0 if reply.accepted else 1

    with open_client(calls.url, clients) as client:
        async with client, asyncio.TaskGroup() as group:
            for number, line in numbered:
                sent = call(client, "POST", calls.url, calls.headers, line)
                waiting.append((number, group.create_task(sent)))
                if len(waiting) >= clients:
                    n_failed += await print_next()
            while waiting:
                n_failed += await print_next()
    n_taken, promised = len(numbered) - n_failed, "prefer" in calls.headers
    took = f"{n_failed} failed in {time.perf_counter() - started_s:.2f} s"
    say(f"{n_taken} {'accepted' if promised else 'answered'}, {took}")
    if promised and n_taken:
        say(f"an answer: dfml answer {calls.pipeline} ID")
    return n_failed
