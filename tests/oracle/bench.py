"""The engine's workers and the model gateway on a real log, driven by hand: the test says who reads what when."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
from reading import RuleId
from values import Happening, Name, Tensors

from dfml import headers as h
from dfml.inference.codec import encode_request, iterate_tensors
from dfml.inference.oip_pb2 import InferRequest, InferResponse
from dfml.lineage.audit import Audit, audit
from dfml.lineage.store import LineageStore
from dfml.lineage.tap import Tap
from dfml.log.base import Commit, TopicConfig
from dfml.log.sqlite import SqliteLog
from dfml.record import Append, Position, Record, TopicPartition
from dfml.spec import parse_resources
from dfml.topics import Topics
from dfml_engine.gateways.model import ModelGateway, ModelGatewayOptions
from dfml_engine.outcome import Outcome
from dfml_engine.registry import LoadedSpec
from dfml_engine.runtimes.base import RuntimeOptions
from dfml_engine.worker import EngineWorker

HERE = Path(__file__).parent
TOPICS = Topics()
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
class Bench:
    """A log with the topics of some pipelines, an engine and a model gateway, and what happened to them."""

    folder: Path
    specs: Specs
    late: Collection[tuple[str, int]] = ()
    later: list[list[tuple[Name, Tensors, int]]] = field(default_factory=list)
    now_ms: int = BEGAN_MS
    happenings: list[Happening] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    stalled: bool = False
    n_stalled_ms: int = 0

    def __post_init__(self) -> None:
        self.log = SqliteLog(self.folder / "log.db", clock=lambda: self.now_ms)
        self.loaded = resources_of(self.specs)
        models = [each.name for each in self.loaded if each.kind == "Model"]
        names = {name for name, _ in self.specs}
        topics = [topic for model in models for topic in (TOPICS.model_inputs(model), TOPICS.model_outputs(model))]
        topics += [topic for name in names for topic in (TOPICS.pipeline_inputs(name), TOPICS.pipeline_outputs(name))]
        topics += [TOPICS.errors, TOPICS.fates]
        self.log.create_topics([TopicConfig(topic, PARTITIONS) for topic in topics] + [TopicConfig(TOPICS.specs)])
        self.waiting_specs = [each for each in self.loaded if (each.name, each.version) in self.late]
        self.loaded = [each for each in self.loaded if each not in self.waiting_specs]
        self.log.append([each.to_append(TOPICS) for each in self.loaded])
        self.places = [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]
        self.workers: dict[str, Any] = {}
        self.next: dict[str, dict[TopicPartition, int]] = {}
        for reader in ("engine", "models"):
            self.start(reader)

    # -- the workers --------------------------------------------------------------------------------------------------

    def start(self, reader: str) -> None:
        """Put a new worker in the place of the one before, which loses its memory."""
        worker: Any
        if reader == "engine":
            worker = EngineWorker(TOPICS, clock=lambda: self.now_ms)
        else:
            options = ModelGatewayOptions(RuntimeOptions((HERE,)))
            worker = ModelGateway(TOPICS, options, lambda make: None, lambda: self.now_ms)
        self.workers[reader], self.next[reader] = worker, {}
        self.load(reader, self.loaded)

    def load(self, reader: str, specs: Iterable[LoadedSpec]) -> None:
        """Hand specs to a worker, and have it read what it reads because of them."""
        worker = self.workers[reader]
        for spec in specs:
            if spec.kind == "Pipeline":
                topology = (worker if reader == "engine" else EngineWorker(TOPICS)).load(spec)
                if reader == "models":
                    worker.load_pipeline(topology)
                else:
                    worker.account_for_loops(topology)
            elif reader == "models":
                assert worker.load(spec).ready
        new = [place for place in self.places if place.topic in worker.topics() and place not in self.next[reader]]
        starts = self.log.beginning(new) | self.log.committed(worker.group, new)
        worker.resume(self.log, starts)
        self.next[reader].update(starts)

    def go_on(self) -> bool:
        """Write the requests that come next, after the versions that they are for were loaded."""
        if not self.later:
            return False
        if len(self.later) == 1:
            self.loaded += self.waiting_specs
            self.log.append([each.to_append(TOPICS) for each in self.waiting_specs])
            for reader in self.workers:
                self.load(reader, self.waiting_specs)
        for name, tensors, partition in self.later.pop(0):
            self.enter(name, tensors, partition)
        return True

    def restart(self, reader: str) -> None:
        self.start(reader)
        self.happenings.append(Happening(reader, None, None))
        self.faults["restart"] += 1

    def enter(self, name: Name, tensors: Tensors, partition: int) -> None:
        """Write a request as the pipeline gateway does."""
        value = encode_request(dict(tensors), model_name=name.pipeline, request_id=name.request)
        headers = (
            (h.PIPELINE, name.pipeline.encode()),
            (h.VERSION, b"%d" % name.version),
            (h.REQUEST, name.request.encode()),
        )
        topic = TOPICS.pipeline_inputs(name.pipeline)
        self.log.append([Append(topic, partition, name.request.encode(), value.SerializeToString(), headers)])

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
        """Return what may be read next."""
        ends, going = self.log.end(self.places), {reader: self.next[reader] for reader in self.going()}
        return [(reader, place) for reader, at in going.items() for place in sorted(at) if at[place] < ends[place]]

    def going(self) -> Sequence[str]:
        """Return who works: models that stall do nothing until the next of the engine's windows has closed."""
        return ("engine",) if self.stalled else ("engine", "models")

    def give(self, reader: str, place: TopicPartition, move: Move) -> None:
        """Give a worker its next records of one topic partition."""
        start = self.next[reader][place]
        batch = read(self.log, {place: start}, move.n_records)
        self.next[reader][place] = batch[-1].offset + 1
        if move.fault == "delay":
            self.now_ms += 1_500
        if move.fault == "duplicate":
            self.duplicate(batch[0])
        given = [Happening(reader, name_of(record), self.stamp(reader, record)) for record in batch]
        self.write(reader, self.workers[reader].handle(batch), given, move)

    def stamp(self, reader: str, record: Record) -> int:
        return record.timestamp_ms if reader == "engine" else self.now_ms

    def duplicate(self, record: Record) -> None:
        """Write a record again, as a predecessor does that is slow to notice that it was replaced."""
        self.log.append([Append(record.topic, record.partition, record.key, record.value, record.headers)])
        self.faults["duplicate"] += 1

    def write(self, reader: str, outcome: Outcome, given: Iterable[Happening], move: Move) -> None:
        if move.fault == "crash before":
            self.restart(reader)
            return
        self.log.append(outcome.appends, [Commit(outcome.group, outcome.offsets)] if outcome.offsets else [])
        self.happenings += given
        if move.fault == "crash after":
            self.restart(reader)

    def tick(self, move: Move) -> bool:
        """Read the clock at the next time that a worker waits for; return whether any does."""
        going, was_stalled, self.stalled = self.going(), self.stalled, False
        wakes = [wake for reader in going if (wake := self.workers[reader].wake_ms()) is not None]
        if not wakes:
            return was_stalled
        if was_stalled and (passing_ms := max(min(wakes) - self.now_ms, 0)):
            self.n_stalled_ms += passing_ms
            if self.n_stalled_ms > STALLED_MS:
                return True
        self.now_ms = max(self.now_ms, min(wakes))
        for reader in going:
            ticked = Happening(reader, None, self.now_ms)
            self.write(reader, self.workers[reader].tick(self.now_ms), [ticked], move)
        return True

    # -- what was written ---------------------------------------------------------------------------------------------

    def written(self) -> "Written":
        return Written.of(list(read_all(self.log, self.places)))

    def audit(self) -> Audit:
        """Tap the log and account for its records, long after every deadline."""
        with LineageStore(self.folder / "lineage.db", topics=TOPICS) as store:
            tap = Tap(self.log, store, TOPICS)
            while tap.step(0.0):
                pass
            tap.close()
            return audit(store, now_ms=self.now_ms + 10**9)

    def close(self) -> None:
        self.log.close()


