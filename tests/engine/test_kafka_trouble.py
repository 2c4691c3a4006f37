"""What happens to a stack on Kafka whose topics are changed by others: it goes on, and says what is wrong."""

import socket
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from dfml import headers as h
from dfml.errors import ConflictError, LogError, LogUnavailableError, PayloadTooLargeError
from dfml.log import Membership
from dfml.log.kafka import KafkaLog
from dfml.operations.owners import Owner
from dfml.settings import ClientProperties
from dfml.topics import Topics
from dfml_engine.alone import company_problem
from dfml_engine.parts import Part

STEP = "{steps: [{name: m}], output: {steps: [m]}}"
HALF = """{steps: [{name: o}, {name: s}], output:
    {steps: [o.outputs.OUT, s.outputs.NEG], stepsJoin: outer, joinWindowMs: 200}}"""


@pytest.fixture
def namespace() -> Topics:
    return Topics(namespace=f"t{uuid.uuid4().hex[:8]}")


@pytest.fixture
def on_kafka(stack: Callable, kafka_address: str, namespace: Topics, wait: Callable) -> Callable[..., Any]:
    """Start a stack in the test's namespace of the broker, and wait until it owns what it works on."""

    @asynccontextmanager
    async def start(**settings: Any) -> AsyncIterator[Any]:
        async with stack(log=kafka_address, namespace=namespace.namespace, partitions=2, **settings) as calls:
            await wait(lambda: calls.stack.parts.share.among(2) == [0, 1], timeout_s=60)
            yield calls

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


async def test_a_topic_that_others_made_again_while_nobody_looked_is_read_from_its_beginning(
    on_kafka: Callable, admin: AdminClient, namespace: Topics, texts: Any, wait: Callable
) -> None:
    again = namespace.model_outputs("m")
    async with on_kafka() as calls:
        calls.load(texts.model("m", "add1"), texts.pipeline("p", STEP))
        for value in range(8):
            assert await calls.ask("p", {"X": [value]}) == {"OUT": [value + 1]}
    admin.delete_topics([again], operation_timeout=10)[again].result()
    await wait(lambda: again not in admin.list_topics(timeout=10).topics, timeout_s=20)
    admin.create_topics([NewTopic(again, 2, 1)])[again].result(20)
    async with on_kafka() as calls:
        await wait(lambda: "p" in calls.stack.gateway.pipelines(), timeout_s=20)
        for value in range(8):
            assert await calls.ask("p", {"X": [value]}) == {"OUT": [value + 1]}


@pytest.mark.parametrize("topic", ["model_inputs", "model_outputs", "pipeline_inputs", "pipeline_outputs"])
async def test_garbage_on_a_data_topic_fails_alone(
    on_kafka: Callable, namespace: Topics, texts: Any, write: Callable, topic: str
) -> None:
    async with on_kafka() as calls:
        calls.load(texts.model("m", "add1"), texts.pipeline("p", STEP))
        assert await calls.ask("p", {"X": [1]}) == {"OUT": [2]}
        name = getattr(namespace, topic)("p" if topic.startswith("pipeline") else "m")
        ours = [(h.PIPELINE, b"p"), (h.VERSION, b"1"), (h.PARENTS, b"\xff@x"), ("empty", None)]
        for headers in ([], ours):
            write(name, None, b"", b"\xff\xfe", b"{}", key=b"\xff/\x00", headers=headers)
        for value in range(4):
            assert await calls.ask("p", {"X": [value]}) == {"OUT": [value + 1]}


