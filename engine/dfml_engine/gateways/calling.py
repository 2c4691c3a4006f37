"""One call of a model: from the records it is made for to the records of its answer or failure.

A call is made for one record, or for a batch of them whose tensors are laid end to end along their first axis. The
answer is cut back by rows when its first axis has as many as went in; otherwise it is an aggregate, and every member
gets it whole. A batch that fails is called again member by member, so that only the bad ones fail.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dfml import headers as h
from dfml.clock import Clock
from dfml.errors import LogError, MissingTensorError, ModelError, PayloadError
from dfml.inference.codec import decode_tensors, encode_response, read_message
from dfml.inference.oip_pb2 import InferParameter, InferRequest
from dfml.record import Append, Headers, Record, TopicName
from dfml.topics import Topics
from dfml_engine.routing import ROUTE_HEADER
from dfml_engine.runtimes import Context, Runtime
from dfml_engine.runtimes.base import Inputs, Tensors
from dfml_engine.writing import Failure, Writer

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """What is called: the step's model by name, the code that runs for it, and the route of an experiment, if any."""

    name: str
    runtime: Runtime
    route: str = ""


@dataclass(frozen=True, slots=True)
class _Member:
    """One record of a call: its tensors and its share of the rows."""

    record: Record
    request: InferRequest
    tensors: Tensors
    n_rows: int


class Caller:
    """Calls models and writes what comes of it. Its methods never raise and may be called on any thread."""

    def __init__(self, topics: Topics, clock: Clock) -> None:
        self._topics = topics
        self._clock = clock
        self._writer = Writer(topics)

    def call(self, target: Target, records: Sequence[Record]) -> list[Append]:
        """Call the model once for the records and return one append for each, in their order."""
        began_ms = self._clock()
        if len(records) == 1:
            return [self._call_one(target, records[0], began_ms)]
        began = time.perf_counter_ns()
        try:
            values = _infer_batch(target, records)
        except (PayloadError, ModelError):
            return [self._call_one(target, record, began_ms) for record in records]
        except Exception:
            logger.exception("model '%s' could not be called for a batch of %d", target.name, len(records))
            return [self._call_one(target, record, began_ms) for record in records]
        service_us = (time.perf_counter_ns() - began) // 1000
        members = ((h.MEMBERS, b",".join(record.key for record in records)),)
        return [
            self._answer(target, record, value, records, (*_times(record, began_ms, service_us), *members))
            for record, value in zip(records, values, strict=True)
        ]

    def _call_one(self, target: Target, record: Record, began_ms: int) -> Append:
        began = time.perf_counter_ns()
        try:
            value = _infer(target, record)
        except PayloadError as error:
            text = f"{record.position}, read for model '{target.name}': {error}"
            return self.fail(record, Failure("undecodable", text))
        except MissingTensorError as error:
            return self.fail(record, Failure("missing_tensor", str(error), 400 if self._from_caller(record) else 500))
        except ModelError as error:
            return self.fail(record, Failure("raised", str(error)))
        except Exception:
            logger.exception("model gateway: %s could not be handled", record.position)
            return self.fail(record, Failure("internal", f"{record.position} could not be handled by the gateway"))
        service_us = (time.perf_counter_ns() - began) // 1000
        return self._answer(target, record, value, [record], _times(record, began_ms, service_us))

    def _answer(
        self, target: Target, record: Record, value: bytes, parents: Sequence[Record], times: Headers
    ) -> Append:
        made_from = (h.PARENTS, self._writer.parents(parents, record.partition))
        headers = (*_kept(record, target.route), (h.STEP, target.name.encode()), made_from, *times)
        return Append(self._topics.model_outputs(target.name), record.partition, record.key, value, headers)

    def fail(self, record: Record, failure: Failure) -> Append:
        """Make the record on the errors topic for a call that failed or was never made."""
        return self._writer.failure(_kept(record), model_of(record, self._topics), failure, [record])

    def drop(self, record: Record, reason: str) -> Append:
        """Make the fate of a record that no call is made for."""
        return self._writer.drop(record, model_of(record, self._topics), reason)

    def undeliverable(self, append: Append, why: LogError) -> Append:
        """Make the record on the errors topic for an answer that its topic does not take."""
        return self._writer.undeliverable(append, why)

    def copy(self, record: Record, topic: TopicName) -> Append:
        """Make the copy of a model's input for its mirror: it belongs to no pipeline, so nothing waits for its end."""
        kept = tuple(header for header in h.passed_on(record.headers) if header[0] not in {h.PIPELINE, h.VERSION})
        made_from = (h.PARENTS, self._writer.parents([record], record.partition))
        headers = (*kept, (h.MIRROR_OF, record.key), made_from)
        return Append(topic, record.partition, record.key, record.value, headers)

    def _from_caller(self, record: Record) -> bool:
        """Whether what the caller sent is among what the model was given."""
        parents = h.decode_parents(record.header(h.PARENTS) or b"", record.partition, self._topics)
        refs = [self._topics.parse(parent.topic) for parent in parents]
        return any(ref is not None and ref.kind == "pipeline" for ref in refs)


