import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
import pytest_asyncio

from dfml.errors import (
    ConflictError,
    DeadlineError,
    LogError,
    LogUnavailableError,
    NotFoundError,
    OverloadedError,
    SettingsError,
)
from dfml.inference.codec import encode_response
from dfml.inference.oip_pb2 import InferRequest, InferResponse
from dfml.operations.pages import PATHS, Pages
from dfml_engine.gateways.api import Answer, Pending, PipelineStatus, Submission, SubmitOptions
from dfml_engine.gateways.rest import create_app, serve_rest

pytestmark = pytest.mark.asyncio(loop_scope="module")

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


def error(answer: httpx.Response) -> str:
    document = answer.json()
    assert list(document) == ["error"]
    assert answer.headers["content-type"] == "application/json"
    text: str = document["error"]
    return text


async def infer(client: httpx.AsyncClient, path: str = "/v2/pipelines/echo/infer", **options: Any) -> httpx.Response:
    return await client.post(path, **({"json": BODY} | options))


async def test_an_answer_has_outputs_id_and_model_name(client: httpx.AsyncClient) -> None:
    answer = await infer(client, json=BODY | {"id": "r1"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"] == "r1"
    assert answer.json() == {
        "model_name": "echo",
        "id": "r1",
        "outputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1.0, 2.5]}],
    }


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v2/models/echo/infer", {}),
        ("/v2/models/echo/versions/3/infer", {}),
        ("/v2/pipelines/echo/versions/3/infer", {}),
        ("/v2/models/echo.pipeline/infer", {}),
        ("/v2/models/other/infer", {"seldon-model": "echo.pipeline"}),
        ("/v2/models/other/infer", {"seldon-model": "echo"}),
    ],
)
async def test_a_pipeline_is_found_by_every_name(client: httpx.AsyncClient, path: str, headers: dict[str, str]) -> None:
    answer = await infer(client, path, headers=headers)
    assert (answer.status_code, answer.json()["model_name"]) == (200, "echo")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/v2/pipelines/ecko/infer", "pipeline 'ecko' is not loaded; did you mean 'echo'?"),
        ("/v2/pipelines/zzz/infer", "pipeline 'zzz' is not loaded; loaded are: echo, loading, mute"),
        ("/v2/models/a.model/infer", "model 'a' cannot be called by itself: call a pipeline that has it"),
        ("/v2/pipelines/echo/versions/2/infer", "pipeline 'echo' has version 3, not '2'"),
        ("/v2/nothing", "POST /v2/nothing: Not Found"),
        ("/v2/pipelines/echo/infer/", "POST /v2/pipelines/echo/infer/: Not Found"),
    ],
)
async def test_an_unknown_name_is_404(client: httpx.AsyncClient, path: str, text: str) -> None:
    answer = await infer(client, path)
    assert (answer.status_code, error(answer)) == (404, text)


async def test_the_header_gives_the_request_id_and_the_bodys_id_is_returned(
    client: httpx.AsyncClient, gateway: EchoGateway
) -> None:
    answer = await infer(client, json=BODY | {"id": "mine"}, headers={"x-request-id": "proxy-1"})
    assert (answer.headers["x-request-id"], answer.json()["id"]) == ("proxy-1", "mine")
    assert list(gateway.taken) == ["proxy-1"]


async def test_a_request_without_id_is_given_one(client: httpx.AsyncClient) -> None:
    answer = await infer(client)
    assert answer.headers["x-request-id"] == answer.json()["id"] == "drawn-0"


