"""The model gateway: reads each model's inputs, calls its runtime, writes its outputs.

Quick models (``inline`` in their spec) are called where the record is read; all others in a pool of threads of their
own, and a call that does not return by its deadline is given up: its request fails, the gateway goes on.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from dfml import headers as h
from dfml.clock import Clock
from dfml.errors import ModelError, PayloadError
from dfml.headers import identity
from dfml.log.base import Log
from dfml.record import Append, Record, TopicName, TopicPartition
from dfml.spec.schema import Batch, ExperimentSpec
from dfml.topics import Topics
from dfml_engine.gateways.batching import Batcher
from dfml_engine.gateways.calling import Caller, Target, count_rows, model_of
from dfml_engine.gateways.calls import OpenCalls
from dfml_engine.gateways.experiments import Experiments, Routed
from dfml_engine.held import HeldOffsets
from dfml_engine.outcome import Outcome
from dfml_engine.recovery import Sent, already_written
from dfml_engine.registry import LoadedSpec, PartStatus
from dfml_engine.runtimes import Runtime, load_runtime
from dfml_engine.runtimes.base import RuntimeOptions
from dfml_engine.runtimes.pool import CallPool, PooledCall
from dfml_engine.selection import ALL, Selection
from dfml_engine.topology import Topology
from dfml_engine.writing import Failure

PART = "model-gateway"

HandIn = Callable[[Callable[[], Outcome]], None]


@dataclass(frozen=True, slots=True)
class ModelGatewayOptions:
    """How models are called, and which.

    Attributes
    ----------
    pool_threads
        Threads of each model that is not inline.
    model_timeout_ms
        The longest that a call may take.
    selection
        The models whose inputs are read.
    max_held_records, max_held_bytes
        What the calls of one model, and of all, may hold before their topics wait.
    """

    runtime: RuntimeOptions
    pool_threads: int = 4
    model_timeout_ms: int = 60_000
    selection: Selection = ALL
    max_held_records: int = 10_000
    max_held_bytes: int = 256 * 1024 * 1024


@dataclass(slots=True)
class _Hosted:
    """A loaded model (``runtime``), or why it could not be loaded (``problem``)."""

    runtime: Runtime | None = None
    problem: str = ""
    pool: CallPool | None = None

    @classmethod
    def absent(cls, name: str) -> Self:
        """Stand for a model that is not loaded."""
        return cls(problem=f"model '{name}' is not loaded")


class ModelGateway:
    """Calls models for the partition numbers that it is given records of.

    Parameters
    ----------
    topics : Topics
        The namespace.
    options : ModelGatewayOptions
        Limits.
    hand_in : callable
        Takes, from any thread, a function to be called on the worker's own thread, and submits the outcome that it
        returns: how a pooled call gives its answer back.
    clock : Clock
        Milliseconds since the epoch, for deadlines.
    """

    inherits = PART

    def __init__(self, topics: Topics, options: ModelGatewayOptions, hand_in: HandIn, clock: Clock) -> None:
        self._topics = topics
        self.group = options.selection.group(PART)
        self._options = options
        self._hand_in = hand_in
        self._clock = clock
        self._caller = Caller(topics, clock)
        self._batcher = Batcher()
        self._experiments = Experiments()
        self._batches: dict[tuple[TopicName, bytes, bytes], Batch] = {}
        self._models: dict[TopicName, _Hosted] = {}
        self._read: frozenset[TopicName] = frozenset()
        self._pooled: frozenset[TopicName] = frozenset()
        # By topic and partition number, as plain tuples: every record looks its own up.
        self._held: dict[tuple[TopicName, int], HeldOffsets] = defaultdict(HeldOffsets)
        self._already: dict[int, Sent] = {}
        self._touched: set[tuple[TopicName, int]] = set()
        self._calls = OpenCalls(options.max_held_records, options.max_held_bytes)

    # -- specs --------------------------------------------------------------------------------------------------------

    def load(self, spec: LoadedSpec) -> PartStatus:
        """Load a model's code, in place of an earlier version, and say how that went.

        The inputs of one that is not selected are not read: it is there for an experiment to send requests to.
        """
        hosted = _Hosted()
        try:
            hosted.runtime = load_runtime(spec.model, self._options.runtime)
        except ModelError as error:
            hosted.problem = str(error)
        if hosted.runtime is not None and not spec.model.spec.inline:
            hosted.pool = CallPool(spec.name, self._options.pool_threads)
        topic = self._topics.model_inputs(spec.name)
        before = self._models.get(topic)
        if before is not None and before.pool is not None:
            before.pool.close()
        self._models[topic] = hosted
        self._pooled = self._pooled | {topic} if hosted.pool is not None else self._pooled - {topic}
        if self._options.selection.covers(spec.name):
            self._read |= {topic}
        return PartStatus("Model", spec.name, spec.version, PART, hosted.runtime is not None, hosted.problem)

    def load_pipeline(self, topology: Topology) -> None:
        """Learn which steps of a pipeline are called in batches."""
        version = b"%d" % topology.version
        for rule in topology.rules:
            if rule.batch is not None:
                self._batches[rule.sink, topology.pipeline.encode(), version] = rule.batch

    def load_experiment(self, name: str, spec: ExperimentSpec) -> None:
        """Share the requests of the experiment's default model among its candidates."""
        self._experiments.load(name, spec)

    def unload_experiment(self, name: str) -> None:
        """Let the model have its own requests again."""
        self._experiments.unload(name)

    def unload(self, name: str) -> None:
        """Forget a model; requests that still come for it fail."""
        hosted = self._models.get(self._topics.model_inputs(name))
        if hosted is not None:
            hosted.runtime, hosted.problem = None, f"model '{name}' was unloaded"
            if hosted.pool is not None:
                hosted.pool.close()
                hosted.pool = None

    def drain(self) -> Outcome:
        """Read nothing more; the calls under way go on, and what was gathered is called now."""
        self._read = frozenset()
        outcome = Outcome(self.group, instead=self._caller.undeliverable)
        for records in self._batcher.take_all():
            self._call_gathered(records, outcome)
        return self._with_positions(outcome)

    @property
    def busy(self) -> bool:
        """Whether calls are under way or gathered."""
        return self.n_held > 0

    def topics(self) -> frozenset[TopicName]:
        """Return the inputs of every selected model that is or was loaded."""
        return self._read

    def paused(self) -> frozenset[TopicName]:
        """Return the inputs of the models whose calls hold as much as they may."""
        return self._pooled & self._read if self._calls.too_large else self._calls.full

    def resume(self, log: Log, starts: Mapping[TopicPartition, int]) -> None:
        """Learn what was answered already for the records that will be read again."""
        for partition, found in already_written(log, starts, self._sinks).items():
            self._already.setdefault(partition, Sent()).update(found)

    def _sinks(self) -> frozenset[TopicName]:
        models = [self._topics.parse(topic) for topic in self._read]
        return frozenset(
            {self._topics.model_outputs(ref.name) for ref in models if ref is not None} | {self._topics.errors}
        )

    def release(self, partitions: Collection[int]) -> None:
        """Give up the calls for these partition numbers: their next owner makes them."""
        for call in self._calls.take_on(partitions):
            if call.give_up():
                call.pool.replace_thread()
        self._batcher.forget(partitions)
        for place in [place for place in self._held if place[1] in partitions]:
            del self._held[place]
            self._touched.discard(place)
        for number in partitions:
            self._already.pop(number, None)

    @property
    def n_held(self) -> int:
        """How many records are still needed: their calls have not ended."""
        return sum(len(held) for held in list(self._held.values()))

    def calls_in_flight(self) -> Counter[str]:
        """Return how many calls of each model are under way or queued."""
        return Counter(model_of(call.records[0], self._topics) for call in self._calls.all())

    # -- records ------------------------------------------------------------------------------------------------------

    def handle(self, batch: Sequence[Record]) -> Outcome:
        """Call the models of the batch: the quick ones now, the others in their pools."""
        outcome = Outcome(self.group, instead=self._caller.undeliverable)
        for record in batch:
            place = (record.topic, record.partition)
            self._held[place].next_offset = record.offset + 1
            self._touched.add(place)
            if not self._answered_already(record):
                self._take(record, outcome)
        return self._with_positions(outcome)

    def _take(self, record: Record, outcome: Outcome) -> None:
        """Answer the record now, put it into the pool, or keep it for a batch."""
        if self._experiments:
            self._copy_to_mirror(record, outcome)
        batch = self._batch_of(record)
        if batch is None:
            self._call([record], outcome)
            return
        try:
            signature, n_rows = count_rows(record)
        except PayloadError:
            n_rows = 0
        if not n_rows:
            self._call([record], outcome)
            return
        if self._batcher.is_repeated((record.topic, identity(record))):
            outcome.appends.append(self._caller.drop(record, "duplicate"))
            return
        self._hold(record)
        key = (
            record.partition,
            self._route(record).name,
            record.header(h.PIPELINE),
            record.header(h.VERSION),
            signature,
        )
        for complete in self._batcher.add(key, record, n_rows, batch, self._clock()):
            self._call_gathered(complete, outcome)

    def _copy_to_mirror(self, record: Record, outcome: Outcome) -> None:
        mirror = self._route(record).mirror
        if mirror is not None:
            outcome.appends.append(self._caller.copy(record, self._topics.model_inputs(mirror)))

    def _route(self, record: Record) -> Routed:
        """Return the candidate whose code is called for the record: the model itself without an experiment."""
        name = model_of(record, self._topics)
        if not self._experiments or record.header(h.PIPELINE) is None:
            return Routed(name)
        return self._experiments.route(name, record.key.decode(errors="replace"), record.headers)

    def _batch_of(self, record: Record) -> Batch | None:
        if not self._batches:
            return None
        return self._batches.get((record.topic, record.header(h.PIPELINE) or b"", record.header(h.VERSION) or b""))

    def _call_gathered(self, records: Sequence[Record], outcome: Outcome) -> None:
        self._call(records, outcome)
        for record in records:
            self._release(record)

    def _call(self, records: Sequence[Record], outcome: Outcome) -> None:
        routed = self._route(records[0])
        hosted = self._models.get(self._topics.model_inputs(routed.name)) or _Hosted.absent(routed.name)
        now_ms = self._clock()
        in_time = [record for record in records if self._deadline(record, now_ms) > now_ms]
        if hosted.runtime is None:
            failure = Failure("not_loaded", hosted.problem, 503)
            outcome.appends += [self._caller.fail(record, failure) for record in records]
            return
        if len(in_time) < len(records):
            late = [record for record in records if record not in in_time]
            outcome.appends += [self._caller.fail(record, _too_late(routed.name)) for record in late]
        if not in_time:
            return
        target = Target(model_of(records[0], self._topics), hosted.runtime, routed.route)
        if hosted.pool is None:
            outcome.appends += self._caller.call(target, in_time)
        else:
            self._enqueue(target, hosted.pool, in_time, now_ms)

    def _answered_already(self, record: Record) -> bool:
        already = self._already.get(record.partition)
        if not already:
            return False
        sinks = (self._topics.model_outputs(model_of(record, self._topics)), self._topics.errors)
        return any((sink, identity(record)) in already for sink in sinks)

    def _deadline(self, record: Record, now_ms: int) -> int:
        latest_ms = now_ms + self._options.model_timeout_ms
        wanted = record.header(h.DEADLINE)
        return min(int(wanted), latest_ms) if wanted is not None and wanted.isdigit() else latest_ms

    # -- the pool -----------------------------------------------------------------------------------------------------

    def _enqueue(self, target: Target, pool: CallPool, records: Sequence[Record], now_ms: int) -> None:
        call = PooledCall(records, pool, max(self._deadline(record, now_ms) for record in records))
        number = self._calls.add(call, now_ms)
        for record in records:
            self._hold(record)
        pool.submit(lambda: self._run(number, call, target))

    def _run(self, number: int, call: PooledCall, target: Target) -> None:
        """Make a pooled call, on a thread of the pool."""
        if call.begin():
            appends = self._caller.call(target, call.records)
            self._hand_in(lambda: self._returned(number, call, appends))

    def _returned(self, number: int, call: PooledCall, appends: Sequence[Append]) -> Outcome:
        """Take a pooled call's answers, on the gateway's own thread, unless the call was given up."""
        since_ms = call.records[0].timestamp_ms
        outcome = Outcome(self.group, instead=self._caller.undeliverable, since_ms=since_ms)
        if call.finish():
            outcome.appends += appends
            self._finished(number, call)
        else:
            call.pool.retire_thread()
        return self._with_positions(outcome)

    def _finished(self, number: int, call: PooledCall) -> None:
        self._calls.end(number)
        for record in call.records:
            self._release(record)

    def _give_up(self, number: int, call: PooledCall, outcome: Outcome) -> None:
        was_running = call.give_up()
        if was_running is None:
            return
        name = model_of(call.records[0], self._topics)
        text = f"model '{name}' did not return before the request's deadline"
        failure = Failure("timeout", text, 504) if was_running else _too_late(name)
        outcome.appends += [self._caller.fail(record, failure) for record in call.records]
        self._finished(number, call)
        if was_running:
            call.pool.replace_thread()

    # -- time ---------------------------------------------------------------------------------------------------------

    def tick(self, now_ms: int) -> Outcome:
        """Call the batches whose window is over; give up the calls whose deadline is."""
        outcome = Outcome(self.group, instead=self._caller.undeliverable)
        for records in self._batcher.due(now_ms):
            self._call_gathered(records, outcome)
        for number, call in self._calls.due(now_ms):
            self._give_up(number, call, outcome)
        return self._with_positions(outcome)

    def wake_ms(self) -> int | None:
        """Return the next deadline of a pooled call or the next end of a batch's window."""
        times = (self._calls.next_deadline_ms(), self._batcher.next_close_ms())
        return min((time for time in times if time is not None), default=None)

    def close(self) -> None:
        """Let the pools' threads end."""
        for hosted in self._models.values():
            if hosted.pool is not None:
                hosted.pool.close()

    # -- positions ----------------------------------------------------------------------------------------------------

    def _hold(self, record: Record) -> None:
        self._held[record.topic, record.partition].hold(record.offset)

    def _release(self, record: Record) -> None:
        place = (record.topic, record.partition)
        self._held[place].release(record.offset)
        self._touched.add(place)

    def _with_positions(self, outcome: Outcome) -> Outcome:
        for place in self._touched:
            outcome.offsets[TopicPartition(*place)] = self._held[place].committable
        self._touched.clear()
        return outcome


def _too_late(name: str) -> Failure:
    return Failure("timeout", f"the request's deadline was over before model '{name}' could be called", 504)
