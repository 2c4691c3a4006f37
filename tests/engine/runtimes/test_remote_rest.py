"""Models on another server over REST: against this project's own gateway, and against foreign answers."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import orjson
import pytest

from dfml import headers as h
from dfml.clock import wall_clock_ms
from dfml.errors import ModelError
from dfml_engine.runtimes.base import Context

Make = Callable[..., Any]
ECHO = "{steps: [{name: echo}], output: {steps: [echo]}}"
TENSORS = {
    "f": np.array([[1.5, -2.0], [np.nan, np.inf]], dtype=np.float32),
    "i": np.array([2**62 + 1], dtype=np.int64),
    "b": np.array([True, False]),
    "t": np.array([b"caf\xc3\xa9", b"\xff\x00"], dtype=object),
    "none": np.zeros((0, 3), dtype=np.float64),
}


def address(url: str) -> str:
    return url.replace("http://", "oip+http://")


@pytest.mark.parametrize("payload", ["json", "binary", "auto"])
async def test_tensors_of_all_kinds_go_there_and_back(stack: Make, texts: Any, remote: Make, payload: str) -> None:
    async with stack() as calls:
        echo = texts.model("echo", "x").replace("engine_models:x", "copy:copy")
        calls.load(echo, texts.pipeline("p", ECHO))
        runtime = remote(f"{address(calls.stack.url)}/p", payload=payload)
        outputs = await asyncio.to_thread(runtime.infer, TENSORS, Context("r1"))
    assert list(outputs) == list(TENSORS)
    for name, sent in TENSORS.items():
        assert (outputs[name].dtype, outputs[name].shape) == (sent.dtype, sent.shape)
        np.testing.assert_array_equal(outputs[name], sent)


async def test_a_step_is_served_by_another_stack(stack: Make, texts: Any, tmp_path: Any) -> None:
    async with stack() as there, stack(log=f"sqlite:///{tmp_path}/here.db") as here:
        there.load(texts.model("add", "add1"), texts.pipeline("far", "{steps: [{name: add}], output: {steps: [add]}}"))
        far = texts.model("near", "add1").replace("python:engine_models:add1", f"{address(there.stack.url)}/far")
        spec = "{steps: [{name: near}, {name: twice, inputs: [near]}], output: {steps: [twice]}}"
        here.load(far, texts.model("twice", "double"), texts.pipeline("p", spec))
        assert await here.ask("p", {"x": [1, 2]}, "r1") == {"OUT": [4, 6]}
        (record,) = there.records("pipeline.far.inputs")
        assert record.key.startswith(b"r1~near~")


@pytest.mark.parametrize("request_id", ["r1", "a,é\n" + 300 * "x"])
async def test_one_request_may_call_the_server_again_with_other_tensors(
    stack: Make, texts: Any, remote: Make, request_id: str
) -> None:
    async with stack() as calls:
        calls.load(texts.model("add", "add1"), texts.pipeline("p", ECHO.replace("echo", "add")))
        runtime = remote(f"{address(calls.stack.url)}/p")
        answers = [
            await asyncio.to_thread(runtime.infer, {"x": np.array([value], np.float32)}, Context(request_id))
            for value in (1, 2, 1)
        ]
    assert [answer["OUT"].tolist() for answer in answers] == [[2], [3], [2]]


async def test_an_error_has_the_servers_status_and_text(stack: Make, texts: Any, remote: Make) -> None:
    async with stack() as calls:
        calls.load(texts.model("bad", "fail"), texts.pipeline("p", ECHO.replace("echo", "bad")))
        inputs = {"x": np.array([1.0])}
        text = (
            r"model 'm', served as 'p' at 127\.0\.0\.1:\d+, answered 500: model 'bad' raised ValueError: no such luck"
        )
        with pytest.raises(ModelError, match=text):
            await asyncio.to_thread(remote(f"{address(calls.stack.url)}/p").infer, inputs, Context("r1"))
        with pytest.raises(ModelError, match=r"answered 404: .*'nobody'"):
            await asyncio.to_thread(remote(f"{address(calls.stack.url)}/nobody").infer, inputs, Context("r1"))


# -- foreign servers --------------------------------------------------------------------------------------------------


@dataclass
class Foreign:
    """A server that answers every call with the same, and keeps what it was sent."""

    answer: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    metadata: bytes = b'{"name":"other","version":"1","extensions":[]}'
    release: threading.Event = field(default_factory=threading.Event)
    taken: list[tuple[Any, bytes]] = field(default_factory=list)
    port: int = 0


@pytest.fixture
def foreign() -> Iterator[Foreign]:
    server = Foreign(orjson.dumps({"outputs": []}))
    server.release.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.reply(200, server.metadata, {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            server.taken.append((self.headers, body))
            server.release.wait()
            self.reply(server.status, server.answer, server.headers)

        def reply(self, status: int, content: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        server.port = listening.server_address[1]
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.release.set()
        listening.shutdown()


X = {"x": np.array([[1, 2]], dtype=np.int64)}


def test_a_server_that_names_no_binary_extension_gets_json(foreign: Foreign, remote: Make) -> None:
    context = Context("r1", {h.TRACEPARENT: b"00-ab-cd-01"}, {"temperature": 0.5})
    assert remote(f"oip+http://127.0.0.1:{foreign.port}/x").infer(X, context) == {}
    ((headers, body),) = foreign.taken
    sent = orjson.loads(body)
    assert sent["inputs"] == [{"name": "x", "datatype": "INT64", "shape": [1, 2], "data": [1, 2]}]
    assert (sent["id"].startswith("r1~m~"), sent["parameters"]) == (True, {"temperature": 0.5})
    assert (headers["content-type"], headers[h.TRACEPARENT]) == ("application/json", "00-ab-cd-01")


def test_members_that_the_protocol_does_not_have_are_ignored(foreign: Foreign, remote: Make) -> None:
    output = {"name": "predict", "shape": [1, 1], "datatype": "INT64", "parameters": {"content_type": "np"}}
    foreign.answer = orjson.dumps({"model_name": "x", "took": 3, "outputs": [{**output, "data": [8], "unit": "m"}]})
    outputs = remote(f"oip+http://127.0.0.1:{foreign.port}/x").infer(X, Context("r1"))
    assert outputs["predict"].tolist() == [[8]]


@pytest.mark.parametrize(
    ("status", "content", "headers", "text"),
    [
        (503, b"busy", {}, "answered 503: busy"),
        (422, b'{"detail":"x"}', {}, 'answered 422: {"detail":"x"}'),
        (500, b"", {}, "answered 500: no text"),
        (200, b"<html>", {}, "is no answer: body is not JSON"),
        (200, b"{}", {}, "is no answer: outputs is missing, expected an array"),
        (200, b'{"outputs":[{"name":"y"}]}', {}, "is no answer: outputs[0].datatype is missing"),
        (200, b'{"outputs":[]}', {"Inference-Header-Content-Length": "99"}, "is '99', but the body has 14 bytes"),
    ],
)
def test_a_foreign_answer_that_cannot_be_used_is_told(
    foreign: Foreign, remote: Make, status: int, content: bytes, headers: dict[str, str], text: str
) -> None:
    foreign.status, foreign.answer, foreign.headers = status, content, headers
    with pytest.raises(ModelError) as raised:
        remote(f"oip+http://127.0.0.1:{foreign.port}/x").infer(X, Context("r1"))
    assert text in str(raised.value)


def test_a_server_that_does_not_answer_is_given_up(foreign: Foreign, remote: Make) -> None:
    foreign.release.clear()
    runtime = remote(f"oip+http://127.0.0.1:{foreign.port}/x", timeout_ms="50")
    with pytest.raises(ModelError, match="did not answer within 50 ms"):
        runtime.infer(X, Context("r1"))


def test_a_call_waits_no_longer_than_its_caller(foreign: Foreign, remote: Make) -> None:
    foreign.release.clear()
    runtime = remote(f"oip+http://127.0.0.1:{foreign.port}/x")
    context = Context("r1", {h.DEADLINE: b"%d" % (wall_clock_ms() + 100)})
    with pytest.raises(ModelError, match=r"did not answer within \d{1,3} ms"):
        runtime.infer(X, context)
    with pytest.raises(ModelError, match="was not called: the request's deadline is over"):
        runtime.infer(X, Context("r1", {h.DEADLINE: b"1"}))


def test_a_server_that_is_not_there_is_told(remote: Make) -> None:
    runtime = remote("oip+http://127.0.0.1:1/x")
    with pytest.raises(ModelError, match=r"model 'm', served as 'x' at 127\.0\.0\.1:1, cannot be reached: "):
        runtime.infer(X, Context("r1"))
