"""The core's counterpart for tests of the REST server, and how they call it."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from dfml.errors import (
    NotFoundError,
    OverloadedError,
)
from dfml.inference.oip_pb2 import InferRequest, InferResponse
from dfml.operations.pages import Pages
from dfml_engine.gateways.api import Answer, Pending, PipelineStatus, Submission, SubmitOptions

LIMIT = 100_000
BODY = {"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2.5]}]}


@dataclass
class EchoGateway:
    """The core's counterpart: answers with the tensors it was sent, or holds requests until told to let go."""

    loaded: dict[str, PipelineStatus] = field(default_factory=dict)
    is_ready: bool = True
    room_bytes: int = 2**31
    refuses: Exception | None = None
    fails: Exception | None = None
    answers: Callable[[Submission, InferRequest], Answer] | None = None
    release: asyncio.Event = field(default_factory=asyncio.Event)
    logged: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Queue[Submission] = field(default_factory=asyncio.Queue)
    taken: dict[str, tuple[InferRequest, SubmitOptions]] = field(default_factory=dict)
    awaited: asyncio.Event = field(default_factory=asyncio.Event)

    def ready(self) -> bool:
        return self.is_ready

    def pipelines(self) -> Mapping[str, PipelineStatus]:
        return self.loaded

    def submit(self, pipeline: str, request: InferRequest, options: SubmitOptions) -> Submission:
        if self.refuses:
            raise self.refuses
        request_id = options.request_id or f"drawn-{len(self.taken)}"
        self.taken[request_id] = (request, options)
        return Submission(pipeline, request_id)

    async def result(self, submission: Submission) -> Answer:
        self.awaited.set()
        await self.release.wait()
        if self.fails:
            raise self.fails
        return self._answer(submission)

    def _answer(self, submission: Submission) -> Answer:
        request = self.taken[submission.request_id][0]
        if self.answers:
            return self.answers(submission, request)
        response = InferResponse(tensors=request.tensors, raw_contents=request.raw_contents)
        return Answer(submission.request_id, 200, response.SerializeToString())

    async def accepted(self, submission: Submission) -> None:
        await self.logged.wait()

    def cancel(self, submission: Submission) -> None:
        self.cancelled.put_nowait(submission)

    def reading(self, n_bytes: int) -> contextlib.AbstractContextManager[None]:
        if n_bytes > self.room_bytes:
            msg = f"requests of {n_bytes} bytes are on their way"
            raise OverloadedError(msg)
        return contextlib.nullcontext()

    async def lookup(self, pipeline: str, request_id: str) -> Answer | Pending:
        if request_id not in self.taken:
            msg = f"pipeline '{pipeline}' has had no request '{request_id}'"
            raise NotFoundError(msg)
        if not self.release.is_set():
            return Pending(request_id, ("model 'a' to answer",))
        return self._answer(Submission(pipeline, request_id))


PAGES = Pages("pipeline-gateway", list, tuple, list)
STATUSES = (
    PipelineStatus("echo", 3, ready=True),
    PipelineStatus("loading", 1, ready=False, reason="model 'a' is being loaded"),
    PipelineStatus("mute", 1, ready=True, synchronous=False),
)


def error(answer: httpx.Response) -> str:
    document = answer.json()
    assert list(document) == ["error"]
    assert answer.headers["content-type"] == "application/json"
    text: str = document["error"]
    return text


async def infer(client: httpx.AsyncClient, path: str = "/v2/pipelines/echo/infer", **options: Any) -> httpx.Response:
    return await client.post(path, **({"json": BODY} | options))
