"""The requests that a task remembers: under way, and finished of late."""

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping

from dfml.record import Record
from dfml_engine.flow import Ended, Flow
from dfml_engine.topology import Topology

FLOW_AGE_MS = 120_000
"""How long a request is remembered at least after the last that happened to it: twice the default join window."""
FINISHED_KEPT = 20_000
"""How many finished requests are remembered, so that a late duplicate is known as one."""

FlowKey = tuple[str, int, bytes]
Endings = Mapping[tuple[int, int], Ended]


class UnderWay:
    """How many requests of each pipeline are under way in a worker, and for which pipelines these are too many.

    Parameters
    ----------
    limit : int
        From how many on a pipeline has too many, until half of them have ended.

    Those of a cyclic pipeline are not counted: they end by age alone.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._counts: Counter[str] = Counter()
        self.full: frozenset[str] = frozenset()
        """The pipelines that have too many."""

    def begin(self, topology: Topology) -> None:
        """Take note of one more."""
        if not topology.cyclic:
            self._counts[topology.pipeline] += 1
            if self._counts[topology.pipeline] == self._limit:
                self.full |= {topology.pipeline}

    def end(self, topology: Topology) -> None:
        """Take note of one less."""
        if not topology.cyclic:
            self._counts[topology.pipeline] -= 1
            if self.full and self._counts[topology.pipeline] <= self._limit // 2:
                self.full -= {topology.pipeline}


class Flows:
    """Flows by pipeline, version and request; ``under_way`` counts them with those of other tasks."""

    def __init__(self, under_way: UnderWay | None = None) -> None:
        self._open: OrderedDict[FlowKey, Flow] = OrderedDict()
        self._under_way = under_way or UnderWay()
        self._finished: OrderedDict[FlowKey, Endings] = OrderedDict()

    def under_way(self, topology: Topology, request: bytes) -> Flow | None:
        """Return a request's flow, or None when it has none yet or is finished."""
        return self._open.get((topology.pipeline, topology.version, request))

    def endings(self, topology: Topology, request: bytes) -> Endings | None:
        """Return how the rules of a finished request ended, or None when it is not known as finished."""
        return self._finished.get((topology.pipeline, topology.version, request))

    def begin(self, topology: Topology, record: Record) -> Flow:
        """Make the flow that a record begins."""
        flow = Flow.begun_by(topology, record)
        self._open[topology.pipeline, topology.version, record.key] = flow
        self._under_way.begin(topology)
        return flow

    def forget_all(self) -> None:
        """Forget everything that is under way: it is another's."""
        for flow in self._open.values():
            self._under_way.end(flow.topology)
        self._open.clear()

    def touch(self, flow: Flow, now_ms: int) -> None:
        """Remember a flow for longer: something has happened to it."""
        key = (flow.topology.pipeline, flow.topology.version, flow.request)
        if key in self._open:
            flow.touched_ms = now_ms
            self._open.move_to_end(key)

    def finish(self, flow: Flow) -> None:
        """Remember of a flow only how its rules ended."""
        key = (flow.topology.pipeline, flow.topology.version, flow.request)
        if self._open.pop(key, None) is not None:
            self._under_way.end(flow.topology)
            self._finished[key] = flow.ended
            if len(self._finished) > FINISHED_KEPT:
                self._finished.popitem(last=False)

    def take_old(self, now_ms: int) -> Iterator[Flow]:
        """Forget and yield the flows that are too old; one that still waits with something in hand is kept on."""
        while self._open:
            key, flow = next(iter(self._open.items()))
            if flow.touched_ms + FLOW_AGE_MS > now_ms:
                return
            if any(gathering.arrived for gathering in flow.gatherings.values()):
                self.touch(flow, now_ms)
            else:
                del self._open[key]
                self._under_way.end(flow.topology)
                yield flow
