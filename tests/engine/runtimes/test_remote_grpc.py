"""Models on another server over gRPC, against a real server."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from dfml import headers as h
from dfml.errors import ModelError
from dfml.inference.codec import decode_tensors, encode_response
from dfml.inference.oip_pb2 import InferRequest, InferResponse
from dfml_engine.runtimes.base import Context

grpc = pytest.importorskip("grpc", reason="grpcio is not installed (extra grpc)")

Make = Callable[..., Any]
X = {"x": np.array([[1, 2]], dtype=np.float32), "t": np.array([b"a", b"\xff"], dtype=object)}


@dataclass
class Server:
    """A server of one model: what it answers, and the requests it was sent."""

    answer: Callable[[InferRequest], InferResponse]
    taken: list[tuple[InferRequest, dict[str, str]]] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    async def infer(self, request: InferRequest, context: Any) -> InferResponse:
        self.taken.append((request, dict(context.invocation_metadata())))
        if request.model_name == "held":
            await self.release.wait()
        if request.model_name != "x":
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no model {request.model_name}")
        return self.answer(request)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    made = Server(lambda request: encode_response(decode_tensors(request), model_name="x", request_id=request.id))
    handler = grpc.unary_unary_rpc_method_handler(
        made.infer,
        request_deserializer=InferRequest.FromString,
        response_serializer=InferResponse.SerializeToString,
    )
    listening = grpc.aio.server(options=(("grpc.max_receive_message_length", -1),))
    service = grpc.method_handlers_generic_handler("inference.GRPCInferenceService", {"ModelInfer": handler})
    listening.add_generic_rpc_handlers((service,))
    made.port = listening.add_insecure_port("127.0.0.1:0")
    await listening.start()
    yield made
    made.release.set()
    await listening.stop(None)


async def test_tensors_go_there_and_back(server: Server, remote: Make) -> None:
    runtime = remote(f"oip+grpc://127.0.0.1:{server.port}/x")
    outputs = await asyncio.to_thread(runtime.infer, X, Context("r1", {h.TRACEPARENT: b"00-ab-cd-01"}))
    for name, sent in X.items():
        np.testing.assert_array_equal(outputs[name], sent)
    ((request, metadata),) = server.taken
    assert (request.model_name, request.id.startswith("r1~m~")) == ("x", True)
    assert metadata[h.TRACEPARENT] == "00-ab-cd-01"


async def test_typed_contents_are_read(server: Server, remote: Make) -> None:
    response = InferResponse(model_name="x")
    response.tensors.add(name="y", datatype="FP32", shape=[2]).contents.fp32_contents[:] = [1, 2]
    server.answer = lambda _: response
    outputs = await asyncio.to_thread(remote(f"oip+grpc://127.0.0.1:{server.port}/x").infer, X, Context("r1"))
    assert outputs["y"].tolist() == [1, 2]


async def test_an_answer_over_four_megabytes_arrives(server: Server, remote: Make) -> None:
    big = {"x": np.zeros(2_000_000, dtype=np.float32)}
    outputs = await asyncio.to_thread(remote(f"oip+grpc://127.0.0.1:{server.port}/x").infer, big, Context("r1"))
    assert outputs["x"].nbytes == 8_000_000


async def test_an_error_has_the_servers_code_and_text(server: Server, remote: Make) -> None:
    text = r"model 'm', served as 'y' at 127\.0\.0\.1:\d+, answered NOT_FOUND: no model y"
    with pytest.raises(ModelError, match=text):
        await asyncio.to_thread(remote(f"oip+grpc://127.0.0.1:{server.port}/y").infer, X, Context("r1"))


async def test_an_answer_with_wrong_contents_is_told(server: Server, remote: Make) -> None:
    response = encode_response({"y": np.zeros(2)}, model_name="x", request_id="1")
    response.tensors[0].shape[0] = 3
    server.answer = lambda _: response
    with pytest.raises(ModelError, match=r"is no answer: tensor 'y': shape \[3\] needs 3 elements, got 2"):
        await asyncio.to_thread(remote(f"oip+grpc://127.0.0.1:{server.port}/x").infer, X, Context("r1"))


async def test_a_server_that_does_not_answer_is_given_up(server: Server, remote: Make) -> None:
    runtime = remote(f"oip+grpc://127.0.0.1:{server.port}/held", timeout_ms="100")
    with pytest.raises(ModelError, match="answered DEADLINE_EXCEEDED: "):
        await asyncio.to_thread(runtime.infer, X, Context("r1"))


async def test_a_server_that_is_not_there_is_told(remote: Make) -> None:
    with pytest.raises(ModelError, match="answered UNAVAILABLE: "):
        await asyncio.to_thread(remote("oip+grpc://127.0.0.1:1/x").infer, X, Context("r1"))


async def test_a_step_is_served_over_grpc(server: Server, stack: Make, texts: Any) -> None:
    async with stack() as calls:
        far = texts.model("far", "x").replace("python:engine_models:x", f"oip+grpc://127.0.0.1:{server.port}/x")
        calls.load(far, texts.pipeline("p", "{steps: [{name: far}], output: {steps: [far]}}"))
        assert await calls.ask("p", {"x": [1, 2]}) == {"x": [1, 2]}


def test_without_grpcio_the_model_is_refused_with_the_extra_to_install(
    remote: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(ModelError, match="grpcio is not installed; install dfml with its extra 'grpc'"):
        remote("oip+grpc://127.0.0.1:1/x")
