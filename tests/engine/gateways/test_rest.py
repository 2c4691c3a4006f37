import asyncio

import httpx
import numpy as np
import orjson
import pytest
from echo_gateway import BODY, PAGES, EchoGateway, error, infer

from dfml.errors import (
    ConflictError,
    DeadlineError,
    LogError,
    LogUnavailableError,
    NotFoundError,
    OverloadedError,
)
from dfml.inference.codec import encode_response
from dfml.operations.pages import PATHS
from dfml_engine.gateways.api import Answer, SubmitOptions

pytestmark = pytest.mark.asyncio(loop_scope="module")


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


async def test_a_request_that_the_log_cannot_be_asked_for_is_503(
    client: httpx.AsyncClient, gateway: EchoGateway
) -> None:
    async def away(*_: str) -> Answer:
        msg = "kafka://b:9092 does not answer"
        raise LogUnavailableError(msg)

    gateway.lookup = away
    answer = await client.get("/v2/pipelines/echo/requests/r1")
    assert (answer.status_code, error(answer)) == (503, "kafka://b:9092 does not answer")
    assert int(answer.headers["retry-after"]) > 0


async def test_a_pipeline_without_output_is_called_asynchronously_only(client: httpx.AsyncClient) -> None:
    answer = await infer(client, "/v2/pipelines/mute/infer")
    assert (answer.status_code, "Prefer: respond-async" in error(answer)) == (400, True)
    answer = await infer(client, "/v2/pipelines/mute/infer", headers={"prefer": "respond-async"})
    assert answer.status_code == 202


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
