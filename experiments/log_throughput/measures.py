"""The measurements, each a function of a fresh log's path."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dfml.log import Commit, Log, TopicConfig, open_log
from dfml.record import Append, TopicName, TopicPartition
from dfml.settings import Settings

VALUE = b"v" * 200
HEADERS = (
    ("pipeline", b"claims"),
    ("x-pipeline-version", b"3"),
    ("dfml-step", b"classify"),
    ("dfml-parents", b"model.value.outputs@1234567"),
)
"""90 bytes of names and values."""
N_TOPICS = 3
DELAYS = 300
PAUSE_S = 0.004


@dataclass(frozen=True, slots=True)
class Spread:
    """Units of ``batch`` records and one position, over ``N_TOPICS`` times ``partitions`` topic partitions."""

    batch: int
    partitions: int

    def places(self) -> list[TopicPartition]:
        """Return the topic partitions."""
        return [TopicPartition(TopicName(f"t{topic}"), n) for n in range(self.partitions) for topic in range(N_TOPICS)]


@dataclass(frozen=True, slots=True)
class Appended:
    """How long each unit took, microseconds, and how many records a second went in, all in all."""

    unit_us: np.ndarray
    records_per_second: float


def open_fresh(path: Path, partitions: int) -> Log:
    """Open a log with the topics."""
    log = open_log(Settings(log=f"sqlite:///{path}"))
    log.create_topics([TopicConfig(TopicName(f"t{topic}"), partitions) for topic in range(N_TOPICS)])
    return log


def append(log: Log, spread: Spread, seconds: float) -> Appended:
    """Append units as quickly as the log takes them."""
    units = _units(spread)
    taken: list[float] = []
    begun = now = time.perf_counter()
    while now - begun < seconds:
        for appends, commit in units:
            log.append(appends, [commit])
            before, now = now, time.perf_counter()
            taken.append(now - before)
    return Appended(np.array(taken) * 1e6, len(taken) * spread.batch / (now - begun))


def _units(spread: Spread) -> Sequence[tuple[list[Append], Commit]]:
    """Return a few units; each begins at another topic partition, so that small ones are spread, too."""
    places = spread.places()
    units = []
    for first in range(len(places)):
        order = [places[(first + place) % len(places)] for place in range(spread.batch)]
        appends = [Append(topic, number, b"0d5c1c2e-5a1f-4a0e-9d0a", VALUE, HEADERS) for topic, number in order]
        units.append((appends, Commit("group", {order[0]: first})))
    return units


def read_records_per_second(log: Log, spread: Spread) -> float:
    """Read the log from its beginning to its end."""
    reader = log.reader()
    reader.assign(dict.fromkeys(spread.places(), 0))
    n_records, begun = 0, time.perf_counter()
    while records := reader.poll(500, 0):
        n_records += len(records)
    return n_records / (time.perf_counter() - begun)


def idle_poll_us(path: Path, n_assigned: int) -> float:
    """Return what a poll costs that finds nothing, microseconds."""
    with open_fresh(path, -(-n_assigned // N_TOPICS)) as log:
        reader = log.reader()
        reader.assign(dict.fromkeys(Spread(1, -(-n_assigned // N_TOPICS)).places(), 0))
        begun = time.perf_counter()
        for _ in range(10_000):
            reader.poll(500, 0)
        return (time.perf_counter() - begun) * 100


def delays_ms(path: Path) -> np.ndarray:
    """Return the delays from the append in another process to the record in this one, milliseconds."""
    with open_fresh(path, 1) as log:
        reader = log.reader()
        reader.assign({TopicPartition(TopicName("t0"), 0): 0})
        found: list[float] = []
        with subprocess.Popen([sys.executable, "-m", "experiments.log_throughput.sender", str(path)]):
            while len(found) < DELAYS:
                records = reader.poll(10, 10)
                now_ns = time.monotonic_ns()
                found += [(now_ns - int(record.value)) / 1e6 for record in records]
        return np.array(found)
