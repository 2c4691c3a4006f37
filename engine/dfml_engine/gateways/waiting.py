"""What a request is waiting for, told from the log alone.

The records of the request on the pipeline's topics say which rules have fired and which models have answered; the
topology says what is still to come. Nothing is asked of the engine, so it works when the engine is the one that hangs.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from dfml import headers as h
from dfml.errors import LogError
from dfml.log.base import Log
from dfml.record import TopicName, TopicPartition
from dfml.topics import Topics
from dfml_engine.gateways.lookup import read_range
from dfml_engine.topology import FiringRule, Topology


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a request is: its pipeline's topology, its partition number, its id, and when it began (ms)."""

    topology: Topology
    partition: int
    request: str
    since_ms: int


@dataclass(slots=True)
class _Seen:
    """The topics that have a record of a request, and the steps that failed for it."""

    here: set[TopicName] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)


class Enquiries:
    """Says what requests wait for. The log is read once for all that are asked about at the same time.

    Requests that hang tend to be late together; a reading for each of them would take longer than they had.
    """

    def __init__(self, log: Log, topics: Topics) -> None:
        self._log = log
        self._topics = topics
        self._asked: list[tuple[Whereabouts, asyncio.Future[tuple[str, ...]]]] = []
        self._reading: asyncio.Task[None] | None = None

    async def ask(self, where: Whereabouts) -> tuple[str, ...]:
        """Return what the request waits for, as :func:`waiting_for` says it.

        Raises
        ------
        LogError
            If the log cannot be read.
        """
        answer: asyncio.Future[tuple[str, ...]] = asyncio.get_running_loop().create_future()
        self._asked.append((where, answer))
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        return await answer

    async def _read(self) -> None:
        while self._asked:
            asked, self._asked = self._asked, []
            try:
                answers = await asyncio.to_thread(waiting_for, self._log, self._topics, [where for where, _ in asked])
            except LogError as error:
                for _, future in asked:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), answer in zip(asked, answers, strict=True):
                if not future.done():
                    future.set_result(answer)


def waiting_for(log: Log, topics: Topics, asked: Sequence[Whereabouts]) -> list[tuple[str, ...]]:
    """Say what each request waits for, one text for each thing, the models that have not answered first."""
    groups: dict[tuple[str, int, int], list[Whereabouts]] = {}
    for where in asked:
        groups.setdefault((where.topology.pipeline, where.topology.version, where.partition), []).append(where)
    seen = {key: _read_group(log, topics, group) for key, group in groups.items()}
    return [
        _describe(
            topics,
            where.topology,
            seen[where.topology.pipeline, where.topology.version, where.partition][where.request.encode()],
        )
        for where in asked
    ]


def _read_group(log: Log, topics: Topics, group: Sequence[Whereabouts]) -> dict[bytes, _Seen]:
    """Read the topics of one topology at one partition number for all requests of the group."""
    topology, partition = group[0].topology, group[0].partition
    wanted = {rule.sink for rule in topology.rules} | {topics.errors, topics.pipeline_inputs(topology.pipeline)}
    wanted |= {topics.model_outputs(model) for model in topology.models}
    known = log.topics()
    places = [TopicPartition(topic, partition) for topic in sorted(wanted) if topic in known]
    seen = {where.request.encode(): _Seen() for where in group}
    for record in read_range(log, log.offsets_at(places, min(where.since_ms for where in group))):
        found = seen.get(record.key)
        if found is not None and record.header(h.PIPELINE) == topology.pipeline.encode():
            found.here.add(record.topic)
            if record.topic == topics.errors:
                found.failed.add((record.header(h.STEP) or b"").decode(errors="replace"))
    return seen


def _describe(topics: Topics, topology: Topology, seen: _Seen) -> tuple[str, ...]:
    called = [
        f"model '{rule.step}' to answer"
        for rule in topology.rules
        if rule.step and rule.sink in seen.here and rule.step not in seen.failed
        if topics.model_outputs(rule.step) not in seen.here
    ]
    joins = [text for rule in topology.rules if rule.sink not in seen.here and (text := _open_join(rule, seen.here))]
    return tuple(called + joins) or ("the engine to take it up",)


def _open_join(rule: FiringRule, here: set[TopicName]) -> str:
    """Describe a rule that has some of its sources but not all; "" when it has none."""
    missing = [source.name for source in rule.slots if source.topic not in here]
    if not missing or len(missing) == len(rule.slots):
        return ""
    name = f"step '{rule.step}'" if rule.step else "the output"
    return f"{name} to get {', '.join(missing)}"