async def test_the_callers_headers_are_passed_on(client: httpx.AsyncClient, gateway: EchoGateway) -> None:
    sent = {
        "X-Tenant": "t1",
        "traceparent": "00-1-2-03",
        "x-pipeline-version": "9",
        "accept": "*/*",
        "x-request-id": "a",
    }
    await infer(client, headers=sent | {"x-request-timeout-ms": "250"})
    expected = SubmitOptions("a", (("x-tenant", b"t1"), ("traceparent", b"00-1-2-03")), 250)
    assert gateway.taken["a"][1] == expected


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        (
            {"x-request-timeout-ms": "0"},
            "header x-request-timeout-ms: got '0', expected a whole number from 1 to 86400000",
        ),
        ({"x-request-timeout-ms": "-5"}, "header x-request-timeout-ms: got '-5', expected"),
        ({"x-request-timeout-ms": "1.5s"}, "header x-request-timeout-ms: got '1.5s', expected"),
        ({"x-request-timeout-ms": "9" * 30}, "header x-request-timeout-ms: got '999"),
        (
            {"x-request-id": "a,b"},
            "header x-request-id: got 'a,b', expected 1 to 256 printable ASCII characters without",
        ),
        ({"x-request-id": "a" * 257}, "header x-request-id: got 'aaa"),
        ({"x-much": "a" * 20_000}, "x-* headers are 20006 bytes, expected at most 16384"),
        ({"content-encoding": "gzip"}, "content-encoding 'gzip' is not understood"),
        ({"inference-header-content-length": "x"}, "header Inference-Header-Content-Length: got 'x', expected"),
        ({"inference-header-content-length": "999"}, "Inference-Header-Content-Length is 999, but the body has"),
    ],
)
async def test_a_bad_header_is_400(client: httpx.AsyncClient, headers: dict[str, str], text: str) -> None:
    answer = await infer(client, headers=headers)
    assert answer.status_code == 400
    assert error(answer).startswith(text)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "no body, expected a JSON object"),
        (b'{"inputs":', "body is not JSON: unexpected end of data: line 1 column 11"),
        (b'{"inputs":[]}', "inputs is empty"),
        (orjson.dumps(BODY | {"id": "\x00"}), r"id: got '\x00', expected 1 to 256 printable"),
        (
            orjson.dumps({"inputs": [{**BODY["inputs"][0], "shape": [2, 2]}]}),
            "inputs[0].data: shape [2,2] needs 4 elem",
        ),
    ],
)
async def test_a_bad_body_is_400_and_the_connection_stays_usable(
    client: httpx.AsyncClient, body: bytes, text: str
) -> None:
    answer = await infer(client, content=body, json=None, headers={"x-request-id": "r9"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (400, "r9")
    assert error(answer).startswith(text)
    assert (await infer(client)).status_code == 200


async def test_another_method_is_405(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v2/pipelines/echo/infer")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert error(answer) == "GET /v2/pipelines/echo/infer: Method Not Allowed"


@pytest.mark.parametrize(
    ("raised", "status", "retry"),
    [
        (NotFoundError("gone"), 404, None),
        (ConflictError("id is taken"), 409, None),
        (OverloadedError("1000 requests are on their way"), 503, "1"),
        (LogUnavailableError("disk is full"), 503, "1"),
        (LogError("broken"), 500, None),
    ],
)
async def test_a_refusal_has_the_status_of_its_class(
    client: httpx.AsyncClient, gateway: EchoGateway, raised: Exception, status: int, retry: str | None
) -> None:
    gateway.refuses = raised
    answer = await infer(client)
    assert (answer.status_code, error(answer), answer.headers.get("retry-after")) == (status, str(raised), retry)


@pytest.mark.parametrize("raised", [DeadlineError("it waits for model 'a' to answer")])
async def test_a_passed_deadline_is_504_and_says_what_was_missing(
    client: httpx.AsyncClient, gateway: EchoGateway, raised: Exception
) -> None:
    gateway.fails = raised
    answer = await infer(client, headers={"x-request-id": "slow"})
    assert (answer.status_code, error(answer), answer.headers["x-request-id"]) == (504, str(raised), "slow")


async def test_a_failure_of_our_own_is_500_without_its_details(client: httpx.AsyncClient, gateway: EchoGateway) -> None:
    gateway.refuses = ZeroDivisionError("secret")
    answer = await infer(client)
    assert answer.status_code == 500
    assert error(answer) == "internal error: ZeroDivisionError; the server's log has the details"


@pytest.mark.parametrize("status", [400, 500, 503])
async def test_an_error_answer_is_sent_with_its_status(
    client: httpx.AsyncClient, gateway: EchoGateway, status: int
) -> None:
    gateway.answers = lambda submission, _: Answer(submission.request_id, status, b"model 'a' raised ValueError")
    answer = await infer(client)
    assert (answer.status_code, error(answer)) == (status, "model 'a' raised ValueError")
    assert answer.headers.get("retry-after") == ("1" if status == 503 else None)


async def test_a_malformed_answer_is_500(client: httpx.AsyncClient, gateway: EchoGateway) -> None:
    gateway.answers = lambda submission, _: Answer(submission.request_id, 200, b"\xff\xff")
    answer = await infer(client)
    assert answer.status_code == 500
    assert error(answer).startswith("pipeline 'echo': malformed answer: expected a protobuf InferResponse, got 2 bytes")
    bad = encode_response({"x": np.array([1.0])}, model_name="m", request_id="1")
    bad.tensors[0].shape[0] = 2
    gateway.answers = lambda submission, _: Answer(submission.request_id, 200, bad.SerializeToString())
    answer = await infer(client)
    assert answer.status_code == 500
    assert error(answer) == "pipeline 'echo': malformed answer: tensor 'x': shape [2] needs 2 elements, got 1"


async def test_only_the_outputs_asked_for_are_returned(client: httpx.AsyncClient) -> None:
    two = [{**BODY["inputs"][0], "name": name} for name in ("a", "b")]
    answer = await infer(client, json={"inputs": two, "outputs": [{"name": "b"}]})
    assert [output["name"] for output in answer.json()["outputs"]] == ["b"]
    answer = await infer(client, json={"inputs": two, "outputs": [{"name": "c"}]})
    assert (answer.status_code, error(answer)[:26]) == (400, "outputs: asked for 'c', bu")


async def test_binary_tensors_go_in_and_come_out(client: httpx.AsyncClient) -> None:
    raw = np.array([1, 2.5], dtype=np.float32).tobytes()
    tensor = {"name": "x", "shape": [2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}
    head = orjson.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}})
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = await infer(client, json=None, content=head + raw, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/octet-stream")
    json_bytes = int(answer.headers["inference-header-content-length"])
    assert answer.content[json_bytes:] == raw
    (output,) = orjson.loads(answer.content[:json_bytes])["outputs"]
    assert output == {"name": "x", "datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": 8}}


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


async def test_asynchronous_use_goes_from_202_to_the_answer(client: httpx.AsyncClient, gateway: EchoGateway) -> None:
    gateway.release.clear()
    answer = await infer(client, headers={"Prefer": "respond-async, wait=10", "x-request-id": "a/b c"})
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "respond-async")
    assert answer.headers["location"] == "/v2/pipelines/echo/requests/a%2Fb%20c"
    assert (answer.json()["id"], answer.json()["status"]) == ("a/b c", "pending")
    pending = await client.get(answer.headers["location"])
    assert pending.status_code == 202
    assert pending.json() == {"id": "a/b c", "status": "pending", "waiting_for": ["model 'a' to answer"]}
    gateway.release.set()
    ended = await client.get(answer.headers["location"])
    assert (ended.status_code, ended.json()["id"], ended.headers["x-request-id"]) == (200, "a/b c", "a/b c")
    assert ended.json()["outputs"][0]["data"] == [1, 2.5]


