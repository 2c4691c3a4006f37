"""What happens to a stack on Kafka whose topics are changed by others: it goes on, and says what is wrong."""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from dfml.topics import Topics

STEP = "{steps: [{name: m}], output: {steps: [m]}}"
HALF = """{steps: [{name: o}, {name: s}], output:
    {steps: [o.outputs.OUT, s.outputs.NEG], stepsJoin: outer, joinWindowMs: 200}}"""


@pytest.fixture
def namespace() -> Topics:
    return Topics(namespace=f"t{uuid.uuid4().hex[:8]}")


@pytest.fixture
def on_kafka(stack: Callable, kafka_address: str, namespace: Topics) -> Callable[..., AbstractAsyncContextManager[Any]]:
    """Start a stack in the test's namespace of the broker."""

    def start(**settings: Any) -> AbstractAsyncContextManager[Any]:
        return stack(log=kafka_address, namespace=namespace.namespace, partitions=2, **settings)

    return start


@pytest.fixture
async def admin(kafka_address: str) -> AsyncIterator[AdminClient]:
    yield AdminClient({"bootstrap.servers": kafka_address.removeprefix("kafka://")})


@pytest.fixture
def write(kafka_address: str) -> Callable[..., None]:
    """Write records as a client of somebody else's would."""

    def produce(topic: str, *values: bytes | None, **more: Any) -> None:
        producer = Producer({"bootstrap.servers": kafka_address.removeprefix("kafka://")})
        for value in values:
            producer.produce(topic, value, partition=0, **more)
        assert producer.flush(20) == 0

    return produce


async def test_a_topic_that_is_deleted_by_others_does_not_keep_windows_open(
    on_kafka: Callable, admin: AdminClient, namespace: Topics, texts: Any
) -> None:
    async with on_kafka() as calls:
        calls.load(texts.model("m", "add1"), texts.model("o", "add100"), texts.model("s", "sign"))
        calls.load(texts.pipeline("p", STEP), texts.pipeline("q", HALF))
        gone = namespace.model_outputs("m")
        admin.delete_topics([gone], operation_timeout=10)[gone].result()
        assert await calls.ask("q", {"X": [1]}) == {"OUT": [101]}
        status, text = await calls.ask("p", {"X": [1]})
        assert (status, gone in text) == (503, True)


@pytest.mark.parametrize("topic", ["errors", "specs", "status", "owners", "fates"])
async def test_garbage_on_a_topic_of_ours_is_passed_over(
    on_kafka: Callable, namespace: Topics, texts: Any, write: Callable, topic: str
) -> None:
    async with on_kafka() as calls:
        calls.load(texts.model("m", "add1"), texts.pipeline("p", STEP))
        assert await calls.ask("p", {"X": [1]}) == {"OUT": [2]}
        junk = (None, b"", b"\xff\xfe", b"{}", b"[1]", b'{"kind": "Gizmo"}')
        write(getattr(namespace, topic), *junk, key=b"\xff/\x00", headers=[("d-parents", b"\xff@x"), ("empty", None)])
        assert await calls.ask("p", {"X": [2]}) == {"OUT": [3]}