@dataclass
class Written:
    """The log's records by name, with every copy's tensors and parents; the drops of each, with reason and missing."""

    records: dict[Name, list[Tensors]] = field(default_factory=lambda: defaultdict(list))
    parents: dict[Name, list[frozenset[Name]]] = field(default_factory=lambda: defaultdict(list))
    errors: dict[Name, list[tuple[str, frozenset[Name]]]] = field(default_factory=lambda: defaultdict(list))
    drops: dict[tuple[Name, tuple[str, int, str]], list[tuple[str, frozenset[str], Position]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    copies: Counter[Name] = field(default_factory=Counter)

    @classmethod
    def of(cls, records: Sequence[Record]) -> "Written":
        written = cls()
        names = {record.position: name_of(record) for record in records if record.topic != TOPICS.fates}
        for record in records:
            spelled = record.header(h.PARENTS) or b""
            positions = h.decode_parents(spelled, record.partition, TOPICS)
            parents = frozenset(names[position] for position in positions)
            if record.topic == TOPICS.fates:
                told = orjson.loads(record.value)
                rule = name_of(record)[1:4]
                entry = (told["reason"], frozenset(told["missing"]), positions[0])
                written.drops[next(iter(parents)), rule].append(entry)
                continue
            name = names[record.position]
            written.copies[name] += 1
            if record.topic == TOPICS.errors:
                written.errors[name].append(((record.header(h.ERROR_KIND) or b"").decode(), parents))
            else:
                kind = InferRequest if name.port == "inputs" else InferResponse
                written.records[name].append(tuple(iterate_tensors(kind.FromString(record.value))))
                written.parents[name].append(parents)
        return written


def name_of(record: Record) -> Name:
    """Return the record's name by its topic and its identity; a fate bears the name of the rule that dropped."""
    ref, own = TOPICS.parse(record.topic), h.identity(record)
    assert ref is not None
    if record.topic in {TOPICS.errors, TOPICS.fates}:
        return Name(own.request, own.pipeline, own.version, own.step, ref.port, own.visit)
    node = ref.name if ref.kind == "model" else ""
    return Name(own.request, own.pipeline, own.version, node, ref.port, own.visit)


def rule_key(rule: RuleId) -> tuple[str, int, str]:
    return rule.pipeline, rule.version, rule.node


def read(log: SqliteLog, starts: Mapping[TopicPartition, int], n_records: int) -> list[Record]:
    reader = log.reader()
    try:
        reader.assign(starts)
        return reader.poll(n_records, 1.0)
    finally:
        reader.close()


def read_all(log: SqliteLog, places: Sequence[TopicPartition]) -> Iterator[Record]:
    ends, reader = log.end(places), log.reader()
    try:
        reader.assign(log.beginning(places))
        while any(position < ends[place] for place, position in reader.positions().items()):
            yield from reader.poll(5_000, 1.0)
    finally:
        reader.close()


def same_tensors(left: Tensors, right: Tensors) -> bool:
    return [name for name, _ in left] == [name for name, _ in right] and all(
        np.array_equal(one, other) for (_, one), (_, other) in zip(left, right, strict=True)
    )
