"""What an earlier owner had already sent on: the identities at the tails of the sinks.

A worker that starts again reads from the oldest record still needed; some of what it reads has fired already. Its
results then stand in the sinks, at the same partition number, written no earlier than the oldest record that is read
again.
"""

from collections.abc import Callable, Collection, Mapping

from dfml.headers import Identity, identity
from dfml.log.base import Log
from dfml.record import TopicName, TopicPartition

CLOCK_MARGIN_MS = 5_000
"""How far the clocks that stamp two topics may be apart."""
READ_RECORDS = 2_000


def already_written(
    log: Log, starts: Mapping[TopicPartition, int], sinks: Callable[[], Collection[TopicName]]
) -> dict[int, set[tuple[TopicName, Identity]]]:
    """Return, for each partition number, the (topic, identity) of the sinks' records that matter.

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
    for place, start in behind.items():
        first = _first_timestamp(log, place, start)
        if first is not None:
            oldest[place.partition] = min(first, oldest.get(place.partition, first))
    if not oldest:
        return {}
    known = log.topics()
    there = [topic for topic in sinks() if topic in known]
    return {number: _tails(log, there, number, first - CLOCK_MARGIN_MS) for number, first in oldest.items()}


def _first_timestamp(log: Log, place: TopicPartition, start: int) -> int | None:
    reader = log.reader()
    try:
        reader.assign({place: start})
        records = reader.poll(1, 0)
        return records[0].timestamp_ms if records else None
    finally:
        reader.close()


def _tails(log: Log, sinks: Collection[TopicName], partition: int, since_ms: int) -> set[tuple[TopicName, Identity]]:
    places = [TopicPartition(topic, partition) for topic in sinks]
    ends = log.end(places)
    begins = {place: offset for place, offset in log.offsets_at(places, since_ms).items() if offset < ends[place]}
    found: set[tuple[TopicName, Identity]] = set()
    reader = log.reader()
    try:
        reader.assign(begins)
        while any(position < ends[place] for place, position in reader.positions().items()):
            batch = reader.poll(READ_RECORDS, 1.0)
            found.update((record.topic, identity(record)) for record in batch)
    finally:
        reader.close()
    return found
