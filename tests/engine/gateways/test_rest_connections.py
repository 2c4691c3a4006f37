"""What the REST server does with connections: bodies too large, callers who leave, its start and its end."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import httpx
import orjson
import pytest
from echo_gateway import BODY, LIMIT, PAGES, EchoGateway, error, infer

from dfml.errors import (
    SettingsError,
)
from dfml_engine.gateways.api import Submission
from dfml_engine.gateways.rest import create_app, serve_rest

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_announced_body_over_the_limit_is_refused_before_it_is_sent(client: httpx.AsyncClient) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    writer.write(b"POST /v2/pipelines/echo/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 200000000\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in head
    text = await reader.readuntil(b"}")
    assert orjson.loads(text)["error"] == "body is 200000000 bytes, expected at most 100000 (setting max_request_bytes)"
    writer.close()


async def test_a_caller_who_waits_to_continue_is_refused_without_being_told_to(client: httpx.AsyncClient) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    writer.write(b"POST /v2/pipelines/echo/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 200000000\r\n")
    writer.write(b"expect: 100-continue\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()


@pytest.mark.parametrize("announced", [True, False])
async def test_a_caller_who_sends_on_and_on_still_reads_the_refusal(client: httpx.AsyncClient, announced: bool) -> None:
    n_chunks = 200

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(n_chunks):
            yield bytes(100_000)

    headers = {"content-length": str(n_chunks * 100_000)} if announced else {}
    answer = await infer(client, json=None, content=chunks(), headers=headers)
    assert answer.status_code == 413
    assert "100000" in error(answer)
    assert (await infer(client)).status_code == 200


async def test_a_body_just_within_the_limit_is_taken(client: httpx.AsyncClient) -> None:
    body = orjson.dumps(BODY).ljust(LIMIT)
    assert (await infer(client, json=None, content=body)).status_code == 200
    assert (await infer(client, json=None, content=body + b" ")).status_code == 413


async def test_a_caller_who_goes_away_is_forgotten(client: httpx.AsyncClient, gateway: EchoGateway) -> None:
    gateway.release.clear()
    call = asyncio.create_task(infer(client, headers={"x-request-id": "gone"}))
    await gateway.awaited.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await gateway.cancelled.get() == Submission("echo", "gone")
    gateway.release.set()
    assert (await infer(client)).status_code == 200
    assert gateway.cancelled.empty()


async def test_a_caller_who_goes_away_in_the_middle_of_its_body_leaves_nothing(
    client: httpx.AsyncClient, gateway: EchoGateway, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    writer.write(b"POST /v2/pipelines/echo/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")
    await writer.drain()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    assert (await infer(client)).status_code == 200
    assert len(gateway.taken) == 1
    assert not caplog.records


async def test_a_slow_answer_reaches_a_patient_caller(client: httpx.AsyncClient, gateway: EchoGateway) -> None:
    gateway.release.clear()
    call = asyncio.create_task(infer(client))
    await gateway.awaited.wait()
    asyncio.get_running_loop().call_later(0.2, gateway.release.set)
    assert (await call).status_code == 200
    assert gateway.cancelled.empty()


async def test_an_address_in_use_is_said_at_once(gateway: EchoGateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"rest_host '127.0.0.1', rest_port {port}: cannot listen there: Addr"):
            await serve_rest(create_app(gateway, PAGES, max_request_bytes=LIMIT), "127.0.0.1", port)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_that_finds_no_room_is_refused_unread_and_may_come_again(
    client: httpx.AsyncClient, gateway: EchoGateway, announced: bool
) -> None:
    gateway.room_bytes = 1
    body = orjson.dumps(BODY)

    async def parts() -> AsyncIterator[bytes]:
        yield body

    answer = await client.post("/v2/pipelines/echo/infer", content=body if announced else parts())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "bytes are on their way" in answer.json()["error"]
    gateway.room_bytes = 2**31
    assert (await client.post("/v2/pipelines/echo/infer", content=body)).status_code == 200


async def test_closing_lets_open_calls_end(gateway: EchoGateway) -> None:
    server = await serve_rest(create_app(gateway, PAGES, max_request_bytes=LIMIT), "127.0.0.1", 0)
    gateway.release.clear()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
        call = asyncio.create_task(infer(client))
        await gateway.awaited.wait()
        closing = asyncio.create_task(server.close(5))
        gateway.release.set()
        assert (await call).status_code == 200
    await closing
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)
