"""A broker with users tells a wrong password, a foreign authority and a missing right apart."""

import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from experiments.kafka_broker import make_security
from tests.conftest import SecureKafka

MINE, FOREIGN = "seldon.claims", "other.claims"


@pytest.fixture(scope="module", autouse=True)
def topics(secure_kafka: SecureKafka) -> None:
    admin = AdminClient({"bootstrap.servers": secure_kafka.plain_servers})
    for made in admin.create_topics([NewTopic(MINE, 1, 1), NewTopic(FOREIGN, 1, 1)]).values():
        made.result(20)


def first_error(secure_kafka: SecureKafka, properties: dict[str, str]) -> KafkaError:
    """Return the first thing that a client with these properties is told."""
    told: list[KafkaError] = []
    admin = AdminClient({"bootstrap.servers": secure_kafka.servers, **properties, "error_cb": told.append})
    deadline = time.monotonic() + 20
    while not told and time.monotonic() < deadline:
        admin.poll(0.1)
    return told[0]


def send(secure_kafka: SecureKafka, user: str, topic: str) -> KafkaError | None:
    """Send a record as a user; return why it was refused."""
    reports: list[KafkaError | None] = []
    properties = {"bootstrap.servers": secure_kafka.servers, **secure_kafka.client(user), "enable.idempotence": True}
    producer = Producer(properties)
    producer.produce(topic, b"v", on_delivery=lambda error, _: reports.append(error))
    assert producer.flush(20) == 0
    return reports[0]


def read(secure_kafka: SecureKafka, user: str, topic: str, group: str) -> bytes:
    """Read a topic's first record as a member of a group, and commit its position."""
    properties = {"bootstrap.servers": secure_kafka.servers, **secure_kafka.client(user), "group.id": group}
    consumer = Consumer({**properties, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    try:
        record = consumer.poll(60)
        if record.error():
            raise KafkaException(record.error())
        consumer.commit(record, asynchronous=False)
        return record.value()
    finally:
        consumer.close()


def test_a_user_with_rights_makes_topics_writes_reads_and_commits(secure_kafka: SecureKafka) -> None:
    admin = AdminClient({"bootstrap.servers": secure_kafka.servers, **secure_kafka.client("claims")})
    admin.create_topics([NewTopic("seldon.made", 1, 1)])["seldon.made"].result(20)
    assert send(secure_kafka, "claims", "seldon.made") is None
    assert read(secure_kafka, "claims", "seldon.made", "seldon.reader") == b"v"


def test_a_user_with_rights_writes_in_transactions_of_its_prefix(secure_kafka: SecureKafka) -> None:
    properties = {"bootstrap.servers": secure_kafka.servers, **secure_kafka.client("claims")}
    producer = Producer({**properties, "transactional.id": "seldon.writer"})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(MINE, b"v")
    producer.commit_transaction(20)
    with pytest.raises(KafkaException, match="TRANSACTIONAL_ID_AUTHORIZATION_FAILED"):
        Producer({**properties, "transactional.id": "other.writer"}).init_transactions(20)


def test_a_wrong_password_is_an_authentication_error(secure_kafka: SecureKafka) -> None:
    error = first_error(secure_kafka, secure_kafka.client("claims", sasl_password="wrong"))
    assert error.code() == KafkaError._AUTHENTICATION
    assert "invalid credentials" in error.str()


def test_an_unknown_authority_is_a_tls_error(secure_kafka: SecureKafka, tmp_path: Path) -> None:
    other = make_security(tmp_path, [])
    error = first_error(secure_kafka, secure_kafka.client("claims", ssl_ca_location=str(other.authority)))
    # The client's report is a race of its own: at times the broken connection comes first, with the same words.
    assert error.code() in {KafkaError._SSL, KafkaError._TRANSPORT}
    assert "certificate verify failed" in error.str()


@pytest.mark.parametrize(("user", "topic"), [("stranger", MINE), ("claims", FOREIGN)])
def test_a_user_without_the_right_cannot_write_a_topic(secure_kafka: SecureKafka, user: str, topic: str) -> None:
    error = send(secure_kafka, user, topic)
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_a_user_without_the_right_cannot_make_a_topic(secure_kafka: SecureKafka) -> None:
    admin = AdminClient({"bootstrap.servers": secure_kafka.servers, **secure_kafka.client("stranger")})
    with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
        admin.create_topics([NewTopic("seldon.unmade", 1, 1)])["seldon.unmade"].result(20)


@pytest.mark.parametrize(("user", "group"), [("claims", "other.reader"), ("stranger", "seldon.reader")])
def test_a_user_without_the_right_cannot_be_of_a_group(secure_kafka: SecureKafka, user: str, group: str) -> None:
    with pytest.raises(KafkaException, match="GROUP_AUTHORIZATION_FAILED"):
        read(secure_kafka, user, MINE, group)


def test_a_user_without_the_right_is_told_when_it_asks_for_a_topic(secure_kafka: SecureKafka) -> None:
    # Only then: a consumer that is assigned such a topic by hand polls in vain; asked for its end, it says that there
    # is no such partition.
    admin = AdminClient({"bootstrap.servers": secure_kafka.servers, **secure_kafka.client("claims")})
    error = admin.list_topics(FOREIGN, 20).topics[FOREIGN].error
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
