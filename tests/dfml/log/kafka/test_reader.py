"""Reading with several consumers, and waiting in a thread of its own."""

import threading
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest
from confluent_kafka import TopicPartition as KafkaPlace

from dfml.log import TopicConfig
from dfml.log.kafka import KafkaLog
from dfml.log.kafka import reader as kafka_reader
from dfml.record import Append, TopicName, TopicPartition
from dfml.settings import KafkaOptions
from tests.dfml.log.backends import put, take, until, values

N_PARTITIONS = 5


@pytest.fixture
def log(kafka_address: str) -> Iterator[KafkaLog]:
    with KafkaLog(KafkaOptions(kafka_address.removeprefix("kafka://"))) as opened:
        yield opened


@pytest.fixture
def places(log: KafkaLog) -> list[TopicPartition]:
    topic = TopicName(f"reader-{uuid4().hex[:8]}")
    log.create_topics([TopicConfig(topic, N_PARTITIONS)])
    return [TopicPartition(topic, number) for number in range(N_PARTITIONS)]


def test_more_topic_partitions_than_one_consumer_takes_are_all_read(
    log: KafkaLog, places: list[TopicPartition], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_reader, "BUSY_PARTITIONS", 1)
    monkeypatch.setattr(kafka_reader, "PARTITIONS_PER_CONSUMER", 2)
    reader = log.reader()
    reader.assign(dict.fromkeys(places, 0))
    log.append([Append(place.topic, place.partition, b"k", b"%d" % place.partition) for place in places])
    assert sorted(values(take(reader, N_PARTITIONS))) == [b"%d" % number for number in range(N_PARTITIONS)]
    reader.unassign(places[1:])
    put(log, places[1], b"unwanted")
    put(log, places[0], b"wanted")
    assert values(take(reader, 1)) == [b"wanted"]


def test_what_something_comes_to_is_read_by_the_first_consumer(
    log: KafkaLog, places: list[TopicPartition], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_reader, "BUSY_PARTITIONS", 2)
    monkeypatch.setattr(kafka_reader, "CALM_S", 0.2)
    reader = log.reader()
    reader.assign(dict.fromkeys(places, 0))
    busy, calm = reader._fetchers
    assert busy.places == {places[0], places[1]}
    written: dict[TopicPartition, list[bytes]] = {place: [] for place in places}
    read: dict[TopicPartition, list[bytes]] = {place: [] for place in places}

    def read_on() -> None:
        for record in reader.poll(100, 0.05):
            read[TopicPartition(record.topic, record.partition)].append(record.value)

    def write_and_read(*wanted: TopicPartition) -> bool:
        for place in wanted:
            written[place].append(b"%d" % len(written[place]))
            put(log, place, written[place][-1])
        read_on()
        return busy.places >= set(wanted)

    until(lambda: write_and_read(places[3], places[4]))
    assert busy.places == {places[3], places[4]}
    until(lambda: write_and_read(places[0], places[4]))
    assert busy.places == {places[0], places[4]}
    assert calm.places == set(places) - busy.places
    until(lambda: (read_on(), read == written)[-1])


def test_what_a_thread_waited_for_comes_with_the_next_poll(log: KafkaLog, places: list[TopicPartition]) -> None:
    reader = log.reader()
    reader.assign({places[0]: 0})
    waiting = threading.Thread(target=reader.wait, args=(30.0,))
    waiting.start()
    put(log, places[0], b"first", b"second")
    waiting.join()
    assert values(take(reader, 2)) == [b"first", b"second"]


def test_what_was_waited_for_is_not_read_where_it_was_left_meanwhile(
    log: KafkaLog, places: list[TopicPartition]
) -> None:
    reader = log.reader()
    reader.assign({places[0]: 0, places[1]: 0})
    put(log, places[0], b"left")
    until(lambda: log.end([places[0]])[places[0]] > 0)
    reader.wait(30.0)
    reader.unassign([places[0]])
    put(log, places[1], b"wanted")
    assert values(take(reader, 1)) == [b"wanted"]


def test_the_end_behind_a_transaction_is_seen_before_a_broker_answers_an_idle_fetch(
    log: KafkaLog, places: list[TopicPartition]
) -> None:
    def seconds_to_end(place: TopicPartition) -> float:
        put(log, place, b"v")
        end = log.end([place])[place]
        reader = log.reader(to_end=True)
        since_s = time.monotonic()
        reader.assign({place: 0})
        until(lambda: (reader.poll(10, 0.05), reader.positions()[place] == end)[-1])
        return time.monotonic() - since_s

    idle_fetch_s = 0.5
    assert min(seconds_to_end(place) for place in places) < idle_fetch_s


def test_a_consumer_that_has_stopped_to_fetch_is_replaced(
    log: KafkaLog, places: list[TopicPartition], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kafka_reader, "STILL_S", 0.5)
    monkeypatch.setattr(kafka_reader, "CONFIRM_S", 0.2)
    reader = log.reader()
    reader.assign({places[0]: 0})
    put(log, places[0], b"before")
    assert values(take(reader, 1)) == [b"before"]
    [fetcher] = reader._fetchers
    fetcher.consumer.pause([KafkaPlace(places[0].topic, places[0].partition)])
    put(log, places[0], b"after")
    assert values(take(reader, 1)) == [b"after"]
    assert "a consumer of Kafka has stopped to fetch; another takes its place" in caplog.messages


def test_a_consumer_to_which_nothing_comes_is_left_alone(
    log: KafkaLog, places: list[TopicPartition], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_reader, "STILL_S", 0.1)
    asked, ask = [], kafka_reader.KafkaReader._ask_about
    monkeypatch.setattr(kafka_reader.KafkaReader, "_ask_about", lambda *given: asked.append(ask(*given)))
    reader = log.reader()
    reader.assign(dict.fromkeys(places, 0))
    put(log, places[0], b"first")
    assert values(take(reader, 1)) == [b"first"]
    [fetcher] = reader._fetchers
    consumer = fetcher.consumer
    until(lambda: not reader.poll(1, 0.05) and len(asked) > 1)
    assert fetcher.consumer is consumer