async def test_an_asynchronous_request_that_failed_is_found_with_its_status(
    client: httpx.AsyncClient, gateway: EchoGateway
) -> None:
    gateway.answers = lambda submission, _: Answer(submission.request_id, 500, b"model 'a' raised")
    answer = await infer(client, headers={"Prefer": "respond-async"})
    ended = await client.get(answer.headers["location"])
    assert (ended.status_code, error(ended)) == (500, "model 'a' raised")


async def test_an_asynchronous_request_is_answered_when_it_is_on_the_log(
    client: httpx.AsyncClient, gateway: EchoGateway
) -> None:
    gateway.logged.clear()
    call = asyncio.create_task(infer(client, headers={"Prefer": "respond-async"}))
    assert (await client.get("/v2")).status_code == 200
    assert not call.done()
    gateway.logged.set()
    assert (await call).status_code == 202


async def test_an_unknown_request_is_404(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v2/pipelines/echo/requests/nobody")
    assert (answer.status_code, error(answer)) == (404, "pipeline 'echo' has had no request 'nobody'")


async def test_a_pipeline_without_output_is_called_asynchronously_only(client: httpx.AsyncClient) -> None:
    answer = await infer(client, "/v2/pipelines/mute/infer")
    assert (answer.status_code, "Prefer: respond-async" in error(answer)) == (400, True)
    answer = await infer(client, "/v2/pipelines/mute/infer", headers={"prefer": "respond-async"})
    assert answer.status_code == 202


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


async def test_the_server_describes_itself(client: httpx.AsyncClient) -> None:
    document = (await client.get("/v2")).json()
    assert (document["name"], document["extensions"]) == ("dfml", ["binary_tensor_data"])
    assert (await client.get("/v2/health/live")).json() == {"live": True}


async def test_health_is_503_when_requests_cannot_be_taken(client: httpx.AsyncClient, gateway: EchoGateway) -> None:
    answer = await client.get("/v2/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"ready": True})
    gateway.is_ready = False
    answer = await client.get("/v2/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"ready": False})
    assert (await client.get("/v2/pipelines/echo/ready")).status_code == 503


@pytest.mark.parametrize("prefix", ["/v2/pipelines", "/v2/models"])
async def test_a_pipeline_says_whether_it_is_ready(client: httpx.AsyncClient, prefix: str) -> None:
    answer = await client.get(f"{prefix}/echo/ready")
    assert (answer.status_code, answer.json()) == (200, {"name": "echo", "ready": True})
    answer = await client.get(f"{prefix}/loading/ready")
    expected = {"name": "loading", "ready": False, "reason": "model 'a' is being loaded"}
    assert (answer.status_code, answer.json()) == (503, expected)
    assert (await client.get(f"{prefix}/none/ready")).status_code == 404


async def test_a_pipeline_describes_itself_as_a_model_does(client: httpx.AsyncClient) -> None:
    document = (await client.get("/v2/models/echo/versions/3")).json()
    assert (document["name"], document["versions"], document["platform"]) == ("echo", ["3"], "dfml_pipeline")
    names = [entry["name"] for entry in (await client.get("/v2/pipelines")).json()["pipelines"]]
    assert names == ["echo", "loading", "mute"]


@pytest.mark.parametrize("path", PATHS)
async def test_the_pages_of_every_process_are_served_beside_the_protocol(client: httpx.AsyncClient, path: str) -> None:
    page, answer = PAGES.answer(path), await client.get(path)
    assert page is not None
    assert (answer.status_code, answer.headers["content-type"]) == (page.status, page.content_type)


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
