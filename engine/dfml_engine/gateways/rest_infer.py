"""The infer call: body to message, message to the core, answer to body.

A plain ASGI application, since this is the path that every request takes: no request or response objects, and no task
besides the server's own unless the answer takes long.
"""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from dfml.errors import BadInputError, OverloadedError, PayloadTooLargeError
from dfml.inference.oip_pb2 import InferRequest
from dfml.inference.rest_binary import OutputForm, parse_binary_request, take_output_form
from dfml.inference.rest_json import parse_infer_request
from dfml_engine.gateways.api import Answer, PipelineGatewayApi, Submission, SubmitOptions
from dfml_engine.gateways.rest_answer import REQUEST_ID_KEY, accepted_response, error_body, send_answer
from dfml_engine.gateways.rest_call import CallHeaders, check_request_id, read_body, read_headers, refuse_body
from dfml_engine.gateways.rest_names import find_pipeline

WATCH_AFTER_SECONDS = 0.05
"""A caller's departure matters when its answer takes long; before that, watching would cost more than it saves."""


@dataclass(slots=True)
class _Call:
    """What a body says: the message, the form of the answer, the id that stood in it."""

    request: InferRequest
    form: OutputForm
    body_id: str


class _NoRoomError(OverloadedError):
    """There is no room for the body, which has not been read."""


class InferCall:
    """``POST .../infer``."""

    __slots__ = ("_gateway", "_max_request_bytes")

    def __init__(self, gateway: PipelineGatewayApi, max_request_bytes: int) -> None:
        self._gateway = gateway
        self._max_request_bytes = max_request_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call; our errors are left to the application's handlers, but a body too large is refused here."""
        try:
            await self._serve(scope, receive, send)
        except PayloadTooLargeError as error:
            await refuse_body(receive, send, 413, error_body(str(error)))
        except _NoRoomError as error:
            await refuse_body(receive, send, 503, error_body(str(error)))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = read_headers(scope["headers"])
        if headers.request_id:
            scope[REQUEST_ID_KEY] = headers.request_id
        pipeline = self._find(scope, headers)
        call = await self._read(receive, headers)
        if call is None:
            return
        form, body_id = call.form, call.body_id
        options = SubmitOptions(headers.request_id or body_id or None, headers.passed_on, headers.timeout_ms)
        submission = self._gateway.submit(pipeline, call.request, options)
        del call  # the answer may take long: what the caller sent is on the log, and need not stay here
        scope[REQUEST_ID_KEY] = submission.request_id
        if headers.respond_async:
            await self._gateway.accepted(submission)
            await accepted_response(submission)(scope, receive, send)
            return
        answer = await self._await_answer(submission, receive)
        if answer is not None:
            await send_answer(send, answer, form, submission=submission, body_id=body_id)

    async def _read(self, receive: Receive, headers: CallHeaders) -> "_Call | None":
        """Read the body; None when the caller went away. One of unknown length counts as the largest."""
        limit = self._max_request_bytes
        announced = limit if headers.body_bytes is None else min(headers.body_bytes, limit)
        with ExitStack() as room:
            try:
                room.enter_context(self._gateway.reading(announced))
            except OverloadedError as error:
                raise _NoRoomError(str(error)) from error
            body = await read_body(receive, headers.body_bytes or 0, limit)
            if body is None:
                return None
            json_bytes = headers.json_bytes
            request = parse_infer_request(body) if json_bytes is None else parse_binary_request(body, json_bytes)
        form = take_output_form(request)
        return _Call(request, form, check_request_id(request.id, "id") if request.id else "")

    def _find(self, scope: Scope, headers: CallHeaders) -> str:
        status = find_pipeline(self._gateway.pipelines(), scope["path_params"], headers.routed_to)
        if not (status.synchronous or headers.respond_async):
            msg = f"pipeline {status.name!r} has no output to answer with; send the header 'Prefer: respond-async'"
            raise BadInputError(msg)
        return status.name

    async def _await_answer(self, submission: Submission, receive: Receive) -> Answer | None:
        departure = _Departure(receive)
        try:
            return await self._gateway.result(submission)
        except asyncio.CancelledError:
            self._gateway.cancel(submission)
            if not departure.noticed:
                raise
            return None
        finally:
            departure.stop()


class _Departure:
    """Cancels the awaiting task when its caller hangs up; ``noticed`` tells that from the server's own shutdown."""

    __slots__ = ("_receive", "_timer", "_waiter", "_watch", "noticed")

    def __init__(self, receive: Receive) -> None:
        self.noticed = False
        self._receive = receive
        self._waiter = asyncio.current_task()
        self._watch: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_SECONDS, self._begin)

    def _begin(self) -> None:
        self._watch = asyncio.create_task(self._await_departure())

    async def _await_departure(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.noticed = True
        if self._waiter is not None:
            self._waiter.cancel()

    def stop(self) -> None:
        """End the watch."""
        self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()
