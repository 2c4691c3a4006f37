"""The implementations that the contract's suite runs on, and what its tests share."""

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from dfml.clock import wall_clock_ms
from dfml.log import Cleanup, Log, Reader, TopicConfig
from dfml.log.kafka import KafkaLog
from dfml.log.sqlite import SqliteLog
from dfml.record import Append, Position, Record, TopicName, TopicPartition
from dfml.settings import KafkaOptions

A, B = TopicName("a"), TopicName("b")
A0, A1, B0 = TopicPartition(A, 0), TopicPartition(A, 1), TopicPartition(B, 0)

PATIENCE_S = 30.0
"""Far more than any log needs: only a broken one makes a test wait for it."""


class Backend(Protocol):
    """One implementation; every ``open`` gives another client of the same log, as another process would have."""

    def open(self) -> Log: ...

    def now_ms(self) -> int: ...

    def pass_ms(self, duration_ms: int) -> None: ...

    def clean(self, log: Log) -> None: ...


class SqliteBackend:
    """A file in a temporary folder, with a clock that stands still until a test moves it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._now_ms = 1_700_000_000_000

    def open(self) -> Log:
        return SqliteLog(self._path, clock=self.now_ms)

    def now_ms(self) -> int:
        return self._now_ms

    def pass_ms(self, duration_ms: int) -> None:
        self._now_ms += duration_ms

    def clean(self, log: Log) -> None:
        assert isinstance(log, SqliteLog)
        log.clean()


class KafkaBackend:
    """A real broker, shared with other tests: the topics of the contract's tests are deleted before each, and groups
    begin anew with another coordination topic. Time passes for real.
    """

    TOPICS = ("a", "b", "c", "new", "none", "fresh", "short", "compact", "kept.short")

    def __init__(self, servers: str) -> None:
        self._options = KafkaOptions(servers)
        self._coordination = f"groups-{uuid.uuid4().hex[:8]}"
        self._admin = AdminClient({"bootstrap.servers": servers})
        with self.open() as log:
            log.delete_topics([TopicName(name) for name in self.TOPICS])

    def open(self) -> Log:
        return KafkaLog(self._options, coordination=self._coordination)

    def now_ms(self) -> int:
        return wall_clock_ms()

    def pass_ms(self, duration_ms: int) -> None:
        time.sleep(duration_ms / 1000)

    def clean(self, log: Log) -> None:
        """Wait until the broker has removed what it may."""
        for config in log.topics().values():
            place = TopicPartition(config.name, 0)
            if config.name not in self.TOPICS:
                continue
            if config.cleanup is Cleanup.COMPACT:
                n_before = len(read(log, place))
                until(lambda place=place, n_before=n_before: self._roll_and_count(log, place) < n_before)
            elif config.retention_ms is not None:
                kept_ms = config.retention_ms
                until(lambda place=place, kept_ms=kept_ms: self._is_clean(log, place, kept_ms))

    def _roll_and_count(self, log: Log, place: TopicPartition) -> int:
        self._roll(place.topic)
        return len(read(log, place))

    @staticmethod
    def _is_clean(log: Log, place: TopicPartition, kept_ms: int) -> bool:
        return log.beginning([place]) == log.offsets_at([place], wall_clock_ms() - kept_ms)

    def _roll(self, topic: str) -> None:
        """Begin a new segment, because the newest is never compacted: by a record that is never committed."""
        short = ConfigEntry("segment.ms", "50", incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[short])
        self._admin.incremental_alter_configs([resource])[resource].result()
        time.sleep(0.2)
        producer = Producer({"bootstrap.servers": self._options.brokers, "transactional.id": uuid.uuid4().hex})
        producer.init_transactions()
        producer.begin_transaction()
        producer.produce(topic, b"", b"roll", partition=0)
        producer.flush()
        producer.abort_transaction()


def make_backend(kind: str, folder: Path, kafka_servers: Callable[[], str]) -> Backend:
    """Make a backend of a kind; a broker is asked for only where one is needed."""
    return SqliteBackend(folder / "log.db") if kind == "sqlite" else KafkaBackend(kafka_servers())


def make_sqlite(path: Path) -> SqliteLog:
    """Open a log in a file, with topics ``a`` (two partitions) and ``b``."""
    log = SqliteLog(path)
    log.create_topics([TopicConfig(A, 2), TopicConfig(B, 1)])
    return log


def until(condition: Callable[[], object]) -> None:
    """Ask again and again until it holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"


def put(log: Log, place: TopicPartition, *values: bytes) -> list[Position]:
    """Append values under one key as one unit."""
    return log.append([Append(place.topic, place.partition, b"key", value) for value in values])


def take(reader: Reader, n_records: int, at_once: int = 1000) -> list[Record]:
    """Poll until at least so many records have come."""
    found: list[Record] = []

    def has_enough() -> bool:
        found.extend(reader.poll(at_once, 0.05))
        return len(found) >= n_records

    until(has_enough)
    return found


def read(log: Log, *places: TopicPartition) -> list[Record]:
    """Return everything that the log keeps of the topic partitions."""
    reader = log.reader()
    reader.assign(log.beginning(places))
    ends = log.end(places)
    found: list[Record] = []

    def is_done() -> bool:
        found.extend(reader.poll(1000, 0.05) if reader.positions() != ends else [])
        return all(at >= ends[place] for place, at in reader.positions().items())

    until(is_done)
    reader.close()
    return found


def values(records: list[Record]) -> list[bytes]:
    """Return the values alone."""
    return [record.value for record in records]
