"""The tap on a real Kafka: what is lost there, and what it needs no right for."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition as KafkaPlace
from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, AdminClient, ResourcePatternType
from confluent_kafka.admin import ResourceType as Kind

from dfml.lineage.audit import audit
from dfml.lineage.lookup import request_entries
from dfml.lineage.store import LineageStore
from dfml.lineage.tap import Tap
from dfml.log import Log, TopicConfig
from dfml.log.kafka import KafkaLog
from dfml.record import Append, Position, TopicName
from dfml.settings import ClientProperties, KafkaOptions
from dfml.topics import Topics
from tests.conftest import SecureKafka


@pytest.fixture
def topics() -> Topics:
    return Topics(namespace=f"t{uuid.uuid4().hex[:8]}")


@pytest.fixture
def store(tmp_path: Path, topics: Topics) -> Iterator[LineageStore]:
    with LineageStore(tmp_path / "lineage.db", topics=topics) as opened:
        yield opened


def send(log: Log, topic: TopicName, *keys: bytes) -> None:
    log.append([Append(topic, 0, key, b"v") for key in keys])


def step_until(tap: Tap, store: LineageStore, request: str) -> None:
    for _ in range(100):
        tap.step(0.1)
        if request_entries(store, request):
            return
    pytest.fail(f"the tap never brought {request}")


def test_what_was_removed_before_the_tap_read_it_is_named(
    kafka_address: str, topics: Topics, store: LineageStore
) -> None:
    servers, topic = kafka_address.removeprefix("kafka://"), topics.pipeline_inputs("p")
    with KafkaLog(KafkaOptions(servers)) as log:
        log.create_topics([TopicConfig(topic)])
        send(log, topic, b"r0")
        tap = Tap(log, store, topics)
        step_until(tap, store, "r0")
        send(log, topic, b"r1", b"r2")
        removed = KafkaPlace(topic, 0, 4)
        admin = AdminClient({"bootstrap.servers": servers})
        admin.delete_records([removed])[removed].result(20)
        send(log, topic, b"r3")
        step_until(Tap(log, store, topics), store, "r3")
    (loss,) = audit(store).losses
    # The transaction's marker at 1 is none of the records, but who has not read it cannot know.
    assert (loss.first, loss.end_offset) == (Position(topic, 0, 1), 4)


def test_the_tap_needs_the_right_to_read_topics_alone(
    secure_kafka: SecureKafka, topics: Topics, store: LineageStore
) -> None:
    topic = topics.pipeline_inputs("p")
    prefix, rights = f"{topics.prefix}.{topics.namespace}.", (AclOperation.READ, AclOperation.DESCRIBE_CONFIGS)
    lists = [
        AclBinding(
            Kind.TOPIC, prefix, ResourcePatternType.PREFIXED, "User:stranger", "*", right, AclPermissionType.ALLOW
        )
        for right in rights
    ]
    admin = AdminClient({"bootstrap.servers": secure_kafka.plain_servers})
    for made in admin.create_acls(lists).values():
        made.result(20)
    with KafkaLog(KafkaOptions(secure_kafka.plain_servers)) as log:
        log.create_topics([TopicConfig(topic)])
        send(log, topic, b"r0")
    options = KafkaOptions(secure_kafka.servers, ClientProperties(secure_kafka.client("stranger")))
    with KafkaLog(options, read_only=True) as log:
        tap = Tap(log, store, topics)
        step_until(tap, store, "r0")
        for _ in range(20):
            tap.step(0.1)
        tap.close()
    assert [entry.position for entry in request_entries(store, "r0")] == [Position(topic, 0, 0)]
