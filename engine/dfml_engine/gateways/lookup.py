"""Finding a request and its answer on the log, where the gateway's own memory does not reach."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dfml.errors import LogUnavailableError, NotFoundError
from dfml.log.base import Log
from dfml.record import Position, Record, TopicName, TopicPartition
from dfml.topics import Topics
from dfml_engine.gateways.requests import request_key, time_of

READ_RECORDS = 2_000
WAIT_S = 0.05
"""How long a reading waits for what is on the log already, before it looks again whether it has come to the end."""
CLOCK_MARGIN_MS = 5_000
"""How far the clock that drew an id and the one that stamps records may be apart."""


def read_range(log: Log, starts: Mapping[TopicPartition, int]) -> Iterator[Record]:
    """Read from the given offsets to the present end."""
    ends = log.end(starts)
    filled = {place: start for place, start in starts.items() if start < ends[place]}
    if not filled:
        return
    reader = log.reader(to_end=True)
    try:
        reader.assign(filled)
        while any(position < ends[place] for place, position in reader.positions().items()):
            yield from reader.poll(READ_RECORDS, WAIT_S)
    finally:
        reader.close()


def read_at(log: Log, position: Position) -> Record:
    """Read one record.

    Raises
    ------
    NotFoundError
        If it is not retained any more.
    LogUnavailableError
        If it is there but does not come now, as behind a broker that has just been started.
    """
    place = TopicPartition(position.topic, position.partition)
    reader = log.reader(to_end=True)
    try:
        reader.assign({place: position.offset})
        records = reader.poll(1, 1.0)
    finally:
        reader.close()
    if not records and log.beginning([place])[place] <= position.offset < log.end([place])[place]:
        msg = f"the answer at {position} cannot be read now; ask again"
        raise LogUnavailableError(msg)
    if not records or records[0].offset != position.offset:
        msg = f"the answer at {position} is not retained any more"
        raise NotFoundError(msg)
    return records[0]


@dataclass(frozen=True, slots=True)
class Found:
    """A request on the log: the record it entered on, and the first that answers it, where they are."""

    entry: Record | None
    answer: Record | None


def search(log: Log, topics: Topics, pipeline: str, request_id: str) -> Found:
    """Look for a request on the pipeline's topics and the errors.

    An id that the gateway drew tells its time, and only what came later is read; for any other id all that is kept is.

    Raises
    ------
    NotFoundError
        If the pipeline has had no such request.
    """
    entry = topics.pipeline_inputs(pipeline)
    known = log.topics()
    names = [topic for topic in (topics.pipeline_outputs(pipeline), topics.errors, entry) if topic in known]
    places = [TopicPartition(topic, number) for topic in names for number in range(known[topic].partitions)]
    first: dict[TopicName, Record] = {}
    for record in _records_of(read_range(log, _begin(log, places, request_id)), pipeline, request_id):
        first.setdefault(record.topic, record)
    began = first.pop(entry, None)
    if began is None and not first:
        msg = f"pipeline '{pipeline}' has had no request '{request_id}'"
        raise NotFoundError(msg)
    return Found(began, min(first.values(), key=lambda record: record.timestamp_ms, default=None))


def _begin(log: Log, places: list[TopicPartition], request_id: str) -> dict[TopicPartition, int]:
    drawn_ms = time_of(request_id)
    return log.beginning(places) if drawn_ms is None else log.offsets_at(places, drawn_ms - CLOCK_MARGIN_MS)


def _records_of(records: Iterable[Record], pipeline: str, request_id: str) -> Iterator[Record]:
    key = request_id.encode()
    return (record for record in records if record.key == key and request_key(record)[0] == pipeline)
