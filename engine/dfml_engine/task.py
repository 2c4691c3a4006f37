"""All firing rules for one partition number: records in, firings, fates and errors out.

A task holds no connection and reads no clock: records and times are arguments, what it wants written is collected in
``appends``. It knows which records it still needs, which gives the positions to commit; ``touched`` names the topics
whose positions may have moved.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence

from dfml import headers as h
from dfml.errors import PayloadError
from dfml.headers import Identity, identity
from dfml.record import Append, Record, TopicName
from dfml_engine.firing import Decision, decide
from dfml_engine.flow import SUPERSEDED, Arrival, Ended, Ending, FiredShort, Flow, Gathering
from dfml_engine.flows import Flows, UnderWay
from dfml_engine.held import HeldOffsets
from dfml_engine.payloads import FILTERED, join_payload, lacking, late_fate, undecodable
from dfml_engine.recovery import GivenUp, Sent
from dfml_engine.topology import OUTPUT, Feed, FiringRule, Topology
from dfml_engine.windows import Windows
from dfml_engine.writing import Failure, Writer


class Task:
    """The rules of one partition number.

    Parameters
    ----------
    writer : Writer
        Makes the records.
    already : Sent
        What an earlier owner of the partition number had written; it is not written again.
    under_way : UnderWay
        Counts the requests under way with those of other tasks.
    """

    def __init__(self, writer: Writer, already: Sent | None = None, under_way: UnderWay | None = None) -> None:
        self.appends: list[Append] = []
        self.touched: set[TopicName] = set()
        self._held: dict[TopicName, HeldOffsets] = defaultdict(HeldOffsets)
        self.already = Sent() if already is None else already
        self._writer = writer
        self._flows = Flows(under_way)
        self._windows = Windows()

    # -- positions ----------------------------------------------------------------------------------------------------

    def read(self, record: Record) -> None:
        """Take note that the record has been handled: the position after it is the next to be read."""
        self._held[record.topic].next_offset = record.offset + 1
        self.touched.add(record.topic)

    def hold(self, record: Record) -> None:
        """Need the record until it is released."""
        self._held[record.topic].hold(record.offset)

    def release(self, record: Record) -> None:
        """Need the record once less."""
        self._held[record.topic].release(record.offset)
        self.touched.add(record.topic)

    def committable(self, topic: TopicName) -> int:
        """Return the offset of the topic's oldest record that is still needed."""
        return self._held[topic].committable

    @property
    def n_held(self) -> int:
        """How many records are still needed."""
        return sum(len(held) for held in list(self._held.values()))

    def leave(self) -> None:
        """Forget the requests under way: the partition number is another's."""
        self._flows.forget_all()

    # -- records in ---------------------------------------------------------------------------------------------------

    def arrive(self, topology: Topology, feeds: Sequence[Feed], record: Record, *, is_of_loop: bool = False) -> None:
        """Take a record into the slots it feeds (``is_of_loop``: see Arrival); what fires is added to ``appends``."""
        flow, arrival = self._flow(topology, record), Arrival(record, is_of_loop=is_of_loop)
        if flow is None:
            self._drop_after_the_end(topology, feeds, arrival)
            return
        self._flows.touch(flow, record.timestamp_ms)
        visit = identity(record).visit if topology.cyclic else 0
        for feed in feeds:
            self._fill(flow, feed, visit + feed.turn, arrival)
        self._forget_if_complete(flow)

    def _drop_after_the_end(self, topology: Topology, feeds: Sequence[Feed], arrival: Arrival) -> None:
        """Drop a record of a request for which no rule can fire any more."""
        endings = self._flows.endings(topology, arrival.record.key) or {}
        for feed in feeds:
            rule = topology.rules[feed.rule]
            self._drop(topology, arrival.record, rule, *late_fate(rule, feed.slot, arrival, endings[feed.rule, 0]))

    def has_begun(self, topology: Topology, request: bytes) -> bool:
        """Return whether anything of the request has come to this version of the pipeline."""
        return (self._flows.under_way(topology, request) or self._flows.endings(topology, request)) is not None

    def fail(self, topology: Topology, step: str, record: Record) -> None:
        """Take note that a step failed for a request (``record`` is on the errors topic): nothing comes of it."""
        rule = topology.rule_of(step)
        flow = self._flow(topology, record)
        if flow is None or rule is None:
            return
        flow.failed = True
        self._give_up_dependants(flow, rule, [record], {"outputs"})
        self._forget_if_complete(flow)

    def close_windows(self, now_ms: int) -> None:
        """Close the windows that are over and forget what is too old.

        Call it only when every record that was appended before ``now_ms`` has been read: otherwise a window could
        close on records that were in time but waited in the log.
        """
        for flow, gathering in self._windows.due(now_ms):
            self._close(flow, gathering)
            self._flows.touch(flow, now_ms)
            self._forget_if_complete(flow)
        for flow in self._flows.take_old(now_ms):
            for gathering in list(flow.gatherings.values()):
                self._end(flow, gathering, Ending.IMPOSSIBLE)

    def next_close_ms(self) -> int | None:
        """Return when the next window closes."""
        return self._windows.next_close_ms()

    # -- filling slots ------------------------------------------------------------------------------------------------

    def _fill(self, flow: Flow, feed: Feed, visit: int, arrival: Arrival) -> None:
        rule = flow.topology.rules[feed.rule]
        key = (rule.index, visit)
        if self.already and (parents := self._sent(flow, rule, visit)) is not None:
            self._pass_over(flow, feed, visit, arrival, parents)
            return
        if (ended := flow.ended.get(key)) is not None:
            self._drop(flow.topology, arrival.record, rule, *late_fate(rule, feed.slot, arrival, ended))
            return
        source = rule.slots[feed.slot]
        if source.wanted and not self._wanted_here(flow, rule, feed.slot, visit, arrival):
            return
        if len(rule.slots) == 1:
            flow.ended[key] = Ending.FIRED
            self._fire(flow, rule, visit, [(feed.slot, arrival)] if rule.sources else [], [arrival])
        else:
            self._gather(flow, self._gathering(flow, rule, visit), feed.slot, arrival)

    def _sent(self, flow: Flow, rule: FiringRule, visit: int) -> Collection[bytes] | None:
        """Return the parents of what an earlier owner had written for the rule, or None when it had not."""
        own = self._identity(flow, rule, visit)
        return self.already.parents(rule.sink, own) or self.already.parents(self._writer.topics.errors, own)

    def _ending_before(self, flow: Flow, rule: FiringRule, visit: int) -> Ended:
        """Return how a rule ended whose result or failure an earlier owner had written."""
        fired = FiredShort() if rule.fires_short else Ending.FIRED
        return fired if (rule.sink, self._identity(flow, rule, visit)) in self.already else Ending.IMPOSSIBLE

    def _given_up_before(self, flow: Flow, rule: FiringRule) -> GivenUp | None:
        """Return how an earlier owner gave the rule up: what comes now, in whatever order, must not fire it."""
        before = bool(self.already) and not flow.topology.cyclic
        return self.already.given_up(self._identity(flow, rule, 0)) if before else None

    def _pass_over(self, flow: Flow, feed: Feed, visit: int, arrival: Arrival, parents: Collection[bytes]) -> None:
        """Take a record for a rule that had fired or failed before: it was used then, or it comes too late."""
        rule, record, key = flow.topology.rules[feed.rule], arrival.record, (feed.rule, visit)
        was_used = self._writer.parents([record], record.partition) in parents
        if not was_used:
            is_copy = self._writer.shares_topic(record, parents)
            ended = Ending.FIRED if is_copy else self._ending_before(flow, rule, visit)
            self._drop(flow.topology, record, rule, *late_fate(rule, feed.slot, arrival, ended))
        if not rule.joins_any or key in flow.ended:
            flow.ended.setdefault(key, self._ending_before(flow, rule, visit))
            return
        gathering = self._gathering(flow, rule, visit)
        gathering.fired = True
        self._note_arrival(flow, gathering, feed.slot, record.timestamp_ms)
        if was_used:
            gathering.arrivals[feed.slot] = arrival
            self.hold(record)
        self._end_if_resolved(flow, gathering)

    def _note_arrival(self, flow: Flow, gathering: Gathering, slot: int, now_ms: int) -> None:
        """Fill the slot; the first one opens the window."""
        if not gathering.arrived:
            gathering.close_ms = now_ms + gathering.rule.window_ms
            self._windows.open(flow, gathering)
        gathering.arrived |= 1 << slot

    def _wanted_here(self, flow: Flow, rule: FiringRule, slot: int, visit: int, arrival: Arrival) -> bool:
        """Whether the record has the wanted tensors; otherwise it is dropped and its slot stays empty for ever."""
        source = rule.slots[slot]
        try:
            missing = lacking(rule, slot, arrival)
        except PayloadError as error:
            gathering = flow.gatherings.get((rule.index, visit))
            for other in gathering.arrivals.values() if gathering and not gathering.fired else ():
                self._drop(flow.topology, other.record, rule, Ending.IMPOSSIBLE.value, (source.name,))
            self._fail_rule(flow, rule, visit, undecodable(arrival.record, rule, error), [arrival])
            return False
        if not missing:
            return True
        self._drop(flow.topology, arrival.record, rule, FILTERED, missing)
        flow.lacks += missing
        if not arrival.is_of_loop:
            self._lose(flow, rule, visit, slot, [arrival.record], missing)
        return False

    def _gathering(self, flow: Flow, rule: FiringRule, visit: int) -> Gathering:
        key = (rule.index, visit)
        gathering = flow.gatherings.get(key)
        if gathering is None:
            gathering = flow.gatherings[key] = Gathering(rule, visit)
        return gathering

    def _gather(self, flow: Flow, gathering: Gathering, slot: int, arrival: Arrival) -> None:
        rule, bit = gathering.rule, 1 << slot
        if gathering.arrived & bit:
            self._drop(flow.topology, arrival.record, rule, arrival.late_reason(Ending.FIRED, rule, slot))
            return
        if gathering.arrived and arrival.record.timestamp_ms >= gathering.close_ms:
            self._close(flow, gathering)
            reason = flow.ended[rule.index, gathering.visit].late_reason(rule, slot)
            self._drop(flow.topology, arrival.record, rule, reason)
            return
        if gathering.fired:
            gathering.arrived |= bit
            self._drop(flow.topology, arrival.record, rule, FiredShort().late_reason(rule, slot))
            self._end_if_resolved(flow, gathering)
            return
        gathering.arrivals[slot] = arrival
        self.hold(arrival.record)
        if before := self._given_up_before(flow, rule):
            self._give_up(flow, gathering, before.ending, before.lacking)
        else:
            self._note_arrival(flow, gathering, slot, arrival.record.timestamp_ms)
            self._decide(flow, gathering)

    def _lose(
        self, flow: Flow, rule: FiringRule, visit: int, slot: int, causes: Sequence[Record], missing: Sequence[str]
    ) -> None:
        """Take note that a slot will never be filled; what that follows from is needed until the rule has ended."""
        key = (rule.index, visit)
        if key in flow.ended:
            return
        sent = bool(self.already) and self._sent(flow, rule, visit) is not None
        if sent and not rule.joins_any:
            flow.ended[key] = self._ending_before(flow, rule, visit)
            return
        gathering = self._gathering(flow, rule, visit)
        gathering.fired |= sent
        gathering.never |= 1 << slot
        gathering.missing += missing
        gathering.causes += causes
        for record in causes:
            self.hold(record)
        if gathering.fired:
            self._end_if_resolved(flow, gathering)
        else:
            self._decide(flow, gathering)

    def _decide(self, flow: Flow, gathering: Gathering, *, closed: bool = False) -> None:
        match decide(gathering.rule, gathering.arrived, gathering.never, closed=closed):
            case Decision.FIRE:
                gathering.fired = True
                self._fire(flow, gathering.rule, gathering.visit, gathering.data(), gathering.used())
                self._drop_unused(flow, gathering)
                self._end_if_resolved(flow, gathering)
            case Decision.DROP:
                ending = Ending.CLOSED if closed else Ending.IMPOSSIBLE
                self._give_up(flow, gathering, ending, gathering.lacking())
            case Decision.WAIT:
                pass

    def _close(self, flow: Flow, gathering: Gathering) -> None:
        if not gathering.fired:
            self._decide(flow, gathering, closed=True)
        if gathering.fired:
            self._end(flow, gathering, FiredShort(gathering.arrived))

    # -- endings ------------------------------------------------------------------------------------------------------

    def _end_if_resolved(self, flow: Flow, gathering: Gathering) -> None:
        if gathering.resolved:
            self._end(flow, gathering, Ending.FIRED)

    def _end(self, flow: Flow, gathering: Gathering, ended: Ended) -> None:
        key = (gathering.rule.index, gathering.visit)
        flow.ended[key] = ended
        self._windows.end(gathering)
        if flow.gatherings.pop(key, None) is not None:
            for arrival in gathering.arrivals.values():
                self.release(arrival.record)
            for record in gathering.causes:
                self.release(record)

    def _drop_unused(self, flow: Flow, gathering: Gathering) -> None:
        """Drop the arrivals that an ``any`` join did not use: they came while the rule waited for something else."""
        used = {id(arrival) for arrival in gathering.used()}
        for arrival in gathering.arrivals.values():
            if id(arrival) not in used:
                self._drop(flow.topology, arrival.record, gathering.rule, SUPERSEDED)

    def _give_up(self, flow: Flow, gathering: Gathering, ending: Ending, lacking: Sequence[str]) -> None:
        rule, arrivals = gathering.rule, gathering.arrivals
        for slot, arrival in arrivals.items():
            others = [name for name in lacking if name != rule.slots[slot].name]
            self._drop(flow.topology, arrival.record, rule, ending.value, others)
        flow.lacks = flow.lacks or tuple(lacking)
        self._end(flow, gathering, ending)
        causes = [*(arrival.record for arrival in arrivals.values()), *gathering.causes]
        # In a cyclic pipeline another visit may still bring the output.
        if rule.step == OUTPUT and rule.sink_port == "outputs" and not flow.topology.cyclic:
            self._tell_caller(flow, rule, ending, causes)
        self._give_up_dependants(flow, rule, causes, {"inputs", "outputs"})

    def _give_up_dependants(self, flow: Flow, rule: FiringRule, causes: Sequence[Record], ports: set[str]) -> None:
        if flow.topology.cyclic:
            return
        for feed in flow.topology.dependants[rule.index]:
            dependant = flow.topology.rules[feed.rule]
            if dependant.slots[feed.slot].port in ports:
                self._lose(flow, dependant, 0, feed.slot, causes, ())

    def _tell_caller(self, flow: Flow, rule: FiringRule, ending: Ending, causes: Sequence[Record]) -> None:
        """Write the error that answers a request which can have no output any more."""
        if flow.failed:
            return
        flow.failed = True
        self._write_failure(flow, rule, 0, flow.without_output(ending), causes[-1:])

    def _fail_rule(self, flow: Flow, rule: FiringRule, visit: int, failure: Failure, arrivals: list[Arrival]) -> None:
        self._end(flow, flow.gatherings.get((rule.index, visit)) or Gathering(rule, visit), Ending.IMPOSSIBLE)
        flow.failed = True
        records = [arrival.record for arrival in arrivals]
        self._write_failure(flow, rule, visit, failure, records)
        self._give_up_dependants(flow, rule, records, {"inputs", "outputs"})

    def _write_failure(
        self, flow: Flow, rule: FiringRule, visit: int, failure: Failure, parents: Sequence[Record]
    ) -> None:
        if (self._writer.topics.errors, self._identity(flow, rule, visit)) not in self.already:
            headers = (*flow.headers, (h.VISIT, b"%d" % visit)) if visit else flow.headers
            self.appends.append(self._writer.failure(headers, rule.step, failure, parents))

    # -- firing -------------------------------------------------------------------------------------------------------

    def _fire(
        self, flow: Flow, rule: FiringRule, visit: int, data: Sequence[tuple[int, Arrival]], used: list[Arrival]
    ) -> None:
        """Write the rule's result: the payload of ``data``, with everything in ``used`` as its parents."""
        limit = flow.topology.max_step_revisits
        if flow.topology.cyclic and visit > limit:
            failure = Failure.of_visits(flow.topology.pipeline, rule.step, limit)
            self._fail_rule(flow, rule, visit, failure, used)
            flow.ended[rule.index, visit] = Ending.FIRED  # what comes again is a copy of what the error was made from
            return
        try:
            value = join_payload(flow, rule, data)
        except PayloadError as error:
            self._fail_rule(flow, rule, visit, undecodable(used[0].record, rule, error), used)
            return
        partition = used[0].record.partition
        parents = (h.PARENTS, self._writer.parents([arrival.record for arrival in used], partition))
        own: tuple[tuple[str, bytes], ...] = ((h.STEP, rule.step.encode()), parents) if rule.step else (parents,)
        if visit:
            own += ((h.VISIT, b"%d" % visit),)
        self.appends.append(Append(rule.sink, partition, flow.request, value, flow.headers + own))

    def _identity(self, flow: Flow, rule: FiringRule, visit: int) -> Identity:
        topology = flow.topology
        return Identity(topology.pipeline, topology.version, rule.step, flow.request.decode(errors="replace"), visit)

    def _drop(
        self, topology: Topology, record: Record, rule: FiringRule, reason: str, missing: Sequence[str] = ()
    ) -> None:
        if self.already:
            own = Identity(topology.pipeline, topology.version, rule.step, identity(record).request, 0)
            dropped = self.already.parents(self._writer.topics.fates, own) or ()
            if self._writer.parents([record], record.partition) in dropped:
                return
        # A record of another pipeline bears that one's name; the rule that drops it is this one's.
        named_by = topology.naming if topology.external_feeds else ()
        self.appends.append(self._writer.drop(record, rule.step, reason, missing, named_by))

    # -- flows --------------------------------------------------------------------------------------------------------

    def _flow(self, topology: Topology, record: Record) -> Flow | None:
        """Return the request's flow, or None when it is finished."""
        flow = self._flows.under_way(topology, record.key)
        if flow is None and self._flows.endings(topology, record.key) is None:
            flow = self._flows.begin(topology, record)
            request = record.key.decode(errors="replace")
            flow.failed = self.already.has_failed(topology.pipeline, topology.version, request)
        return flow

    def _forget_if_complete(self, flow: Flow) -> None:
        if flow.complete:
            self._flows.finish(flow)
