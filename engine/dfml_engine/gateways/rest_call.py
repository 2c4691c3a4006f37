"""What a REST call says beside its payload, and its body, read no further than the limit."""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.types import Message, Receive, Send

from dfml.errors import BadInputError, PayloadTooLargeError
from dfml.headers import REQUEST, TRACEPARENT, VERSION
from dfml.inference.rest_binary import JSON_LENGTH_HEADER
from dfml.record import Headers

TIMEOUT_HEADER = "x-request-timeout-ms"
MAX_TIMEOUT_MS = 86_400_000
"""A day: a longer wait is a mistake in the unit, and asynchronous use is there for it."""
MAX_REQUEST_ID = 256
MAX_PASSED_ON_BYTES = 16_384
"""The caller's headers travel on every record of the request, so they are kept to what other servers allow."""
RETRY_AFTER_SECONDS = b"1"
DRAIN_SECONDS = 5.0
"""How long a refused body is thrown away before the connection closes: closing on unread data resets it, and the caller
would lose the refusal."""

# No comma: the header that names a batch's members separates them by it. No control characters: it is a header's value.
_REQUEST_ID = re.compile(r"[!-+\--~]([ -+\--~]*[!-+\--~])?")
_JSON_LENGTH = JSON_LENGTH_HEADER.lower().encode()
_NOT_PASSED_ON = frozenset({REQUEST.encode(), VERSION.encode(), TIMEOUT_HEADER.encode()})
_READ = frozenset({b"prefer", b"content-length", b"content-encoding", b"seldon-model", _JSON_LENGTH})


@dataclass(frozen=True, slots=True)
class CallHeaders:
    """The headers of one call, checked. ``None`` and ``""`` are for what the caller did not say."""

    passed_on: Headers = ()
    request_id: str | None = None
    timeout_ms: int | None = None
    respond_async: bool = False
    routed_to: str = ""
    json_bytes: int | None = None
    body_bytes: int | None = None


def read_headers(headers: Iterable[tuple[bytes, bytes]]) -> CallHeaders:
    """Return what a call's headers say; names are lower case, as ASGI has them.

    Raises
    ------
    BadInputError
        If the request id, the timeout or a length is not usable, the body is compressed, or the caller's own headers
        are too large to be passed on.
    """
    found: dict[bytes, bytes] = {}
    passed_on: list[tuple[str, bytes]] = []
    for name, value in headers:
        if name.startswith(b"x-"):
            if name in _NOT_PASSED_ON:
                found[name] = value
            else:
                passed_on.append((name.decode("latin-1"), value))
        elif name in _READ:
            found[name] = value
        elif name == b"traceparent":
            passed_on.append((TRACEPARENT, value))
    if passed_on:
        _refuse_large(tuple(passed_on))
    return _make_headers(found, tuple(passed_on)) if found else CallHeaders(tuple(passed_on))


def _make_headers(found: dict[bytes, bytes], passed_on: Headers) -> CallHeaders:
    encoding = found.get(b"content-encoding", b"identity")
    if encoding != b"identity":
        msg = f"content-encoding {encoding.decode('latin-1')!r} is not understood; send the body as it is"
        raise BadInputError(msg)
    json_bytes = found.get(_JSON_LENGTH)
    request_id = found.get(b"x-request-id")
    timeout, length = found.get(b"x-request-timeout-ms"), found.get(b"content-length")
    return CallHeaders(
        passed_on=passed_on,
        request_id=check_request_id(request_id.decode("latin-1"), "header x-request-id") if request_id else None,
        timeout_ms=None if timeout is None else _whole(timeout, TIMEOUT_HEADER, 1, MAX_TIMEOUT_MS),
        respond_async=_prefers_async(found.get(b"prefer", b"")),
        routed_to=found.get(b"seldon-model", b"").decode("latin-1"),
        json_bytes=None if json_bytes is None else _whole(json_bytes, JSON_LENGTH_HEADER, 0, 2**63),
        body_bytes=None if length is None else _whole(length, "content-length", 0, 2**63),
    )


def _refuse_large(passed_on: Headers) -> None:
    size = sum(len(name) + len(value) for name, value in passed_on)
    if size > MAX_PASSED_ON_BYTES:
        msg = f"x-* headers are {size} bytes, expected at most {MAX_PASSED_ON_BYTES}: they travel with every record"
        raise BadInputError(msg)


def _prefers_async(value: bytes) -> bool:
    return any(preference.strip().lower() == b"respond-async" for preference in value.split(b","))


def _whole(value: bytes, name: str, low: int, high: int) -> int:
    if value.isdigit() and len(value) < 20 and low <= int(value) <= high:
        return int(value)
    msg = f"header {name}: got {value[:40].decode('latin-1')!r}, expected a whole number from {low} to {high}"
    raise BadInputError(msg)


def check_request_id(request_id: str, where: str) -> str:
    """Return the request id if it can be a record's key, a header's value and a part of a path.

    Raises
    ------
    BadInputError
        If it is too long or has characters other than printable ASCII without comma.
    """
    if len(request_id) <= MAX_REQUEST_ID and _REQUEST_ID.fullmatch(request_id):
        return request_id
    msg = f"{where}: got {request_id[:80]!r}, expected 1 to {MAX_REQUEST_ID} printable ASCII characters without comma"
    raise BadInputError(msg)


async def read_body(receive: Receive, announced_bytes: int, limit_bytes: int) -> bytes | None:
    """Return the body, or None when the caller went away before its end.

    Raises
    ------
    PayloadTooLargeError
        As soon as it is announced to be, or is, larger than the limit. No more than the limit is held.
    """
    if announced_bytes > limit_bytes:
        msg = f"body is {announced_bytes} bytes, expected at most {limit_bytes} (setting max_request_bytes)"
        raise PayloadTooLargeError(msg)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        return _within(message, limit_bytes, 0)
    chunks: list[bytes] = []
    held_bytes = 0
    while message["type"] == "http.request":
        chunks.append(_within(message, limit_bytes, held_bytes))
        held_bytes += len(chunks[-1])
        if not message.get("more_body"):
            return b"".join(chunks)
        message = await receive()
    return None


def _within(message: Message, limit_bytes: int, held_bytes: int) -> bytes:
    chunk: bytes = message.get("body", b"")
    if held_bytes + len(chunk) > limit_bytes:
        msg = f"body is over {limit_bytes} bytes, the limit (setting max_request_bytes)"
        raise PayloadTooLargeError(msg)
    return chunk


async def refuse_body(receive: Receive, send: Send, status: int, body: bytes) -> None:
    """Answer 413 or 503 at once, then throw away what the caller still sends, for a while, and close the connection."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    if status == 503:
        headers.append((b"retry-after", RETRY_AFTER_SECONDS))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                pass
    except TimeoutError:
        pass  # The caller sends on regardless; the connection closes on it.
    await send({"type": "http.response.body", "body": b""})
