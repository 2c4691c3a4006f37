"""How REST answers: JSON documents, errors with the status of their class, a pipeline's answer."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Send

from dfml.errors import (
    BadInputError,
    ConflictError,
    DeadlineError,
    DfmlError,
    LogUnavailableError,
    NotFoundError,
    OverloadedError,
    PayloadError,
    PayloadTooLargeError,
)
from dfml.inference.codec import read_message
from dfml.inference.oip_pb2 import InferResponse
from dfml.inference.rest_binary import JSON_LENGTH_HEADER, OutputForm, check_outputs, render_response
from dfml_engine.gateways.api import Answer, Pending, Submission
from dfml_engine.gateways.rest_call import RETRY_AFTER_SECONDS
from dfml_engine.routing import ROUTE_HEADER

REQUEST_ID_KEY = "dfml.request_id"
"""Where a call's scope holds its request id, for the error that may follow."""

_STATUS: tuple[tuple[type[DfmlError], int], ...] = (
    (PayloadTooLargeError, 413),
    (BadInputError, 400),
    (NotFoundError, 404),
    (ConflictError, 409),
    (DeadlineError, 504),
    (OverloadedError, 503),
    (LogUnavailableError, 503),
)


def status_of(error: DfmlError) -> int:
    """Return the HTTP status of an error; 500 for what the caller can do nothing about."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def json_response(status: int, document: object, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer; 503 asks to try again."""
    given = dict(headers or {})
    if status == 503:
        given.setdefault("retry-after", RETRY_AFTER_SECONDS.decode())
    return Response(orjson.dumps(document), status, given, "application/json")


def error_body(text: str) -> bytes:
    """Return the protocol's error document."""
    return orjson.dumps({"error": text})


async def answer_dfml_error(request: Request, error: Exception) -> Response:
    """Answer one of our errors with the status of its class."""
    status = status_of(error) if isinstance(error, DfmlError) else 500
    return json_response(status, {"error": str(error)}, _request_id_header(request))


async def answer_http_error(request: Request, error: Exception) -> Response:
    """Answer what routing found: no such path, or a method that the path does not have."""
    status, headers, detail = 500, _request_id_header(request), str(error)
    if isinstance(error, HTTPException):
        status, detail = error.status_code, error.detail
        headers |= dict(error.headers or {})
    return json_response(status, {"error": f"{request.method} {request.url.path}: {detail}"}, headers)


async def answer_unexpected(request: Request, error: Exception) -> Response:
    """Answer a failure that is our own mistake; the server logs it with its traceback."""
    text = f"internal error: {type(error).__name__}; the server's log has the details"
    return json_response(500, {"error": text}, _request_id_header(request))


def _request_id_header(request: Request) -> dict[str, str]:
    request_id = request.scope.get(REQUEST_ID_KEY)
    return {"x-request-id": request_id} if request_id else {}


async def send_answer(
    send: Send, answer: Answer, form: OutputForm, *, submission: Submission, body_id: str = ""
) -> None:
    """Send how a request ended, its outputs in the form that the caller wants.

    ``body_id`` is the id that stood in the request's body: it is the one returned in the answer's.

    Raises
    ------
    PayloadError
        If the caller asked for an output that the answer does not have.
    """
    if answer.status != 200:
        await _send(send, answer.status, error_body(answer.value.decode(errors="replace")), submission)
        return
    pipeline = submission.pipeline
    try:
        response = read_message(InferResponse, answer.value)
    except PayloadError as error:
        await _send(send, 500, error_body(f"pipeline {pipeline!r}: malformed answer: {error}"), submission)
        return
    response.id = body_id or answer.request_id
    response.model_name = response.model_name or pipeline
    check_outputs(response, form)
    try:
        body, json_bytes = render_response(response, form)
    except PayloadError as error:
        await _send(send, 500, error_body(f"pipeline {pipeline!r}: malformed answer: {error}"), submission)
        return
    await _send(send, 200, body, submission, json_bytes=json_bytes)


async def _send(send: Send, status: int, body: bytes, submission: Submission, *, json_bytes: int | None = None) -> None:
    headers: list[tuple[bytes, bytes]] = [
        (b"content-type", b"application/json" if json_bytes is None else b"application/octet-stream"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", submission.request_id.encode("latin-1", "replace")),
    ]
    if submission.route:
        headers.append((ROUTE_HEADER.encode(), submission.route.encode()))
    if json_bytes is not None:
        headers.append((JSON_LENGTH_HEADER.lower().encode(), b"%d" % json_bytes))
    if status == 503:
        headers.append((b"retry-after", RETRY_AFTER_SECONDS))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def pending_response(pipeline: str, pending: Pending) -> Response:
    """Answer 202: the request has not ended, and what it waits for."""
    document: dict[str, Any] = {"id": pending.request_id, "status": "pending", "waiting_for": list(pending.waiting_for)}
    headers = {"x-request-id": pending.request_id, "location": location(pipeline, pending.request_id)}
    return json_response(202, document, headers)


def accepted_response(submission: Submission) -> Response:
    """Answer 202: the request is on the log; ``Location`` is where its end can be asked for."""
    headers = {
        "location": location(submission.pipeline, submission.request_id),
        "preference-applied": "respond-async",
        "x-request-id": submission.request_id,
    }
    if submission.route:
        headers[ROUTE_HEADER] = submission.route
    return json_response(202, {"id": submission.request_id, "status": "pending", "waiting_for": []}, headers)


def location(pipeline: str, request_id: str) -> str:
    """Return the path under which a request's end can be asked for."""
    return f"/v2/pipelines/{quote(pipeline, safe='')}/requests/{quote(request_id, safe='')}"
