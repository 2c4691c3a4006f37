"""An app in a running stack: its documents loaded, its pipelines called."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dfml.inference.codec import decode_tensors, encode_request
from dfml.inference.oip_pb2 import InferResponse
from dfml.record import Record, TopicPartition
from dfml.settings import Settings
from dfml.spec.schema import AnyResource
from dfml_engine.gateways.api import Answer, SubmitOptions
from dfml_engine.stack import Stack

Tensors = Mapping[str, Any]


@dataclass
class App:
    """A stack with an app's documents."""

    stack: Stack

    async def ask(self, pipeline: str, tensors: Tensors, request_id: str | None = None) -> dict[str, Any]:
        """Return the answer's tensors."""
        submission = self.submit(pipeline, tensors, request_id)
        answer = await self.stack.gateway.result(submission)
        assert answer.status == 200, answer.value.decode()
        return decode_tensors(InferResponse.FromString(answer.value))

    async def ask_all(self, pipeline: str, items: Sequence[Tensors], prefix: str = "r") -> list[dict[str, Any]]:
        """Return the answers to requests that are on their way together."""
        return await asyncio.gather(*(self.ask(pipeline, item, f"{prefix}-{n}") for n, item in enumerate(items)))

    def submit(self, pipeline: str, tensors: Tensors, request_id: str | None = None) -> Any:
        request = encode_request(tensors, model_name="", request_id="")
        return self.stack.gateway.submit(pipeline, request, SubmitOptions(request_id))

    async def answer_of(self, pipeline: str, request_id: str) -> dict[str, Any]:
        """Return the tensors of a request that nobody waits for, once it is answered."""
        await self.wait_for_records(f"pipeline.{pipeline}.outputs", 1)
        answer = await self.stack.gateway.lookup(pipeline, request_id)
        assert isinstance(answer, Answer)
        return decode_tensors(InferResponse.FromString(answer.value))

    async def wait_for_records(self, short: str, n_records: int) -> list[Record]:
        """Return all records of a topic once there are that many."""
        async with asyncio.timeout(10):
            while len(found := self.records(short)) < n_records:  # noqa: ASYNC110 - the log has no event to await
                await asyncio.sleep(0.005)
        return found

    def records(self, short: str) -> list[Record]:
        """Return all records of a topic."""
        place = TopicPartition(self.stack.topics.expand(short), 0)
        reader = self.stack.log.reader()
        try:
            reader.assign(self.stack.log.beginning([place]))
            end, found = self.stack.log.end([place])[place], []
            while reader.positions()[place] < end:
                found += reader.poll(1_000, 1.0)
            return found
        finally:
            reader.close()


@pytest.fixture
def run_app(tmp_path: Path) -> Callable[..., Any]:
    """Start a stack with an app's resources: ``async with run_app(resources) as app``."""

    @asynccontextmanager
    async def start(resources: Sequence[AnyResource], **settings: Any) -> AsyncIterator[App]:
        chosen = Settings(log=f"sqlite:///{tmp_path}/log.db", rest_port=0, tap=False, **settings)
        async with Stack(chosen) as stack:
            stack.load(resources)
            yield App(stack)

    return start
