"""Desks for tasks, stacks on a temporary log, and readable forms of what the engine writes."""

import asyncio
import importlib
import resource
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import orjson
import pytest

from dfml import headers as h
from dfml.inference.codec import encode_request, encode_response, iterate_tensors
from dfml.inference.oip_pb2 import InferRequest, InferResponse
from dfml.log import open_log
from dfml.record import Append, Record, TopicName, TopicPartition
from dfml.settings import Settings
from dfml.spec import parse_resources
from dfml.topics import Topics
from dfml_engine.gateways.api import Answer, SubmitOptions
from dfml_engine.recovery import Sent
from dfml_engine.registry import LoadedSpec
from dfml_engine.stack import Stack
from dfml_engine.task import Task
from dfml_engine.topology import Topology, compile_pipeline
from dfml_engine.writing import Writer

HERE = Path(__file__).parent
TOPICS = Topics()
API = "apiVersion: mlops.seldon.io/v1alpha1\n"
Tensors = Mapping[str, Sequence[float]]


def pipeline_text(name: str, spec: str) -> str:
    return f"{API}kind: Pipeline\nmetadata: {{name: {name}}}\nspec: {spec.strip()}\n"


def model_text(name: str, function: str, **more: object) -> str:
    spec = {"storageUri": f"python:engine_models:{function}", **more}
    return f"{API}kind: Model\nmetadata: {{name: {name}}}\nspec: {orjson.dumps(spec).decode()}\n"


def documents(*texts: str) -> list[Any]:
    return parse_resources("---\n".join(texts), source="test")


def compiled(name: str, spec: str, version: int = 1) -> Topology:
    return compile_pipeline(documents(pipeline_text(name, spec))[0], version, TOPICS)


def arrays(tensors: Tensors) -> dict[str, Any]:
    return {name: np.asarray(values, dtype=np.float32) for name, values in tensors.items()}


def read_tensors(kind: type, value: bytes) -> dict[str, list[float]]:
    return {name: array.tolist() for name, array in iterate_tensors(kind.FromString(value))}


def request_of(tensors: Tensors, request_id: str = "") -> InferRequest:
    return encode_request(arrays(tensors), model_name="", request_id=request_id)


def spec_record(kind: str, name: str, version: int, resource: Any) -> tuple[bytes, bytes]:
    """Return key and value of the record that says: this is loaded."""
    append = LoadedSpec(kind, name, version, resource, 0).to_append(TOPICS)
    return append.key, append.value


@dataclass
class Written:
    """What a task wrote, in the words of the tests: firings, drops and errors."""

    fired: list[tuple[str, dict[str, list[float]]]] = field(default_factory=list)
    drops: list[tuple[str, str, str]] = field(default_factory=list)
    missing: list[list[str]] = field(default_factory=list)
    errors: list[tuple[str, str, str]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.fired or self.drops or self.errors)

    @classmethod
    def of(cls, appends: Sequence[Append]) -> "Written":
        written = cls()
        for append in appends:
            short, headers = TOPICS.shorten(append.topic), dict(append.headers)
            step = headers.get(h.STEP, b"").decode()
            if append.topic == TOPICS.fates:
                told = orjson.loads(append.value)
                written.drops.append((step, headers[h.PARENTS].decode(), told["reason"]))
                written.missing.append(told["missing"])
            elif append.topic == TOPICS.errors:
                written.errors.append((step, headers[h.ERROR_KIND].decode(), append.value.decode()))
            else:
                kind = InferRequest if short.endswith("inputs") else InferResponse
                written.fired.append((short, read_tensors(kind, append.value)))
        return written


@dataclass
class Desk:
    """A task with one pipeline, fed by hand: records in, what was written out. No log, no clock."""

    topology: Topology
    already: Sent | None = None
    partition: int = 0
    offsets: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def __post_init__(self) -> None:
        self.task = Task(Writer(TOPICS), self.already)
        self.appends: list[Append] = []

    def record(
        self,
        short: str,
        tensors: Tensors | bytes,
        request: str = "r1",
        *,
        at_ms: int = 0,
        headers: h.Headers = (),
        offset: int | None = None,
    ) -> Record:
        topology = self.topology
        encode = encode_request if short.endswith("inputs") else encode_response
        value = tensors
        if not isinstance(tensors, bytes):
            value = encode(arrays(tensors), model_name="", request_id=request).SerializeToString()
        named = (
            (h.PIPELINE, topology.pipeline.encode()),
            (h.VERSION, b"%d" % topology.version),
            (h.REQUEST, request.encode()),
        )
        if offset is None:
            offset, self.offsets[short] = self.offsets[short], self.offsets[short] + 1
        topic = TOPICS.expand(short)
        return Record(topic, self.partition, offset, request.encode(), value, named + headers, at_ms)

    def give(self, record: Record, topology: Topology | None = None) -> Written:
        topology = topology or self.topology
        self.task.arrive(topology, topology.feeds[record.topic], record)
        self.task.read(record)
        return self.take()

    def send(self, short: str, tensors: Tensors | bytes, request: str = "r1", **more: Any) -> Written:
        return self.give(self.record(short, tensors, request, **more))

    def fail(self, step: str, request: str = "r1", at_ms: int = 0) -> Written:
        record = self.record("errors.errors", b"boom", request, at_ms=at_ms, headers=((h.STEP, step.encode()),))
        self.task.fail(self.topology, step, record)
        self.task.read(record)
        return self.take()

    def close(self, now_ms: int) -> Written:
        self.task.close_windows(now_ms)
        return self.take()

    def take(self) -> Written:
        taken, self.task.appends = self.task.appends, []
        self.appends += taken
        return Written.of(taken)

    def committable(self, short: str) -> int:
        return self.task.committable(TOPICS.expand(short))


