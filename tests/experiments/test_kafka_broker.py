"""A broker of one's own keeps its ports and data over a stop, a crash and a hang."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from experiments.kafka_broker import Broker, BrokerError, JarsError, fetch_jars
from tests.conftest import KAFKA_VERSION

STARTER = """
import signal, sys
from pathlib import Path
from experiments.kafka_broker import Broker
with Broker(Path(sys.argv[1]), version=sys.argv[2]) as broker:
    print(broker.pid, flush=True)
    signal.pause()
"""


@pytest.fixture(scope="module")
def broker(kafka_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    assert kafka_jars.is_dir()
    with Broker(tmp_path_factory.mktemp("broker"), version=KAFKA_VERSION) as started:
        yield started


@pytest.fixture
def admin(broker: Broker) -> AdminClient:
    return AdminClient({"bootstrap.servers": broker.servers, "log_level": 0})


def make_topic(admin: AdminClient, name: str) -> None:
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(10)


def send(broker: Broker, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": broker.servers, "log_level": 0})
    producer.produce(topic, value)
    assert producer.flush(20) == 0


def read(broker: Broker, topic: str) -> list[bytes]:
    settings = {"bootstrap.servers": broker.servers, "group.id": "reader", "enable.partition.eof": True}
    consumer = Consumer({**settings, "log_level": 0})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found = []
    while (record := consumer.poll(20)) is not None and not record.error():
        found.append(record.value())
    consumer.close()
    return found


def test_what_was_written_is_there_after_a_stop_and_after_a_crash(broker: Broker, admin: AdminClient) -> None:
    make_topic(admin, "kept")
    for end in (broker.stop, broker.kill):
        send(broker, "kept", b"v")
        end()
        broker.start()
    assert read(broker, "kept") == [b"v", b"v"]


def test_a_broker_that_hangs_answers_nothing_until_it_goes_on(broker: Broker, admin: AdminClient) -> None:
    broker.suspend()
    with pytest.raises(KafkaException):
        admin.list_topics(timeout=0.5)
    broker.resume()
    assert admin.list_topics(timeout=20).brokers


def test_no_topic_is_made_unasked(broker: Broker) -> None:
    producer = Producer({"bootstrap.servers": broker.servers, "log_level": 0})
    assert producer.list_topics("unasked", timeout=10).topics["unasked"].error is not None


def test_a_broker_does_not_outlive_who_started_it(kafka_jars: Path, tmp_path: Path) -> None:
    starter = subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path), KAFKA_VERSION], stdout=subprocess.PIPE)
    with starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        starter.kill()
    end = os.pidfd_open(pid)
    assert select.select([end], [], [], 30)[0], "the broker still runs"
    os.close(end)


def test_a_broker_that_ends_at_once_says_why(kafka_jars: Path, tmp_path: Path) -> None:
    broker = Broker(tmp_path, version=KAFKA_VERSION, properties={"num.io.threads": "0"})
    with pytest.raises(BrokerError, match=r"(?s)num\.io\.threads"):
        broker.start()


def test_a_version_that_does_not_exist_is_named(
    kafka_jars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(JarsError, match=r"could not fetch Apache Kafka 0\.0\.0"):
        fetch_jars("0.0.0")
    assert list((tmp_path / "dfml").iterdir()) == []


def test_tests_share_a_broker(kafka_address: str) -> None:
    servers = kafka_address.removeprefix("kafka://")
    assert AdminClient({"bootstrap.servers": servers}).list_topics(timeout=10).brokers
