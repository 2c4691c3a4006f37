"""Talking to the REST gateway: one client, its answers, and its statuses as our errors."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from dfml.cli.output import Output, print_json, print_table, say
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

UrlOption = Annotated[str | None, typer.Option(help="The gateway.", show_default="that of the running stack")]
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
class Reply:
    """What came back: the status and the JSON document."""

    status: int
    document: dict[str, Any]

    @property
    def accepted(self) -> bool:
        """Whether it is an answer, or the promise of one."""
        return self.status in {200, 202}

    @property
    def pending(self) -> bool:
        """Whether it is the promise of an answer."""
        return self.status == 202

    def require(self) -> None:
        """Raise the error that it tells of, if it does."""
        if not self.accepted:
            raise ERRORS.get(self.status, ModelError)(str(self.document.get("error", self.document)))


def pipeline_url(base: str, pipeline: str, *rest: str) -> str:
    """Return the address of something of a pipeline: ``infer``, or ``requests`` and an id."""
    return "/".join((base.rstrip("/"), "v2/pipelines", *(quote(part, safe="") for part in (pipeline, *rest))))


@contextmanager
def open_client(url: str, n_connections: int = 1) -> Iterator["httpx.AsyncClient"]:
    """Give a client that is bound to no event loop yet; what goes wrong on the way is told as our errors.

    Raises
    ------
    NotFoundError
        If no gateway answers at ``url``.
    BadInputError
        If it is no URL.
    """
    import httpx

    limits = httpx.Limits(max_connections=n_connections, max_keepalive_connections=n_connections)
    try:
        yield httpx.AsyncClient(timeout=httpx.Timeout(PATIENCE_S, connect=CONNECT_S), limits=limits, trust_env=False)
    except httpx.HTTPError as error:
        why = str(error) or type(error).__name__
        msg = f"no gateway answers at {url}: {why}; start a stack with 'dfml up', or say where it is with --url"
        raise NotFoundError(msg) from error
    except httpx.InvalidURL as error:
        msg = f"--url: {error}"
        raise BadInputError(msg) from error


async def call(
    client: "httpx.AsyncClient", method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
) -> Reply:
    """Make one call; an answer that is no JSON object counts as an error."""
    import orjson

    response = await client.request(method, url, content=body, headers=headers)
    try:
        document = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        document = {"error": f"no JSON came back, but {response.text[:200]!r}"}
        return Reply(response.status_code if response.is_error else 502, document)
    return Reply(response.status_code, document)


def print_answer(reply: Reply, output: Output) -> None:
    """Print an answer's tensors; as JSON the gateway's own document."""
    if output is Output.JSON:
        print_json(reply.document)
        return
    rows = [
        (each["name"], each["datatype"], each["shape"], _shorten(each["data"])) for each in reply.document["outputs"]
    ]
    print_table(("tensor", "datatype", "shape", "data"), rows)
    say(f"request {reply.document.get('id', '')}")


def _shorten(data: list[object]) -> str:
    shown = ", ".join(str(element) for element in data[:SHOWN_ELEMENTS])
    return f"[{shown}]" if len(data) <= SHOWN_ELEMENTS else f"[{shown}, … {len(data) - SHOWN_ELEMENTS} more]"
