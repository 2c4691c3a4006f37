"""The implementations that the contract's suite runs on, and what its tests share."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from dfml.log import Log, Reader, TopicConfig
from dfml.log.sqlite import SqliteLog
from dfml.record import Append, Position, Record, TopicName, TopicPartition

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


BACKENDS: dict[str, Callable[[Path], Backend]] = {"sqlite": lambda folder: SqliteBackend(folder / "log.db")}


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
