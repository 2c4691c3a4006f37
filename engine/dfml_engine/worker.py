"""The contract of a worker, and the engine's own: it owns partition numbers and fires their rules.

A worker is a function of a batch: records in, one :class:`~dfml_engine.outcome.Outcome` out. Who reads the log and
writes the outcome is none of its business: the event loop of :mod:`dfml_engine.loop` on the embedded log.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from dfml import headers as h
from dfml.clock import Clock, wall_clock_ms
from dfml.log.base import Log
from dfml.record import Record, TopicName, TopicPartition
from dfml.topics import Topics
from dfml_engine.flows import FLOW_AGE_MS, UnderWay
from dfml_engine.outcome import Outcome
from dfml_engine.recovery import Sent, already_written, written_since
from dfml_engine.registry import LoadedSpec
from dfml_engine.rereading import Rereading
from dfml_engine.selection import ALL, Selection
from dfml_engine.task import Task
from dfml_engine.topology import Topology, compile_pipeline
from dfml_engine.writing import Failure, Writer

logger = logging.getLogger(__name__)

NOTHING: frozenset[TopicName] = frozenset()
"""No topics."""
SPEC_GRACE_MS = 10_000
"""How long a record of an unknown pipeline version waits for the spec before it fails."""


class Worker(Protocol):
    """What reads topics and answers with outcomes.

    ``group`` names its committed positions; an empty one commits nothing and reads from the beginning. Where it has
    none yet, those of the group ``inherits`` count, which had done all that this one is to do.
    """

    group: str
    inherits: str

    def topics(self) -> frozenset[TopicName]:
        """Return the topics to be read now; they may change after each batch."""

    def paused(self) -> frozenset[TopicName]:
        """Return those of the topics that must wait: the worker holds as much as it may."""

    def resume(self, log: Log, starts: Mapping[TopicPartition, int]) -> None:
        """Prepare to read from these positions: look at what an earlier owner had written already."""

    def release(self, partitions: Collection[int]) -> None:
        """Forget everything about partition numbers that belong to another process now."""

    def handle(self, batch: Sequence[Record]) -> Outcome:
        """Take a batch of records, in order of offset for each topic partition."""

    def tick(self, now_ms: int) -> Outcome:
        """Do what is due; everything appended before ``now_ms`` has been handled."""

    def wake_ms(self) -> int | None:
        """Return when ``tick`` is next needed, or None."""


class ReadsNothing:
    """What a worker without topics has in common with all such: it is only told the time."""

    group = inherits = ""

    def topics(self) -> frozenset[TopicName]:
        """Return none."""
        return NOTHING

    def paused(self) -> frozenset[TopicName]:
        """Return none."""
        return NOTHING

    def resume(self, log: Log, starts: Mapping[TopicPartition, int]) -> None:
        """Do nothing: nothing is read."""

    def release(self, partitions: Collection[int]) -> None:
        """Do nothing: nothing is remembered of partition numbers."""

    def handle(self, batch: Sequence[Record]) -> Outcome:
        """Return nothing: no record comes."""
        return Outcome()


class EngineWorker:
    """Fires the rules of the loaded pipelines of its selection for the partition numbers it is given records of.

    Parameters
    ----------
    topics : Topics
        The namespace.
    selection : Selection
        The pipelines.
    max_held_records : int
        How many requests of a pipeline may be under way before it reads no more.
    clock : Clock
        Milliseconds since the epoch: how far back a worker looks that takes partition numbers over.
    """

    inherits = "engine"

    def __init__(
        self,
        topics: Topics,
        selection: Selection = ALL,
        max_held_records: int = 10_000,
        clock: Clock = wall_clock_ms,
    ) -> None:
        self._topics = topics
        self._selection = selection
        self._clock = clock
        self.group = selection.group(self.inherits)
        self._max_held_records = max_held_records
        self._under_way = UnderWay(max_held_records)
        self._writer = Writer(topics)
        self._topologies: dict[tuple[bytes, bytes], Topology] = {}
        self._newest: dict[str, Topology] = {}
        self._older: dict[str, list[Topology]] = {}
        self._retiring: list[tuple[int, tuple[bytes, bytes]]] = []
        self._tasks: dict[int, Task] = {}
        self._already: dict[int, Sent] = {}
        self._already_until_ms: dict[int, int] = {}
        self._external: dict[tuple[TopicName, str], list[Topology]] = {}
        self._loops: set[tuple[bytes, bytes]] = set()
        self._mirrors: frozenset[TopicName] = frozenset()
        self._read: frozenset[TopicName] = frozenset({topics.errors})
        self._unclaimed: list[Record] = []
        self._rereading = Rereading()

    # -- specs --------------------------------------------------------------------------------------------------------

    def load(self, spec: LoadedSpec) -> Topology:
        """Take a pipeline version; requests that entered on it are run by it from now on."""
        topology = compile_pipeline(spec.pipeline, spec.version, self._topics, spec.since_ms)
        self._topologies[spec.name.encode(), b"%d" % spec.version] = topology
        newest = self._newest.get(spec.name)
        if newest is None or newest.version < spec.version:
            self._read_from_outside(newest, topology)
            self._newest[spec.name] = topology
            if newest is not None:
                self._older.setdefault(spec.name, []).append(newest)
        self._read |= self._topics_of(topology)
        return topology

    def account_for_loops(self, topology: Topology) -> None:
        """Know of a pipeline, of this engine or another's, that may write several records to a topic for a request."""
        if topology.cyclic:
            self._loops.add((topology.pipeline.encode(), b"%d" % topology.version))

    def account_for_mirror(self, model: str) -> None:
        """Read a mirror's answers too: no rule does, and each must have its fate."""
        self._mirrors |= {self._topics.model_outputs(model)}
        self._read |= self._mirrors

    def unload(self, name: str, now_ms: int) -> None:
        """Accept nothing new from other pipelines; requests under way finish, then the pipeline is forgotten."""
        newest = self._newest.pop(name, None)
        self._read_from_outside(newest, None)
        for topology in [*self._older.pop(name, ()), *([newest] if newest else ())]:
            self._retiring.append((now_ms + FLOW_AGE_MS, (name.encode(), b"%d" % topology.version)))

    def read_again(self, pipeline: str, positions: Mapping[TopicPartition, int]) -> None:
        """Expect records from before these positions, where reading was until now: they are for this pipeline alone."""
        self._rereading.begin(pipeline, positions)

    def _read_from_outside(self, before: Topology | None, after: Topology | None) -> None:
        """Let a version of a pipeline read other pipelines' topics in place of an earlier one."""
        if before is not None:
            for feed in before.external_feeds:
                self._external[feed].remove(before)
        if after is not None:
            for feed in after.external_feeds:
                self._external.setdefault(feed, []).append(after)

    def _topics_of(self, topology: Topology) -> frozenset[TopicName]:
        outputs = (self._topics.model_outputs(model) for model in topology.models)
        return frozenset({*topology.feeds, *(topic for topic, _ in topology.external_feeds), *outputs})

    def topics(self) -> frozenset[TopicName]:
        """Return every topic that a rule reads, and the errors."""
        return self._read

    def paused(self) -> frozenset[TopicName]:
        """Return the inputs of the pipelines that have too many requests under way, and topics with too many unclaimed.

        The models' answers are read on: they end requests. What waits is on the log.
        """
        full = self._under_way.full
        if not (full or self._unclaimed):
            return NOTHING
        unclaimed = [record.topic for record in self._unclaimed] if self._has_many_unclaimed() else ()
        return NOTHING.union(unclaimed, map(self._topics.pipeline_inputs, full))

    def _has_many_unclaimed(self) -> bool:
        return len(self._unclaimed) >= self._max_held_records

    def sinks(self) -> frozenset[TopicName]:
        """Return every topic that a rule writes, the errors and the fates."""
        rules = (rule for topology in self._topologies.values() for rule in topology.rules)
        return frozenset({rule.sink for rule in rules} | {self._topics.errors, self._topics.fates})

    @property
    def n_held(self) -> int:
        """How many records are still needed."""
        return sum(task.n_held for task in list(self._tasks.values()))

    # -- records ------------------------------------------------------------------------------------------------------

    def resume(self, log: Log, starts: Mapping[TopicPartition, int]) -> None:
        """Learn what was sent on already: for the records that will be read again, and without those that are late."""
        taken_over = {place.partition for place in starts} - self._already.keys()
        found = already_written(log, starts, self.sinks)
        now_ms = self._clock()
        lasting = written_since(log, self._lasting_sinks, taken_over, now_ms - FLOW_AGE_MS)
        numbers = found.keys() | lasting.keys()
        if not numbers:
            return
        windows = (rule.window_ms for topology in self._topologies.values() for rule in topology.rules)
        until_ms = now_ms + FLOW_AGE_MS + max(windows, default=0)
        for number in numbers:
            sent = self._already.setdefault(number, Sent())
            for each in (found, lasting):
                sent.update(each.get(number, Sent()))
            self._already_until_ms[number] = until_ms

    def _lasting_sinks(self) -> frozenset[TopicName]:
        """Return where what was written counts after its parents are no longer read.

        These are the errors, what fired short of a record that is still to come, and the fates, which tell of the
        rules that were given up, and why.
        """
        rules = [rule for topology in self._topologies.values() for rule in topology.rules]
        fates = {self._topics.fates} if any(len(rule.slots) > 1 for rule in rules) else set()
        return frozenset({rule.sink for rule in rules if rule.fires_short} | fates | {self._topics.errors})

    def _forget_what_was_written(self, now_ms: int) -> None:
        """Forget what earlier owners wrote once every request is too old of which they knew."""
        for number in [number for number, until_ms in self._already_until_ms.items() if until_ms < now_ms]:
            del self._already_until_ms[number]
            self._already[number].clear()

    def release(self, partitions: Collection[int]) -> None:
        """Forget the tasks of these partition numbers; their next owner makes them anew from the log."""
        for number in partitions:
            task = self._tasks.pop(number, None)
            if task is not None:
                task.leave()
            self._already.pop(number, None)
            self._already_until_ms.pop(number, None)
        self._rereading.forget(partitions)
        self._unclaimed = [record for record in self._unclaimed if record.partition not in partitions]

    def handle(self, batch: Sequence[Record]) -> Outcome:
        """Fire what the records make ready; a record that cannot be handled goes to the errors topic."""
        outcome = Outcome(self.group, instead=self._writer.undeliverable)
        for record in batch:
            task = self._task(record.partition)
            try:
                self._dispatch(task, record)
            except Exception:
                logger.exception("engine: %s could not be handled", record.position)
                failure = Failure("internal", f"{record.position} could not be handled by the engine; its log says why")
                task.appends.append(self._writer.failure(h.passed_on(record.headers), "", failure, [record]))
            task.read(record)
        self._collect(outcome)
        return outcome

    def _dispatch(self, task: Task, record: Record) -> None:
        found = dict(record.headers)
        name, version = found.get(h.PIPELINE), found.get(h.VERSION, b"")
        only = self._rereading.only(record)
        if only is not None:
            self._dispatch_external(task, record, name, version, only)
            return
        topology = self._topologies.get((name, version)) if name is not None else None
        if record.topic == self._topics.errors:
            if topology is not None:
                task.fail(topology, found.get(h.STEP, b"").decode(errors="replace"), record)
            return
        if topology is None:
            self._claim_later(task, record, name)
        else:
            feeds = topology.feeds.get(record.topic)
            if feeds:
                task.arrive(topology, feeds, record)
            elif not (topology.is_read(record.topic) or self._external.get((record.topic, topology.pipeline))):
                task.appends.append(self._writer.drop(record, "", "no reader"))
        if self._external:
            self._dispatch_external(task, record, name, version)

    def _dispatch_external(
        self, task: Task, record: Record, name: bytes | None, version: bytes, only: Collection[str] | None = None
    ) -> None:
        """Give the record to the pipelines, all or some, that read this topic of its pipeline from outside.

        A request that has begun to arrive on an older version of the reader stays on that one.
        """
        source = (record.topic, (name or b"").decode(errors="replace"))
        for newest in self._external.get(source, ()):
            if record.timestamp_ms < newest.since_ms or (only is not None and newest.pipeline not in only):
                continue
            older = self._older.get(newest.pipeline, ())
            topology = next((each for each in older if task.has_begun(each, record.key)), newest)
            feeds = topology.external_feeds.get(source)
            if feeds:
                task.arrive(topology, feeds, record, is_of_loop=(name, version) in self._loops)

    def _claim_later(self, task: Task, record: Record, name: bytes | None) -> None:
        """Keep a record whose pipeline version is not known yet; without a pipeline's name it is nobody's.

        One of a pipeline that is not selected is another engine's.
        """
        if name is None:
            mirrored = record.header(h.MIRROR_OF) is not None
            task.appends.append(self._writer.drop(record, "", "mirror" if mirrored else "no pipeline header"))
        elif self._selection.covers(name.decode(errors="replace")):
            task.hold(record)
            self._unclaimed.append(record)

    # -- time ---------------------------------------------------------------------------------------------------------

    def tick(self, now_ms: int) -> Outcome:
        """Close windows that are over; retry records whose spec was not known."""
        outcome = Outcome(self.group, instead=self._writer.undeliverable)
        for task in self._tasks.values():
            task.close_windows(now_ms)
        self._forget_what_was_written(now_ms)
        self._retry_unclaimed(now_ms)
        self._retire(now_ms)
        self._collect(outcome)
        return outcome

    def wake_ms(self) -> int | None:
        """Return when the next window closes; soon while records wait for their spec."""
        closes = [close for task in self._tasks.values() if (close := task.next_close_ms()) is not None]
        if self._unclaimed:
            closes.append(0)
        return min(closes, default=None)

    def _retry_unclaimed(self, now_ms: int) -> None:
        waiting, self._unclaimed = self._unclaimed, []
        for record in waiting:
            task = self._task(record.partition)
            name, version = record.header(h.PIPELINE) or b"", record.header(h.VERSION) or b""
            if (name, version) in self._topologies:
                task.release(record)
                self._dispatch(task, record)
            elif record.timestamp_ms + SPEC_GRACE_MS < now_ms:
                task.release(record)
                text = f"pipeline '{name.decode(errors='replace')}' v{version.decode(errors='replace')} is not loaded"
                headers = h.passed_on(record.headers)
                task.appends.append(self._writer.failure(headers, "", Failure("not_loaded", text, 404), [record]))
            else:
                self._unclaimed.append(record)

    def _retire(self, now_ms: int) -> None:
        """Forget the versions whose last requests have had their time, and stop reading what only they read."""
        due = [key for at_ms, key in self._retiring if at_ms <= now_ms]
        if due:
            self._retiring = self._retiring[len(due) :]
            for key in due:
                self._topologies.pop(key, None)
            kept = (self._topics_of(topology) for topology in self._topologies.values())
            self._read = self._mirrors.union({self._topics.errors}, *kept)

    # -- tasks --------------------------------------------------------------------------------------------------------

    def _task(self, partition: int) -> Task:
        task = self._tasks.get(partition)
        if task is None:
            task = self._tasks[partition] = Task(
                self._writer, self._already.setdefault(partition, Sent()), self._under_way
            )
        return task

    def _collect(self, outcome: Outcome) -> None:
        for number, task in self._tasks.items():
            outcome.appends += task.appends
            for topic in task.touched:
                outcome.offsets[TopicPartition(topic, number)] = task.committable(topic)
            task.appends = []
            task.touched.clear()
