"""The core of the pipeline gateway: submit, await, cancel, look up. The faces (REST, gRPC) are thin around it.

A request is accepted once its record is on the pipeline's inputs; from then on no crash loses it, and its answer is
found by its id. A caller that sends the same request again under the same id gets the same answer; another request
under a used id is refused.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager

from dfml import headers as h
from dfml.clock import Clock
from dfml.errors import (
    DeadlineError,
    DfmlError,
    NotFoundError,
    OverloadedError,
    PayloadTooLargeError,
    RecordTooLargeError,
)
from dfml.inference.oip_pb2 import InferRequest
from dfml.log.base import Log
from dfml.record import Append, Headers, Record, TopicName, TopicPartition
from dfml.topics import Topics
from dfml_engine.gateways.admission import Admission, PipelineGatewayOptions
from dfml_engine.gateways.api import Answer, Pending, PipelineStatus, Submission, SubmitOptions
from dfml_engine.gateways.directory import Directory
from dfml_engine.gateways.lookup import read_at, read_range, search
from dfml_engine.gateways.requests import (
    REMEMBER_MS,
    REMEMBER_REQUESTS,
    OpenRequest,
    RequestKey,
    RequestTable,
    digest_of,
    entry_headers,
    new_request_id,
    reopen,
    request_key,
)
from dfml_engine.gateways.waiting import Enquiries, Whereabouts
from dfml_engine.outcome import Outcome
from dfml_engine.routing import ROUTE_HEADER
from dfml_engine.share import Share
from dfml_engine.topology import Topology
from dfml_engine.writing import Writer

logger = logging.getLogger(__name__)

MIRROR_SUFFIX = "-mirror"
EXPLAIN_S = 1.0
"""How much longer than its deadline a caller waits at most, to be told what its request waits for."""
FORGET_EVERY_MS = 10_000
"""How often requests that never ended are looked for."""


class PipelineGateway:
    """Takes requests, awaits answers. Everything is called on one event loop.

    Parameters
    ----------
    log : Log
        Read for look-ups and for what a late request waits for; never on the way of a request.
    topics : Topics
        The namespace.
    options : PipelineGatewayOptions
        Limits.
    submit : callable
        Takes an outcome to be written.
    share : Share
        The partition numbers that requests may be sent on.
    clock : Clock
        Milliseconds since the epoch.
    """

    group = inherits = "pipeline-gateway"

    def __init__(
        self,
        log: Log,
        topics: Topics,
        options: PipelineGatewayOptions,
        submit: Callable[[Outcome], None],
        share: Share,
        clock: Clock,
    ) -> None:
        self._log = log
        self._topics = topics
        self._options = options
        self._submit = submit
        self._clock = clock
        self._writer = Writer(topics)
        self.directory = Directory()
        self._requests = RequestTable()
        self.admission = Admission(options, share, self.directory, self._requests)
        self._enquiries = Enquiries(log, topics)
        self._forget_at_ms = 0
        self._read: frozenset[TopicName] = frozenset({topics.errors})
        self.n_accepted = 0

    # -- specs --------------------------------------------------------------------------------------------------------

    def load(self, topology: Topology) -> None:
        """Take requests for this version of a pipeline once it is ready, and read its answers from now on."""
        self.directory.load(topology)
        self._read |= {self._topics.pipeline_outputs(topology.pipeline)}

    def pipelines(self) -> Mapping[str, PipelineStatus]:
        """Return what can be called, by name."""
        return self.directory.statuses

    def ready(self) -> bool:
        """Return whether requests are taken: the gateway is not stopping and has a partition number."""
        return not self.admission.draining and self.admission.has_number

    @property
    def outstanding(self) -> int:
        """How many requests are on their way."""
        return len(self._requests)

    @property
    def outstanding_bytes(self) -> int:
        """The size of the requests on their way."""
        return self._requests.n_bytes

    def drain(self) -> None:
        """Take no more requests."""
        self.admission.draining = True

    def reading(self, n_bytes: int) -> AbstractContextManager[None]:
        """Keep room for a body of that size while it is read, or refuse it (OverloadedError)."""
        return self.admission.reading(n_bytes)

    # -- requests -----------------------------------------------------------------------------------------------------

    def submit(self, pipeline: str, request: InferRequest, options: SubmitOptions) -> Submission:
        """Send a request on its way, and its copy to the mirror where an experiment wants one.

        Raises
        ------
        NotFoundError, ConflictError, OverloadedError
            As the interface says; a pipeline that is not ready yet is an OverloadedError too: it may be soon.
        """
        request.id = options.request_id or request.id or new_request_id()
        routed = self.directory.route(pipeline, request.id, options.headers)
        headers = options.headers
        if routed.route:
            headers = (
                *(header for header in headers if header[0] != ROUTE_HEADER),
                (ROUTE_HEADER, routed.route.encode()),
            )
        self._enter(routed.name, request, headers, options.timeout_ms)
        submission = Submission(routed.name, request.id, routed.route)
        if routed.mirror is not None:
            self._enter_copy(routed.mirror, request, headers)
        return submission

    def _enter(self, pipeline: str, request: InferRequest, given: Headers, timeout_ms: int | None) -> None:
        """Put a request on the pipeline's inputs, unless it is the same request sent again."""
        loaded = self.admission.admit(pipeline)
        request.model_name = pipeline
        value = request.SerializeToString(deterministic=True)
        key, digest = (pipeline, request.id), digest_of(value)
        now_ms = self._clock()
        deadline_ms = None if timeout_ms is None else now_ms + timeout_ms
        if self._requests.knows(key, digest):
            self._requests.prolong(key, deadline_ms or now_ms + self._options.request_timeout_ms)
            return
        partition = self.admission.partition_for(request.id)
        opened = OpenRequest(key, partition, loaded.topology.version, digest, now_ms, deadline_ms, len(value))
        headers = entry_headers((pipeline, loaded.topology.version, request.id), given, deadline_ms)
        entry = Append(self._topics.pipeline_inputs(pipeline), partition, request.id.encode(), value, headers)
        self._requests.enter(opened)
        answered = loaded.status.synchronous
        self._submit(
            Outcome(
                self.group,
                appends=[entry],
                written=lambda: self._written(opened, answered=answered),
                refused=lambda error: self._refused(opened, error),
            )
        )

    def _enter_copy(self, mirror: str, request: InferRequest, given: Headers) -> None:
        """Send a copy to the mirror under an id of its own; what keeps it from going never harms the original."""
        copied = InferRequest()
        copied.CopyFrom(request)
        copied.id = f"{request.id}{MIRROR_SUFFIX}"
        try:
            self._enter(mirror, copied, (*given, (h.MIRROR_OF, request.id.encode())), None)
        except DfmlError as error:
            logger.warning("request '%s' was not mirrored to '%s': %s", request.id, mirror, error)

    def _written(self, opened: OpenRequest, *, answered: bool) -> None:
        self.n_accepted += 1
        opened.tell_accepted()
        if not answered:
            self._requests.leave(opened.key)

    def _refused(self, opened: OpenRequest, error: Exception) -> None:
        self._requests.leave(opened.key)
        self.admission.refused["log"] += 1
        if isinstance(error, RecordTooLargeError):
            opened.tell_failure(PayloadTooLargeError(f"the request is too large for the log: {error}"))
        else:
            opened.tell_failure(OverloadedError(f"the request could not be written to the log: {error}"))

    async def accepted(self, submission: Submission) -> None:
        """Wait until the request is on the log.

        Raises
        ------
        OverloadedError
            If the log did not take it.
        """
        opened = self._requests.open((submission.pipeline, submission.request_id))
        if opened is None or opened.on_log:
            return
        if opened.accepted is None:
            opened.accepted = asyncio.get_running_loop().create_future()
        await asyncio.shield(opened.accepted)

    async def result(self, submission: Submission) -> Answer:
        """Wait for the request's end.

        Raises
        ------
        DeadlineError
            If it does not end in time; the text says what it was waiting for.
        OverloadedError
            If the log did not take it.
        """
        key = (submission.pipeline, submission.request_id)
        opened = self._requests.open(key)
        if opened is None:
            return await self._ended_answer(key)
        if opened.answer is None:
            opened.answer = asyncio.get_running_loop().create_future()
        opened.waiters += 1
        wait_s = self._seconds_left(opened)
        try:
            async with asyncio.timeout(wait_s):
                return await asyncio.shield(opened.answer)
        except TimeoutError:
            waits = await self._waiting_for(opened)
            if opened.answer.done():
                return opened.answer.result()
            limit = round((opened.deadline_ms or self._clock()) - opened.since_ms)
            text = f"request '{key[1]}' did not finish within {limit} ms; it waits for {'; '.join(waits)}"
            raise DeadlineError(text) from None

    def _seconds_left(self, opened: OpenRequest) -> float:
        deadline_ms = opened.deadline_ms or opened.since_ms + self._options.request_timeout_ms
        return max(deadline_ms - self._clock(), 0) / 1000

    def cancel(self, submission: Submission) -> None:
        """Stop waiting for an answer, for one of its callers; what is on the log goes its way."""
        opened = self._requests.open((submission.pipeline, submission.request_id))
        if opened is not None:
            opened.waiters -= 1
            if not opened.waiters:
                opened.answer = None

    def release(self, partitions: Collection[int]) -> None:
        """Tell the callers of these partition numbers that another gateway has their answers."""
        for opened in self._requests.leave_partitions(partitions):
            text = f"request '{opened.key[1]}' went to another gateway; its answer is found there by its id"
            opened.tell_failure(OverloadedError(text))

    # -- answers ------------------------------------------------------------------------------------------------------

    def topics(self) -> frozenset[TopicName]:
        """Return the outputs of every pipeline, and the errors."""
        return self._read

    def paused(self) -> frozenset[TopicName]:
        """Return none."""
        return frozenset()

    def handle(self, batch: Sequence[Record]) -> Outcome:
        """Answer the callers; a second answer to one request is dropped and said so."""
        outcome = Outcome(self.group)
        ended: list[tuple[OpenRequest, Answer]] = []
        for record in batch:
            outcome.offsets[TopicPartition(record.topic, record.partition)] = record.offset + 1
            key = request_key(record)
            if self._requests.ended(key) is not None:
                outcome.appends.append(self._writer.drop(record, "", "answered already"))
                continue
            opened = self._requests.end(key, record.position)
            if opened is not None and opened.answer is not None:
                ended.append((opened, self._answer(key[1], record)))
        if ended:
            outcome.written = lambda: _tell(ended)
        return outcome

    def _answer(self, request_id: str, record: Record) -> Answer:
        if record.topic != self._topics.errors:
            return Answer(request_id, 200, record.value)
        status = record.header(h.ERROR_STATUS) or b"500"
        return Answer(request_id, int(status) if status.isdigit() else 500, record.value)

    def tick(self, now_ms: int) -> Outcome:
        """Forget requests that never ended; deadlines are the callers' own."""
        if now_ms >= self._forget_at_ms:
            self._forget_at_ms = now_ms + FORGET_EVERY_MS
            self._requests.forget_old(now_ms)
        return Outcome()

    def wake_ms(self) -> int | None:
        """Return when requests are next forgotten, while there are any."""
        return self._forget_at_ms if self._requests else None

    # -- look-up ------------------------------------------------------------------------------------------------------

    async def lookup(self, pipeline: str, request_id: str) -> Answer | Pending:
        """Return how a request ended or what it waits for, from memory or from the log.

        Raises
        ------
        NotFoundError
            If the pipeline has had no such request.
        """
        key = (pipeline, request_id)
        opened = self._requests.open(key)
        if opened is not None:
            return Pending(request_id, await self._waiting_for(opened))
        if self._requests.ended(key) is not None:
            return await self._ended_answer(key)
        return await self._search(pipeline, request_id)

    async def _ended_answer(self, key: RequestKey) -> Answer:
        ended = self._requests.ended(key)
        if ended is None:
            msg = f"pipeline '{key[0]}' has had no request '{key[1]}'"
            raise NotFoundError(msg)
        record = await asyncio.to_thread(read_at, self._log, ended.position)
        if request_key(record) != key:
            msg = f"the answer at {ended.position} went with its topic, which was made again"
            raise NotFoundError(msg)
        return self._answer(key[1], record)

    async def _waiting_for(self, opened: OpenRequest) -> tuple[str, ...]:
        topology = self.directory.topology(opened.key[0], opened.version)
        if topology is None:
            return (f"a pipeline that is not loaded any more (version {opened.version})",)
        where = Whereabouts(topology, opened.partition, opened.key[1], opened.since_ms)
        try:
            async with asyncio.timeout(EXPLAIN_S):
                return await self._enquiries.ask(where)
        except TimeoutError:
            return (f"more than could be read from the log in {EXPLAIN_S:g} s",)

    async def _search(self, pipeline: str, request_id: str) -> Answer | Pending:
        """Look for a request in the whole log: its answer, an error, or its entry."""
        found = await asyncio.to_thread(search, self._log, self._topics, pipeline, request_id)
        if found.answer is not None:
            return self._answer(request_id, found.answer)
        assert found.entry is not None
        return Pending(request_id, await self._waiting_for(reopen(found.entry)))

    # -- recovery -----------------------------------------------------------------------------------------------------

    def resume(self, log: Log, starts: Mapping[TopicPartition, int]) -> None:
        """Remember the requests of late: which are on their way, which have ended and where their answer is."""
        since_ms = self._clock() - REMEMBER_MS
        outputs = [place for place in starts if place.topic != self._topics.errors]
        entries = [self._entry_of(place) for place in outputs]
        places = [place for place in entries if place is not None] + list(starts)
        if not places:
            return
        ends = log.end(places)
        begins = {
            place: max(offset, ends[place] - REMEMBER_REQUESTS)
            for place, offset in log.offsets_at(places, since_ms).items()
        }
        for record in read_range(log, begins):
            place = TopicPartition(record.topic, record.partition)
            if place not in starts:
                if self._is_answered(request_key(record)[0]):
                    self._requests.enter(reopen(record))
            elif record.offset < starts[place]:
                self._requests.end(request_key(record), record.position)

    def _is_answered(self, pipeline: str) -> bool:
        """Whether requests to a pipeline end with an answer: those without an output are never awaited."""
        status = self.directory.statuses.get(pipeline)
        return status is None or status.synchronous

    def _entry_of(self, place: TopicPartition) -> TopicPartition | None:
        ref = self._topics.parse(place.topic)
        return TopicPartition(self._topics.pipeline_inputs(ref.name), place.partition) if ref else None


def _tell(ended: Sequence[tuple[OpenRequest, Answer]]) -> None:
    for opened, answer in ended:
        opened.tell_answer(answer)
