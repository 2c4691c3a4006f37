"""The engine's workers and the model gateway on a real log, driven by hand: the test says who reads what when.

Two workers of each share the partition numbers; a number may change hands between any two records.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from values import Happening, Name, Tensors
from written import Written, name_of, read_all

from dfml import headers as h
from dfml.inference.codec import encode_request
from dfml.lineage.audit import Audit, audit
from dfml.lineage.store import LineageStore
from dfml.lineage.tap import Tap
from dfml.log.base import Commit, Log, TopicConfig
from dfml.log.sqlite import SqliteLog
from dfml.record import Append, Record, TopicName, TopicPartition
from dfml.spec import parse_resources
from dfml.topics import Topics
from dfml_engine.gateways.model import ModelGateway, ModelGatewayOptions
from dfml_engine.outcome import Outcome
from dfml_engine.registry import LoadedSpec
from dfml_engine.runtimes.base import RuntimeOptions
from dfml_engine.worker import EngineWorker

HERE = Path(__file__).parent
TOPICS = Topics()
READERS = ("engine", "models")
PARTITIONS = 2
STALLED_MS = 100_000
"""How long models stall in all: less than the engine remembers a request of which nothing more is heard."""
BEGAN_MS = 1_700_000_000_000
API = "mlops.seldon.io/v1alpha1"
Specs = Mapping[tuple[str, int], Mapping[str, Any]]


class Move(NamedTuple):
    """One step of the schedule: which waiting topic partition, how many of its records, and what goes wrong."""

    pick: int = 0
    n_records: int = 1
    fault: str = ""


def resources_of(specs: Specs) -> list[LoadedSpec]:
    """Return the pipelines, checked, and the models of their steps."""
    steps = sorted({step["name"] for spec in specs.values() for step in spec["steps"]})
    made = [
        {"kind": "Model", "metadata": {"name": step}, "spec": {"storageUri": uri_of(step), "inline": True}}
        for step in steps
    ]
    loaded = [LoadedSpec("Model", each["metadata"]["name"], 1, _resource(each), BEGAN_MS) for each in made]
    for (name, version), spec in specs.items():
        resource = _resource({"kind": "Pipeline", "metadata": {"name": name}, "spec": spec})
        loaded.append(LoadedSpec("Pipeline", name, version, resource, BEGAN_MS))
    return loaded


def uri_of(step: str) -> str:
    return f"python:oracle_models:{step.rstrip('0123456789')}"


def _resource(document: Mapping[str, Any]) -> Any:
    [resource] = parse_resources(orjson.dumps({"apiVersion": API, **document}).decode(), source="drawn")
    return resource


@dataclass
class Clock:
    """What stamps records: it stands still until the bench moves it."""

    now_ms: int = BEGAN_MS

    def __call__(self) -> int:
        return self.now_ms


@dataclass(frozen=True)
class Ground:
    """A log that no other case is on at the same time, the clock that stamps its records, and names of topics."""

    log: Log
    clock: Clock
    topics: Topics
    folder: Path


@contextmanager
def embedded(folder: Path) -> Iterator[Ground]:
    """Give a log of its own in a folder."""
    clock = Clock()
    with SqliteLog(folder / "log.db", clock=clock) as log:
        yield Ground(log, clock, TOPICS, folder)


@dataclass
class Bench:
    """The topics of some pipelines, two engines and two model gateways, and what happened to them."""

    ground: Ground
    specs: Specs
    late: Collection[tuple[str, int]] = ()
    later: list[list[tuple[Name, Tensors, int]]] = field(default_factory=list)
    happenings: list[Happening] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    stalled: bool = False
    n_stalled_ms: int = 0

    def __post_init__(self) -> None:
        self.log, self.clock, self.topics = self.ground.log, self.ground.clock, self.ground.topics
        self.clock.now_ms = BEGAN_MS
        self.loaded = resources_of(self.specs)
        self.names = self.topic_names()
        self.log.create_topics([TopicConfig(topic, PARTITIONS) for topic in self.names])
        self.log.create_topics([TopicConfig(self.topics.specs)])
        self.waiting_specs = [each for each in self.loaded if (each.name, each.version) in self.late]
        self.loaded = [each for each in self.loaded if each not in self.waiting_specs]
        self.log.append([each.to_append(self.topics) for each in self.loaded])
        places = [TopicPartition(topic, number) for topic in self.names for number in range(PARTITIONS)]
        self.records: dict[TopicPartition, list[Record]] = {place: [] for place in places}
        self.last: dict[TopicPartition, int] = {}
        self.reader = self.log.reader()
        self.reader.assign(dict.fromkeys(places, 0))
        self.workers: dict[tuple[str, int], Any] = {}
        self.owner = {(reader, number): number for reader in READERS for number in range(PARTITIONS)}
        self.next: dict[str, dict[TopicPartition, int]] = {reader: {} for reader in READERS}
        for reader in READERS:
            for which in range(PARTITIONS):
                self.start(reader, which)

    def topic_names(self) -> list[TopicName]:
        topics = self.topics
        models = [each.name for each in self.loaded if each.kind == "Model"]
        names = {name for name, _ in self.specs}
        found = [topic for model in models for topic in (topics.model_inputs(model), topics.model_outputs(model))]
        found += [topic for name in names for topic in (topics.pipeline_inputs(name), topics.pipeline_outputs(name))]
        return [*found, topics.errors, topics.fates]

    # -- the workers --------------------------------------------------------------------------------------------------

    def start(self, reader: str, which: int) -> None:
        """Put a new worker in the place of the one before, which loses its memory."""
        worker: Any
        if reader == "engine":
            worker = EngineWorker(self.topics, clock=self.clock)
        else:
            options = ModelGatewayOptions(RuntimeOptions((HERE,)))
            worker = ModelGateway(self.topics, options, lambda make: None, self.clock)
        self.workers[reader, which] = worker
        for number in self.owned(reader, which):
            self.leave(reader, number)
        self.load(reader, which, self.loaded)

    def leave(self, reader: str, number: int) -> None:
        """Forget where a partition number was read."""
        for place in [place for place in self.next[reader] if place.partition == number]:
            del self.next[reader][place]

    def load(self, reader: str, which: int, specs: Iterable[LoadedSpec]) -> None:
        """Hand specs to a worker, and have it read what it reads because of them."""
        worker = self.workers[reader, which]
        for spec in specs:
            if spec.kind == "Pipeline":
                topology = (worker if reader == "engine" else EngineWorker(self.topics)).load(spec)
                if reader == "models":
                    worker.load_pipeline(topology)
                else:
                    worker.account_for_loops(topology)
            elif reader == "models":
                assert worker.load(spec).ready
        self.take_up(reader, which)

    def take_up(self, reader: str, which: int) -> None:
        """Have a worker read what is its own and not read yet, from the committed positions on."""
        worker, at = self.workers[reader, which], self.next[reader]
        new = [
            place
            for place in self.records
            if place.topic in worker.topics() and place not in at and self.owner[reader, place.partition] == which
        ]
        if new:
            starts = self.log.beginning(new) | self.log.committed(worker.group, new)
            worker.resume(self.log, starts)
            at.update(starts)

    def go_on(self) -> bool:
        """Write the requests that come next, after the versions that they are for were loaded."""
        if not self.later:
            return False
        if len(self.later) == 1:
            self.loaded += self.waiting_specs
            if self.waiting_specs:
                self.log.append([each.to_append(self.topics) for each in self.waiting_specs])
            for reader, which in self.workers:
                self.load(reader, which, self.waiting_specs)
        for name, tensors, partition in self.later.pop(0):
            self.enter(name, tensors, partition)
        return True

    def restart(self, reader: str, number: int) -> None:
        """Kill the worker that owns a partition number and start another in its place."""
        which = self.owner[reader, number]
        self.start(reader, which)
        self.happenings += [Happening(reader, None, None, each) for each in self.owned(reader, which)]
        self.faults["restart"] += 1

    def owned(self, reader: str, which: int) -> list[int]:
        """Return the partition numbers of a worker."""
        return [number for number in range(PARTITIONS) if self.owner[reader, number] == which]

    def hand_over(self, reader: str, number: int) -> None:
        """Let a partition number go to another worker, which goes on from the committed positions."""
        before = self.owner[reader, number]
        self.workers[reader, before].release({number})
        self.leave(reader, number)
        self.owner[reader, number] = (before + 1) % PARTITIONS
        self.take_up(reader, self.owner[reader, number])
        self.happenings.append(Happening(reader, None, None, number))
        self.faults["handover"] += 1

    def enter(self, name: Name, tensors: Tensors, partition: int) -> None:
        """Write a request as the pipeline gateway does."""
        value = encode_request(dict(tensors), model_name=name.pipeline, request_id=name.request)
        headers = (
            (h.PIPELINE, name.pipeline.encode()),
            (h.VERSION, b"%d" % name.version),
            (h.REQUEST, name.request.encode()),
        )
        topic = self.topics.pipeline_inputs(name.pipeline)
        self.put([Append(topic, partition, name.request.encode(), value.SerializeToString(), headers)])

    def put(self, appends: Sequence[Append], commits: Sequence[Commit] = ()) -> None:
        """Write a unit."""
        for position in self.log.append(appends, commits):
            self.last[TopicPartition(position.topic, position.partition)] = position.offset

    # -- the schedule -------------------------------------------------------------------------------------------------

    def run(self, moves: Sequence[Move]) -> None:
        """Make the moves, then let everything go its way until nothing is left to do."""
        schedule = iter(moves)
        self.go_on()
        for number in range(100_000):
            if number == len(moves) // 2:
                self.go_on()
            move = next(schedule, Move())
            self.stalled |= move.fault == "stall"
            waiting = self.waiting()
            if waiting:
                self.give(*waiting[move.pick % len(waiting)], move)
            elif not self.tick(move) and not self.go_on():
                return
        msg = "the pipelines never come to rest"
        raise AssertionError(msg)

    def waiting(self) -> list[tuple[str, TopicPartition]]:
        """Return who has something to read, and where; everything that was written has been seen by then."""
        while any(at <= self.last.get(place, -1) for place, at in self.reader.positions().items()):
            for record in self.reader.poll(1_000, 1.0):
                self.records[TopicPartition(record.topic, record.partition)].append(record)
        at = {reader: sorted(self.next[reader]) for reader in self.going()}
        return [(reader, place) for reader, places in at.items() for place in places if self.batch(reader, place)]

    def going(self) -> Sequence[str]:
        """Return who works: models that stall do nothing until the next of the engine's windows has closed."""
        return ("engine",) if self.stalled else READERS

    def batch(self, reader: str, place: TopicPartition, n_records: int = 1) -> list[Record]:
        """Return the next records of a reader's topic partition."""
        records = self.records[place]
        begin = bisect_left(records, self.next[reader][place], key=lambda record: record.offset)
        return records[begin : begin + n_records]

    def give(self, reader: str, place: TopicPartition, move: Move) -> None:
        """Give a worker its next records of one topic partition."""
        if move.fault == "handover":
            self.hand_over(reader, place.partition)
        batch = self.batch(reader, place, move.n_records)
        if not batch:
            return
        self.next[reader][place] = batch[-1].offset + 1
        if move.fault == "delay":
            self.clock.now_ms += 1_500
        if move.fault == "duplicate":
            self.duplicate(batch[0])
        given = [Happening(reader, name_of(record, self.topics), self.stamp(reader, record)) for record in batch]
        which = self.owner[reader, place.partition]
        self.write(reader, place.partition, self.workers[reader, which].handle(batch), given, move)

    def stamp(self, reader: str, record: Record) -> int:
        return record.timestamp_ms if reader == "engine" else self.clock.now_ms

    def duplicate(self, record: Record) -> None:
        """Write a record again, as a predecessor does that is slow to notice that it was replaced."""
        self.put([Append(record.topic, record.partition, record.key, record.value, record.headers)])
        self.faults["duplicate"] += 1

    def write(self, reader: str, number: int, outcome: Outcome, given: Iterable[Happening], move: Move) -> None:
        if move.fault == "crash before":
            self.restart(reader, number)
            return
        self.put(outcome.appends, [Commit(outcome.group, outcome.offsets)] if outcome.offsets else [])
        self.happenings += given
        if move.fault == "crash after":
            self.restart(reader, number)

    def tick(self, move: Move) -> bool:
        """Read the clock at the next time that a worker waits for; return whether any does."""
        going, was_stalled, self.stalled = self.going(), self.stalled, False
        workers = [key for key in self.workers if key[0] in going]
        wakes = [wake for key in workers if (wake := self.workers[key].wake_ms()) is not None]
        if not wakes:
            return was_stalled
        if was_stalled and (passing_ms := max(min(wakes) - self.clock.now_ms, 0)):
            self.n_stalled_ms += passing_ms
            if self.n_stalled_ms > STALLED_MS:
                return True
        now_ms = self.clock.now_ms = max(self.clock.now_ms, min(wakes))
        for reader, which in workers:
            outcome, numbers = self.workers[reader, which].tick(now_ms), self.owned(reader, which)
            if numbers:
                ticked = [Happening(reader, None, now_ms, number) for number in numbers]
                self.write(reader, numbers[0], outcome, ticked, move)
        return True

    # -- what was written ---------------------------------------------------------------------------------------------

    def written(self) -> "Written":
        return Written.of(list(read_all(self.log, list(self.records))), self.topics)

    def audit(self) -> Audit:
        """Tap the log and account for its records, long after every deadline."""
        with LineageStore(self.ground.folder / "lineage.db", topics=self.topics) as store:
            tap = Tap(self.log, store, self.topics)
            tap.catch_up()
            tap.close()
            return audit(store, now_ms=self.clock.now_ms + 10**9)

    def close(self) -> None:
        self.reader.close()
        self.log.delete_topics([*self.names, self.topics.specs])
