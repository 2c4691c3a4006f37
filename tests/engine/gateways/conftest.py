"""One REST server for the tests, over a gateway that echoes."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest_asyncio

from dfml_engine.gateways.rest import create_app, serve_rest

if str(Path(__file__).parent) not in sys.path:
    sys.path.append(str(Path(__file__).parent))

from echo_gateway import LIMIT, PAGES, STATUSES, EchoGateway


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def served() -> AsyncIterator[tuple[EchoGateway, str]]:
    """One server for all tests: starting and closing takes longer than most of them."""
    gateway = EchoGateway()
    server = await serve_rest(create_app(gateway, PAGES, max_request_bytes=LIMIT), "127.0.0.1", 0)
    yield gateway, f"http://127.0.0.1:{server.port}"
    await server.close(1)


@pytest_asyncio.fixture(loop_scope="module")
async def gateway(served: tuple[EchoGateway, str]) -> EchoGateway:
    renewed = EchoGateway({status.name: status for status in STATUSES})
    renewed.release.set()
    renewed.logged.set()
    vars(served[0]).update(vars(renewed))
    return served[0]


@pytest_asyncio.fixture(loop_scope="module")
async def client(gateway: EchoGateway, served: tuple[EchoGateway, str]) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=served[1], timeout=10, trust_env=False) as made:
        yield made
