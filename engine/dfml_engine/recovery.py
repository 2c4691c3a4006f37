"""What an earlier owner had already sent on: the identities at the tails of the sinks.

A worker that starts again reads from the oldest record still needed; some of what it reads has fired already. Its
results then stand in the sinks, at the same partition number, written no earlier than the oldest record that is read
again. What is not read again may matter too: a rule that fired without one of its records must not fire when that one
comes after all.
"""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import orjson

from dfml.headers import ERROR_KIND, PARENTS, Identity, identity
from dfml.log.base import Log
from dfml.record import Record, TopicName, TopicPartition
from dfml.topics import FATES
from dfml_engine.flow import Ending

CLOCK_MARGIN_MS = 5_000
"""How far the clocks that stamp two topics may be apart."""
READ_RECORDS = 2_000
WAIT_S = 0.05
"""How long a reading waits for what is on the log already, before it looks again whether it has come to the end: behind
the last record of a transaction there is no other to wait for."""
GIVEN_UP = {ending.value: ending for ending in (Ending.CLOSED, Ending.IMPOSSIBLE)}
"""The reasons of drops that say of their rule that it will not fire for the request."""


class GivenUp(NamedTuple):
    """How a rule ended that dropped what it held for a request, and what it lacked."""

    ending: Ending
    lacking: tuple[str, ...]


class Sent:
    """What an earlier owner of a partition number has written: results, errors and drops, each with its parents."""

    __slots__ = ("_failed", "_given_up", "_parents")

    def __init__(self) -> None:
        self._parents: dict[tuple[TopicName, Identity], set[bytes]] = {}
        self._failed: set[tuple[str, int, str]] = set()
        self._given_up: dict[Identity, GivenUp] = {}

    def __bool__(self) -> bool:
        return bool(self._parents)

    def __contains__(self, result: tuple[TopicName, Identity]) -> bool:
        """Whether a record of this topic and identity was written."""
        return result in self._parents

    def add(self, record: Record) -> None:
        """Take note of a record of a sink, of the errors or of the fates."""
        own = identity(record)
        self._parents.setdefault((record.topic, own), set()).update((record.header(PARENTS) or b"").split(b","))
        if record.header(ERROR_KIND) is not None:
            self._failed.add((own.pipeline, own.version, own.request))
        elif record.topic.endswith(FATES):
            given_up = _given_up_as(record.value)
            if given_up is not None:
                # What came later was dropped in the same words, but lacked nothing.
                self._given_up.setdefault(own, given_up)

    def update(self, other: "Sent") -> None:
        """Take note of everything that another one knows."""
        for result, parents in other._parents.items():
            self._parents.setdefault(result, set()).update(parents)
        self._failed |= other._failed
        self._given_up = other._given_up | self._given_up

    def clear(self) -> None:
        """Forget everything."""
        self._parents.clear()
        self._failed.clear()
        self._given_up.clear()

    def parents(self, topic: TopicName, own: Identity) -> Collection[bytes] | None:
        """Return the parents of the records of this topic and identity, as their header spells them, if any."""
        return self._parents.get((topic, own))

    def given_up(self, own: Identity) -> GivenUp | None:
        """Return how a rule was given up for a request, or None where it was not."""
        return self._given_up.get(own)

    def has_failed(self, pipeline: str, version: int, request: str) -> bool:
        """Return whether an error was written for the request."""
        return (pipeline, version, request) in self._failed


def _given_up_as(fate: bytes) -> GivenUp | None:
    """Return how the rule ended that wrote this fate, or None; what is no fate of ours says nothing."""
    try:
        told = orjson.loads(fate)
    except orjson.JSONDecodeError:
        return None
    match told:
        case {"reason": str(reason), **rest} if reason in GIVEN_UP:
            missing = rest.get("missing")
            return GivenUp(GIVEN_UP[reason], tuple(map(str, missing)) if isinstance(missing, list) else ())
        case _:
            return None


def already_written(
    log: Log, starts: Mapping[TopicPartition, int], sinks: Callable[[], Collection[TopicName]]
) -> dict[int, Sent]:
    """Return, for each partition number, the sinks' records that matter.

    Parameters
    ----------
    log : Log
        The log, with every topic named.
    starts : Mapping of TopicPartition to int
        Where reading begins again; topic partitions with nothing to be read again cost one look.
    sinks : callable
        Returns the topics that the worker writes; asked only when something will be read again. Those that the log
        does not have are passed over.
    """
    ends = log.end(starts)
    behind = {place: start for place, start in starts.items() if start < ends[place]}
    oldest: dict[int, int] = {}
    for place, first in _first_timestamps(log, behind, ends).items():
        oldest[place.partition] = min(first, oldest.get(place.partition, first))
    if not oldest:
        return {}
    known = log.topics()
    there = [topic for topic in sinks() if topic in known]
    return {number: _tails(log, there, number, first - CLOCK_MARGIN_MS) for number, first in oldest.items()}


def written_since(
    log: Log, sinks: Callable[[], Collection[TopicName]], partitions: Collection[int], since_ms: int
) -> dict[int, Sent]:
    """Return, for each partition number, what was written to the sinks since a time; absent topics are passed over."""
    if not partitions:
        return {}
    known = log.topics()
    there = [topic for topic in sinks() if topic in known]
    return {number: _tails(log, there, number, since_ms - CLOCK_MARGIN_MS) for number in partitions}


def _first_timestamps(
    log: Log, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Return when the first record of each was appended; of one that has none, because of a gap, nothing."""
    found: dict[TopicPartition, int] = {}
    if not starts:
        return found
    reader = log.reader(to_end=True)
    try:
        reader.assign(starts)
        while any(position < ends[place] for place, position in reader.positions().items()):
            for record in reader.poll(READ_RECORDS, WAIT_S):
                found.setdefault(TopicPartition(record.topic, record.partition), record.timestamp_ms)
            reader.unassign(found)
    finally:
        reader.close()
    return found


def _tails(log: Log, sinks: Collection[TopicName], partition: int, since_ms: int) -> Sent:
    places = [TopicPartition(topic, partition) for topic in sinks]
    ends = log.end(places)
    begins = {place: offset for place, offset in log.offsets_at(places, since_ms).items() if offset < ends[place]}
    found = Sent()
    reader = log.reader(to_end=True)
    try:
        reader.assign(begins)
        while any(position < ends[place] for place, position in reader.positions().items()):
            batch = reader.poll(READ_RECORDS, WAIT_S)
            for record in batch:
                found.add(record)
    finally:
        reader.close()
    return found
