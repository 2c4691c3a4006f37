"""What happens to a stack on Kafka whose topics are changed by others: it goes on, and says what is wrong."""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from dfml.errors import ConflictError
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
        assert await calls.ask("q", {"X": [2]}) == {"OUT": [102]}


async def test_a_topic_that_is_deleted_by_others_is_read_from_its_beginning_when_it_is_loaded_again(
    on_kafka: Callable, admin: AdminClient, namespace: Topics, texts: Any, wait: Callable
) -> None:
    async with on_kafka() as calls:
        documents = texts.model("m", "add1"), texts.pipeline("p", STEP)
        calls.load(*documents)
        for value in range(8):
            assert await calls.ask("p", {"X": [value]}) == {"OUT": [value + 1]}
        gone = namespace.model_outputs("m")
        admin.delete_topics([gone], operation_timeout=10)[gone].result()
        assert (await calls.ask("p", {"X": [1]}))[0] == 503
        calls.load(*documents)
        for value in range(8):
            assert await calls.ask("p", {"X": [value]}) == {"OUT": [value + 1]}


async def test_partitions_added_by_hand_harm_no_request_and_are_refused_at_the_next_start(
    on_kafka: Callable, admin: AdminClient, namespace: Topics, texts: Any
) -> None:
    async with on_kafka() as calls:
        calls.load(texts.model("m", "add1"), texts.pipeline("p", STEP))
        grown = namespace.model_inputs("m")
        admin.create_partitions([NewPartitions(grown, 6)])[grown].result()
        for value in range(8):
            assert await calls.ask("p", {"X": [value]}) == {"OUT": [value + 1]}
    with pytest.raises(ConflictError, match=rf"here 2, but not '{grown}' \(6\)"):
        async with on_kafka():
            pass


@pytest.mark.parametrize("topic", ["errors", "specs", "status", "owners", "fates"])
async def test_garbage_on_a_topic_of_ours_is_passed_over(
    on_kafka: Callable, namespace: Topics, texts: Any, write: Callable, wait: Callable, topic: str
) -> None:
    async with on_kafka() as calls:
        calls.load(texts.model("m", "add1"), texts.pipeline("p", STEP))
        assert await calls.ask("p", {"X": [1]}) == {"OUT": [2]}
        junk = (None, b"", b"\xff\xfe", b"{}", b"[1]", b'{"kind": "Gizmo"}')
        write(getattr(namespace, topic), *junk, key=b"\xff/\x00", headers=[("d-parents", b"\xff@x"), ("empty", None)])
        assert await calls.ask("p", {"X": [2]}) == {"OUT": [3]}
        if topic in {"specs", "status", "owners"}:
            # An empty value of the owners topic takes an owner back.
            n_expected = len(junk) - 2 * (topic == "owners")
            await wait(lambda: calls.stack.parts.registry.n_unreadable == n_expected)
