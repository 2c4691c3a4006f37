"""The REST face of the pipeline gateway: the Open Inference Protocol over HTTP.

=====================================================  ==========================================================
``GET /healthz``, ``/readyz``, ``/metrics``            the pages of every process
``GET /v2``                                            name, version, extensions
``GET /v2/health/live``, ``/v2/health/ready``          200, or 503 when requests cannot be taken
``GET /v2/pipelines``                                  every loaded pipeline
``GET /v2/pipelines/{name}``, ``.../ready``            metadata and state; 200 or 503
``POST /v2/pipelines/{name}/infer``                    JSON or binary tensors; ``Prefer: respond-async`` answers 202
``GET /v2/pipelines/{name}/requests/{request_id}``     how a request ended, or 202 and what it waits for
=====================================================  ==========================================================

The same under ``/v2/models/{name}`` and with ``/versions/{version}``, for clients that know only models. Errors are
``{"error": text}`` with 400, 404, 405, 409, 413, 500, 503 (with ``Retry-After``) or 504.
"""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route

from dfml.errors import DfmlError
from dfml.operations.pages import PATHS, Pages
from dfml_engine.gateways.api import PipelineGatewayApi
from dfml_engine.gateways.rest_answer import answer_dfml_error, answer_http_error, answer_unexpected
from dfml_engine.gateways.rest_infer import InferCall
from dfml_engine.gateways.rest_reads import LookupCall, PageCall, ReadCalls
from dfml_engine.gateways.rest_server import RestServer, serve_rest

__all__ = ["RestServer", "create_app", "serve_rest"]

_PREFIXES = ("/v2/pipelines/{name}", "/v2/models/{name}")
_VERSIONED = (*_PREFIXES, *(f"{prefix}/versions/{{version}}" for prefix in _PREFIXES))


def create_app(gateway: PipelineGatewayApi, pages: Pages, *, max_request_bytes: int) -> Starlette:
    """Return the application; bodies over ``max_request_bytes`` are refused before they are read."""
    app = Starlette(
        routes=[*_routes(gateway, max_request_bytes), *(Route(path, PageCall(pages)) for path in PATHS)],
        exception_handlers={
            DfmlError: answer_dfml_error,
            HTTPException: answer_http_error,
            Exception: answer_unexpected,
        },
    )
    app.router.redirect_slashes = False
    return app


def _routes(gateway: PipelineGatewayApi, max_request_bytes: int) -> list[BaseRoute]:
    """Return the routes, infer first: they are tried in order."""
    infer, reads, lookup = InferCall(gateway, max_request_bytes), ReadCalls(gateway), LookupCall(gateway)
    return [
        *(Route(f"{prefix}/infer", infer, methods=["POST"]) for prefix in _VERSIONED),
        *(Route(f"{prefix}/requests/{{request_id:path}}", lookup, methods=["GET"]) for prefix in _PREFIXES),
        *(Route(f"{prefix}/ready", reads.pipeline_ready) for prefix in _VERSIONED),
        *(Route(prefix, reads.pipeline) for prefix in _VERSIONED),
        Route("/v2/pipelines", reads.pipelines),
        Route("/v2/health/live", reads.live),
        Route("/v2/health/ready", reads.ready),
        Route("/v2", reads.server),
    ]
