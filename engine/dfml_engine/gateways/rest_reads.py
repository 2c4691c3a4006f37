"""The calls that only read: the server, its health, the pipelines, how a request ended."""

import asyncio
from importlib.metadata import version

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dfml.inference.rest_binary import JSON_FORM
from dfml.operations.pages import Pages
from dfml_engine.gateways.api import Pending, PipelineGatewayApi, PipelineStatus, Submission
from dfml_engine.gateways.rest_answer import json_response, pending_response, send_answer
from dfml_engine.gateways.rest_call import read_headers
from dfml_engine.gateways.rest_names import find_pipeline

EXTENSIONS = ("binary_tensor_data",)


class ReadCalls:
    """The endpoints of one gateway that change nothing."""

    def __init__(self, gateway: PipelineGatewayApi) -> None:
        self._gateway = gateway
        self._version = version("dfml")

    async def server(self, request: Request) -> Response:
        """Answer ``GET /v2``: name, version, extensions."""
        return json_response(200, {"name": "dfml", "version": self._version, "extensions": list(EXTENSIONS)})

    async def live(self, request: Request) -> Response:
        """Answer ``GET /v2/health/live``: the process serves."""
        return json_response(200, {"live": True})

    async def ready(self, request: Request) -> Response:
        """Answer ``GET /v2/health/ready``: 200 when requests can be taken, else 503."""
        ready = self._gateway.ready()
        return json_response(200 if ready else 503, {"ready": ready})

    async def pipelines(self, request: Request) -> Response:
        """Answer ``GET /v2/pipelines``: every loaded pipeline and its state."""
        statuses = sorted(self._gateway.pipelines().values(), key=lambda status: status.name)
        return json_response(200, {"pipelines": [_describe(status) for status in statuses]})

    async def pipeline(self, request: Request) -> Response:
        """Answer a pipeline's metadata in the protocol's form, with its state."""
        return json_response(200, _describe(self._find(request)))

    async def pipeline_ready(self, request: Request) -> Response:
        """Answer 200 when the pipeline takes requests, else 503 with the reason."""
        status = self._find(request, suggests=False)
        ready = status.ready and self._gateway.ready()
        document: dict[str, object] = {"name": status.name, "ready": ready}
        if not ready:
            document["reason"] = status.reason or "the gateway is not ready"
        return json_response(200 if ready else 503, document)

    def _find(self, request: Request, *, suggests: bool = True) -> PipelineStatus:
        routed_to = read_headers(request.scope["headers"]).routed_to
        return find_pipeline(self._gateway.pipelines(), request.path_params, routed_to, suggests=suggests)


def _describe(status: PipelineStatus) -> dict[str, object]:
    """Return the protocol's metadata; a pipeline's tensors are whatever its steps take, so none are declared."""
    return {
        "name": status.name,
        "versions": [str(status.version)],
        "platform": "dfml_pipeline",
        "inputs": [],
        "outputs": [],
        "ready": status.ready,
        "reason": status.reason,
        "synchronous": status.synchronous,
    }


class PageCall:
    """``GET /healthz``, ``/readyz``, ``/metrics``: what every process shows of itself."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call; the log is asked for its ends on another thread."""
        page = await asyncio.to_thread(self._pages.answer, scope["path"])
        assert page is not None
        await Response(page.body, page.status, media_type=page.content_type)(scope, receive, send)


class LookupCall:
    """``GET .../requests/{id}``: 200 or the error's status when the request has ended, 202 while it has not."""

    def __init__(self, gateway: PipelineGatewayApi) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        path = scope["path_params"]
        pipeline = path["name"].removesuffix(".pipeline")
        found = await self._gateway.lookup(pipeline, path["request_id"])
        if isinstance(found, Pending):
            await pending_response(pipeline, found)(scope, receive, send)
        else:
            await send_answer(send, found, JSON_FORM, submission=Submission(pipeline, found.request_id))