def count_rows(record: Record) -> tuple[tuple[object, ...], int]:
    """Return what a record's tensors must agree in to share a batch, and how many rows they have.

    The number of rows is 0 where the tensors have no first axis in common: such a record is called alone.

    Raises
    ------
    PayloadError
        If the record holds no request.
    """
    tensors = read_message(InferRequest, record.value).tensors
    lengths = {tensor.shape[0] if tensor.shape else 0 for tensor in tensors}
    signature = tuple((tensor.name, tensor.datatype, *tensor.shape[1:]) for tensor in tensors)
    return signature, lengths.pop() if len(lengths) == 1 else 0


def _infer(target: Target, record: Record) -> bytes:
    request = read_message(InferRequest, record.value)
    outputs = target.runtime.infer(Inputs(decode_tensors(request)), _context(request, record))
    return _encode(target, outputs, request.id)


def _infer_batch(target: Target, records: Sequence[Record]) -> list[bytes]:
    members = [_member(record) for record in records]
    joined = Inputs({name: np.concatenate([member.tensors[name] for member in members]) for name in members[0].tensors})
    outputs = target.runtime.infer(joined, _context(members[0].request, members[0].record))
    n_rows, values, at = sum(member.n_rows for member in members), [], 0
    for member in members:
        share = {name: _share(array, n_rows, at, member.n_rows) for name, array in outputs.items()}
        values.append(_encode(target, share, member.request.id))
        at += member.n_rows
    return values


def _member(record: Record) -> _Member:
    request = read_message(InferRequest, record.value)
    tensors = decode_tensors(request)
    return _Member(record, request, tensors, next((len(array) for array in tensors.values()), 0))


def _share(
    array: "np.ndarray[tuple[int, ...], np.dtype[np.generic]]", n_rows: int, at: int, own_rows: int
) -> "np.ndarray[tuple[int, ...], np.dtype[np.generic]]":
    """Return a member's rows of an output, or the whole output where it is an aggregate."""
    return array[at : at + own_rows] if array.ndim and len(array) == n_rows else array


def _encode(target: Target, outputs: Tensors, request_id: str) -> bytes:
    try:
        return encode_response(outputs, model_name=target.name, request_id=request_id).SerializeToString()
    except PayloadError as error:
        msg = f"model '{target.name}' returned what is no tensor: {error}"
        raise ModelError(msg) from error


def _context(request: InferRequest, record: Record) -> Context:
    parameters: Mapping[str, object] = {}
    if request.parameters:
        parameters = {name: _value(item) for name, item in request.parameters.items()}
    return Context(request.id, dict(record.headers), parameters)


def _value(parameter: InferParameter) -> object:
    chosen = parameter.WhichOneof("parameter_choice")
    return getattr(parameter, chosen) if chosen else None


def _times(record: Record, began_ms: int, service_us: int) -> Headers:
    queue_us = max(began_ms - record.timestamp_ms, 0) * 1000
    return ((h.QUEUE_US, b"%d" % queue_us), (h.SERVICE_US, b"%d" % service_us))


def model_of(record: Record, topics: Topics) -> str:
    """Return the model whose input a record is."""
    ref = topics.parse(record.topic)
    return ref.name if ref else ""


def _kept(record: Record, route: str = "") -> Headers:
    """Return the headers that the answer inherits, its visit among them, with the route that it took."""
    visit = record.header(h.VISIT)
    kept = h.passed_on(record.headers)
    if route:
        kept = (*(header for header in kept if header[0] != ROUTE_HEADER), (ROUTE_HEADER, route.encode()))
    return kept if visit is None else (*kept, (h.VISIT, visit))
