"""The model gateway: reads each model's inputs, calls its runtime, writes its outputs.

Quick models (``inline`` in their spec) are called where the record is read; all others in a pool of threads of their
own, and a call that does not return by its deadline is given up: its request fails, the gateway goes on.
"""

import heapq
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from dfml import headers as h
from dfml.clock import Clock
from dfml.errors import MissingTensorError, ModelError, PayloadError
from dfml.headers import Identity, identity
from dfml.inference.codec import decode_tensors, encode_response, read_message
from dfml.inference.oip_pb2 import InferRequest
from dfml.log.base import Log
from dfml.record import Append, Record, TopicName, TopicPartition
from dfml.topics import Topics
from dfml_engine.held import HeldOffsets
from dfml_engine.outcome import Outcome
from dfml_engine.recovery import already_written
from dfml_engine.registry import LoadedSpec, PartStatus
from dfml_engine.runtimes import Context, Runtime, load_runtime
from dfml_engine.runtimes.base import Inputs, RuntimeOptions
from dfml_engine.runtimes.pool import CallPool
from dfml_engine.writing import Failure, Writer

logger = logging.getLogger(__name__)

PART = "model-gateway"

HandIn = Callable[[Callable[[], Outcome]], None]


@dataclass(frozen=True, slots=True)
class ModelGatewayOptions:
    """How models are called: threads for each pooled model, and the longest a call may take (milliseconds)."""

    runtime: RuntimeOptions
    pool_threads: int = 4
    model_timeout_ms: int = 60_000


@dataclass(slots=True)
class _Hosted:
    """A loaded model (``runtime``), or why it could not be loaded (``problem``)."""

    spec: LoadedSpec
    runtime: Runtime | None = None
    problem: str = ""
    pool: CallPool | None = None