async def test_a_stack_whose_log_goes_while_it_starts_waits_for_it(
    on_kafka: Callable, texts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    join, n_calls = KafkaLog.join, count()

    def join_later(log: KafkaLog, *given: Any) -> Membership:
        if not next(n_calls):
            msg = "no broker"
            raise LogUnavailableError(msg)
        return join(log, *given)

    monkeypatch.setattr(KafkaLog, "join", join_later)
    async with on_kafka() as calls:
        calls.load(texts.model("m", "add1"), texts.pipeline("p", STEP))
        assert await calls.ask("p", {"X": [1]}) == {"OUT": [2]}


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


async def test_what_is_larger_than_the_limit_fails_its_request_alone(
    on_kafka: Callable, namespace: Topics, texts: Any
) -> None:
    async with on_kafka(max_record_bytes=20_000) as calls:
        calls.load(texts.model("m", "total"), texts.model("o", "repeat"), texts.pipeline("p", STEP))
        calls.load(texts.pipeline("q", "{steps: [{name: o}], output: {steps: [o]}}"))
        with pytest.raises(PayloadTooLargeError, match=r"pipeline\.p\.inputs\[.\] is over the limit of 20,000 bytes"):
            await calls.ask("p", {"X": [1.0] * 6_000})
        status, text = await calls.ask("q", {"X": [1.0] * 3_000})
        assert (status, f"'{namespace.model_outputs('o')}' does not take it" in text) == (500, True)
        assert "over the limit of 20,000 bytes (setting max_record_bytes)" in text
        for value in range(4):
            assert await calls.ask("p", {"X": [value]}) == {"OUT": [value], "N": [1]}


@pytest.mark.parametrize("delivery", ["identity", "transactional"])
async def test_a_topic_with_a_lower_limit_of_its_own_fails_the_request_and_is_not_stuck(
    on_kafka: Callable, admin: AdminClient, namespace: Topics, texts: Any, delivery: str
) -> None:
    there = namespace.model_outputs("m")
    new = NewTopic(there, 2, 1, config={"max.message.bytes": "100000"})
    admin.create_topics([new])[there].result(20)
    async with on_kafka(delivery=delivery) as calls:
        calls.load(texts.model("m", "repeat"), texts.pipeline("p", STEP))
        status, text = await calls.ask("p", {"X": [1.0] * 20_000})
        assert (status, "is over the topic's limit; raise its max.message.bytes" in text) == (500, True)
        for value in range(4):
            assert await calls.ask("p", {"X": [value]}) == {"OUT": [value] * 3}


async def test_topics_that_exist_are_used_as_they_are(
    on_kafka: Callable, admin: AdminClient, namespace: Topics, texts: Any
) -> None:
    there = namespace.model_inputs("m")
    admin.create_topics([NewTopic(there, 2, 1, config={"retention.ms": "77777777"})])[there].result(20)
    async with on_kafka(retention_ms=3_600_000, kafka=ClientProperties({"compression.type": "zstd"})) as calls:
        calls.load(texts.model("m", "add1"), texts.pipeline("p", STEP))
        assert await calls.ask("p", {"X": [1]}) == {"OUT": [2]}
        kept = {name: config.retention_ms for name, config in calls.stack.log.topics().items()}
    assert (kept[there], kept[namespace.model_outputs("m")]) == (77_777_777, 3_600_000)


async def test_more_replicas_than_brokers_are_refused_with_both_numbers(on_kafka: Callable) -> None:
    with pytest.raises(LogError, match=r"control\.specs' with 3 replicas .* only 1 broker"):
        async with on_kafka(replication=3):
            pass


def owner(part: str, host: str = "elsewhere", pid: int = 1) -> Owner:
    return Owner(part, f"{host}-{pid}", host, pid, (0, 1), 1, (), "http://elsewhere:8080")


def test_a_whole_stack_is_alone() -> None:
    whole = [owner(part.value) for part in Part]
    mine = [owner(part.value, "here", 2) for part in Part]
    told = company_problem(mine, whole + mine, 3)
    assert told.startswith(
        "process elsewhere-1 (engine, model-gateway, pipeline-gateway), which answers at http://else"
    )
    assert "and process elsewhere-1 (engine) is at work in it" in company_problem(mine, whole[:1], 3)
    assert "is a whole stack" in company_problem(mine[:1], whole, 3)


def test_single_parts_are_in_company() -> None:
    others = [owner("engine"), owner("model-gateway", pid=2)]
    assert company_problem([owner("engine", "here", 2)], others, 3) == ""


def test_who_died_on_this_machine_holds_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    dead = [owner(part.value, socket.gethostname(), ended.pid) for part in Part]
    assert company_problem([owner(part.value, "here", 2) for part in Part], dead, 3) == ""


async def test_a_whole_stack_beside_another_is_refused(on_kafka: Callable, namespace: Topics, write: Callable) -> None:
    async with on_kafka():
        for other in [owner(part.value) for part in Part]:
            append = other.to_append(namespace)
            write(append.topic, append.value, key=append.key)
    with pytest.raises(ConflictError, match="process elsewhere-1 .* has the namespace for itself"):
        async with on_kafka():
            pass