@pytest.fixture(scope="session")
def topics() -> Topics:
    return TOPICS


@pytest.fixture(scope="session")
def compile_spec() -> Callable[..., Topology]:
    return compiled


@pytest.fixture
def desk() -> Callable[..., Desk]:
    """Make a desk of a pipeline's name and spec (YAML in flow or block form)."""

    def make(spec: str, name: str = "p", version: int = 1, already: Sent | None = None) -> Desk:
        return Desk(compiled(name, spec, version), already)

    return make


# -- stacks -----------------------------------------------------------------------------------------------------------


@dataclass
class Calls:
    """What a test does with a running stack, in few words."""

    stack: Stack

    def load(self, *texts: str, from_beginning: bool = False) -> list[Any]:
        return self.stack.load(documents(*texts), from_beginning=from_beginning)

    def submit(self, pipeline: str, tensors: Tensors, request_id: str | None = None, **options: Any) -> Any:
        return self.stack.gateway.submit(pipeline, request_of(tensors), SubmitOptions(request_id, **options))

    async def infer(self, pipeline: str, tensors: Tensors, request_id: str | None = None, **options: Any) -> Answer:
        return await self.stack.gateway.result(self.submit(pipeline, tensors, request_id, **options))

    async def ask(self, pipeline: str, tensors: Tensors, request_id: str | None = None, **options: Any) -> Any:
        """Return the answer's tensors, or (status, text) of an error."""
        answer = await self.infer(pipeline, tensors, request_id, **options)
        return read_answer(answer)

    def records(self, short: str) -> list[Record]:
        return read_topic(self.stack, TOPICS.expand(short))

    def place(self, short: str, partition: int = 0) -> TopicPartition:
        return TopicPartition(TOPICS.expand(short), partition)

    def tensors(self, record: Record) -> dict[str, list[float]]:
        return read_tensors(InferRequest if record.topic.endswith("inputs") else InferResponse, record.value)

    def append(self, short: str, value: bytes, key: bytes = b"foreign", headers: h.Headers = ()) -> None:
        """Write as another process would: by a log of its own."""
        with open_log(self.stack.settings) as log:
            log.append([Append(TOPICS.expand(short), 0, key, value, headers)])


def read_answer(answer: Answer) -> Any:
    if answer.status == 200:
        return read_tensors(InferResponse, answer.value)
    return answer.status, answer.value.decode()


def read_topic(stack: Stack, topic: TopicName) -> list[Record]:
    known = stack.log.topics()
    places = [TopicPartition(topic, number) for number in range(known[topic].partitions)]
    ends = stack.log.end(places)
    reader = stack.log.reader()
    try:
        reader.assign(stack.log.beginning(places))
        records: list[Record] = []
        while any(position < ends[place] for place, position in reader.positions().items()):
            records += reader.poll(5_000, 1.0)
        return records
    finally:
        reader.close()


async def wait_until(condition: Callable[[], Any], timeout_s: float = 10.0) -> Any:
    """Return the condition's value once it is true; look again at each turn of the event loop."""
    async with asyncio.timeout(timeout_s):
        while not (value := condition()):  # noqa: ASYNC110 - a condition over any state has no event to await
            await asyncio.sleep(0.002)
        return value


@pytest.fixture
def wait() -> Callable[..., Any]:
    return wait_until


@pytest.fixture(scope="session")
def texts() -> Any:
    """Give the makers of documents: ``texts.pipeline``, ``texts.model``, ``texts.documents``."""

    class Texts:
        pipeline = staticmethod(pipeline_text)
        model = staticmethod(model_text)
        documents = staticmethod(documents)
        spec_record = staticmethod(spec_record)

    return Texts


@pytest.fixture
def models() -> ModuleType:
    """Give the module of the steps' code, its gates closed."""
    if str(HERE) not in sys.path:
        sys.path.append(str(HERE))
    module = importlib.import_module("engine_models")
    module.reset()
    return module


@pytest.fixture
def log_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/log.db"


@pytest.fixture
def small_files() -> Callable[..., Any]:
    """Make every file of this process full: nothing can grow any more, while the block runs."""

    @contextmanager
    def limit() -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit


@pytest.fixture
def stack(log_url: str, models: ModuleType) -> Callable[..., Any]:
    """Start a stack on the test's log: ``async with stack(partitions=2) as calls``."""

    @asynccontextmanager
    async def start(**settings: Any) -> AsyncIterator[Calls]:
        chosen = {"log": log_url, "rest_port": 0, "tap": False, "python_paths": (HERE,), **settings}
        async with Stack(Settings(**chosen)) as running:
            yield Calls(running)

    return start