@dataclass(slots=True, eq=False)
class _Call:
    """A call in the pool. It is over when it returned or was given up, whichever came first."""

    record: Record
    pool: CallPool
    deadline_ms: int
    running: bool = False
    over: bool = False


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

    group = "model-gateway"

    def __init__(self, topics: Topics, options: ModelGatewayOptions, hand_in: HandIn, clock: Clock) -> None:
        self._topics = topics
        self._options = options
        self._hand_in = hand_in
        self._clock = clock
        self._writer = Writer(topics)
        self._models: dict[TopicName, _Hosted] = {}
        self._read: frozenset[TopicName] = frozenset()
        self._held: dict[TopicPartition, HeldOffsets] = defaultdict(HeldOffsets)
        self._already: dict[int, set[tuple[TopicName, Identity]]] = {}
        self._calls: dict[int, _Call] = {}
        self._deadlines: list[tuple[int, int]] = []
        self._order = count()

    # -- specs --------------------------------------------------------------------------------------------------------

    def load(self, spec: LoadedSpec) -> PartStatus:
        """Load a model's code, in place of an earlier version, and say how that went."""
        hosted = _Hosted(spec)
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
        self._read = frozenset(self._models)
        return PartStatus("Model", spec.name, spec.version, PART, hosted.runtime is not None, hosted.problem)

    def unload(self, name: str) -> None:
        """Forget a model; requests that still come for it fail."""
        hosted = self._models.get(self._topics.model_inputs(name))
        if hosted is not None:
            hosted.runtime, hosted.problem = None, f"model '{name}' was unloaded"
            if hosted.pool is not None:
                hosted.pool.close()
                hosted.pool = None

    def topics(self) -> frozenset[TopicName]:
        """Return the inputs of every model that is or was loaded."""
        return self._read

    def resume(self, log: Log, starts: Mapping[TopicPartition, int]) -> None:
        """Learn what was answered already for the records that will be read again."""
        models = [self._topics.parse(topic) for topic in self._read]
        sinks = {self._topics.model_outputs(ref.name) for ref in models if ref is not None} | {self._topics.errors}
        for partition, found in already_written(log, starts, sinks).items():
            self._already.setdefault(partition, set()).update(found)

    # -- records ------------------------------------------------------------------------------------------------------

    def handle(self, batch: Sequence[Record]) -> Outcome:
        """Call the models of the batch: the quick ones now, the others in their pools."""
        outcome = Outcome(self.group)
        for record in batch:
            place = TopicPartition(record.topic, record.partition)
            held = self._held[place]
            held.next_offset = record.offset + 1
            append = self._take(record)
            if append is not None:
                outcome.appends.append(append)
            outcome.offsets[place] = held.committable
        return outcome

    def _take(self, record: Record) -> Append | None:
        """Answer the record now, or put it into the pool and return None."""
        if self._answered_already(record):
            return None
        hosted = self._models[record.topic]
        if hosted.runtime is None:
            return self._fail(record, Failure("not_loaded", hosted.problem, 503))
        deadline_ms = self._deadline(record)
        if deadline_ms <= self._clock():
            return self._fail(record, _too_late(hosted.spec.name))
        if hosted.pool is None:
            return self._call(hosted, record)
        self._enqueue(hosted, hosted.pool, record, deadline_ms)
        return None

    def _answered_already(self, record: Record) -> bool:
        already = self._already.get(record.partition)
        if not already:
            return False
        ref = self._topics.parse(record.topic)
        sinks = (self._topics.model_outputs(ref.name if ref else ""), self._topics.errors)
        return any((sink, identity(record)) in already for sink in sinks)

    def _deadline(self, record: Record) -> int:
        latest_ms = self._clock() + self._options.model_timeout_ms
        wanted = record.header(h.DEADLINE)
        return min(int(wanted), latest_ms) if wanted is not None and wanted.isdigit() else latest_ms

    # -- calling ------------------------------------------------------------------------------------------------------

    def _call(self, hosted: _Hosted, record: Record) -> Append:
        """Call the model and make the record of its answer or failure. Runs on any thread; never raises."""
        name = hosted.spec.name
        queue_us = max(self._clock() - record.timestamp_ms, 0) * 1000
        began = time.perf_counter_ns()
        try:
            assert hosted.runtime is not None
            value = _infer(hosted.runtime, name, record)
        except PayloadError as error:
            return self._fail(record, Failure("undecodable", f"{record.position}, read for model '{name}': {error}"))
        except MissingTensorError as error:
            return self._fail(record, Failure("missing_tensor", str(error), 400 if self._from_caller(record) else 500))
        except ModelError as error:
            return self._fail(record, Failure("raised", str(error)))
        except Exception:
            logger.exception("model gateway: %s could not be handled", record.position)
            return self._fail(record, Failure("internal", f"{record.position} could not be handled by the gateway"))
        service_us = (time.perf_counter_ns() - began) // 1000
        own = (
            (h.STEP, name.encode()),
            (h.PARENTS, self._writer.parents([record], record.partition)),
            (h.QUEUE_US, b"%d" % queue_us),
            (h.SERVICE_US, b"%d" % service_us),
        )
        sink = self._topics.model_outputs(name)
        return Append(sink, record.partition, record.key, value, _kept(record) + own)

    def _fail(self, record: Record, failure: Failure) -> Append:
        ref = self._topics.parse(record.topic)
        return self._writer.failure(_kept(record), ref.name if ref else "", failure, [record])

    def _from_caller(self, record: Record) -> bool:
        """Whether what the caller sent is among what the model was given."""
        parents = h.decode_parents(record.header(h.PARENTS) or b"", record.partition, self._topics)
        refs = [self._topics.parse(parent.topic) for parent in parents]
        return any(ref is not None and ref.kind == "pipeline" for ref in refs)

    def _enqueue(self, hosted: _Hosted, pool: CallPool, record: Record, deadline_ms: int) -> None:
        call = _Call(record, pool, deadline_ms)
        number = next(self._order)
        self._calls[number] = call
        self._held[TopicPartition(record.topic, record.partition)].hold(record.offset)
        heapq.heappush(self._deadlines, (deadline_ms, number))
        pool.submit(lambda: self._run(number, call, hosted))

    def _run(self, number: int, call: _Call, hosted: _Hosted) -> None:
        """Make a pooled call, on a thread of the pool."""
        if call.over:
            return
        call.running = True
        append = self._call(hosted, call.record)
        self._hand_in(lambda: self._returned(number, call, append))

    def _returned(self, number: int, call: _Call, append: Append) -> Outcome:
        """Take a pooled call's answer, on the gateway's own thread, unless the call was given up."""
        if call.over:
            call.pool.retire_thread()
            return Outcome()
        return self._finish(number, call, append)

    def _finish(self, number: int, call: _Call, append: Append) -> Outcome:
        call.over = True
        self._calls.pop(number, None)
        place = TopicPartition(call.record.topic, call.record.partition)
        held = self._held[place]
        held.release(call.record.offset)
        return Outcome(self.group, [append], {place: held.committable})

    # -- time ---------------------------------------------------------------------------------------------------------

    def tick(self, now_ms: int) -> Outcome:
        """Give up the calls whose deadline is over."""
        outcome = Outcome(self.group)
        while self._deadlines and self._deadlines[0][0] <= now_ms:
            _, number = heapq.heappop(self._deadlines)
            call = self._calls.get(number)
            if call is not None:
                given_up = self._finish(number, call, self._fail(call.record, self._gave_up(call)))
                outcome.appends += given_up.appends
                outcome.offsets |= given_up.offsets
                if call.running:
                    call.pool.replace_thread()
        return outcome

    def _gave_up(self, call: _Call) -> Failure:
        ref = self._topics.parse(call.record.topic)
        name = ref.name if ref else ""
        if not call.running:
            return _too_late(name)
        return Failure("timeout", f"model '{name}' did not return before the request's deadline", 504)

    def wake_ms(self) -> int | None:
        """Return the next deadline of a pooled call."""
        while self._deadlines and self._deadlines[0][1] not in self._calls:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def close(self) -> None:
        """Let the pools' threads end."""
        for hosted in self._models.values():
            if hosted.pool is not None:
                hosted.pool.close()


def _infer(runtime: Runtime, name: str, record: Record) -> bytes:
    request = read_message(InferRequest, record.value)
    inputs = Inputs(decode_tensors(request))
    parameters = {key: _value(item) for key, item in request.parameters.items()} if request.parameters else {}
    context = Context(request.id, dict(record.headers), parameters)
    outputs = runtime.infer(inputs, context)
    try:
        response = encode_response(outputs, model_name=name, request_id=request.id)
    except PayloadError as error:
        msg = f"model '{name}' returned what is no tensor: {error}"
        raise ModelError(msg) from error
    return response.SerializeToString()


def _value(parameter: object) -> object:
    chosen = parameter.WhichOneof("parameter_choice")  # type: ignore[attr-defined]
    return getattr(parameter, chosen) if chosen else None


def _too_late(name: str) -> Failure:
    return Failure("timeout", f"the request's deadline was over before model '{name}' could be called", 504)


def _kept(record: Record) -> tuple[tuple[str, bytes], ...]:
    """Return the headers that the answer inherits, its visit among them."""
    visit = record.header(h.VISIT)
    kept = h.passed_on(record.headers)
    return kept if visit is None else (*kept, (h.VISIT, visit))
