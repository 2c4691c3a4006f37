"""Newest records and requests from the lineage store, by the same references that documents use."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from dfml.drawing.trace import spell_entry, spell_tensor
from dfml.errors import NotFoundError, PayloadError
from dfml.lineage.entry import Entry
from dfml.lineage.lookup import entries_by_id, request_entries
from dfml.lineage.payload import read_tensors
from dfml.lineage.schema import OFFSET_BITS
from dfml.lineage.store import LineageStore
from dfml.lineage.traces import entry_dict
from dfml.lineage.traces import trace as trace_of
from dfml.record import Position, TopicName
from dfml.spec.reference import PORTS, parse_external

CHUNK = 200
"""Entries read at once; most questions are for fewer."""


@dataclass(frozen=True, slots=True)
class Expression:
    """What is looked at: a pipeline, or one step of it; ``port`` and ``tensor`` None mean all."""

    pipeline: str
    step: str | None = None
    port: str | None = None
    tensor: str | None = None

    def matches(self, entry: Entry) -> bool:
        """Say whether a record belongs to it."""
        if entry.pipeline != self.pipeline:
            return False
        if self.step is None and self.port is None:
            return True
        place = entry.step == (self.step or "") and entry.port in {*PORTS}
        return place and self.port in {None, entry.port}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records: of an expression, of one request or of all, in a time, the newest ``limit`` of them."""

    expression: Expression
    request: str | None
    since_ms: int
    until_ms: int
    limit: int


def parse_expression(text: str) -> Expression:
    """Read ``p``, ``p.inputs``, ``p.outputs[.t]``, ``p.step.s[.inputs|.outputs[.t]]`` or ``p.s[...]``.

    Raises
    ------
    SpecError
        If it is none of these.
    """
    first, *rest = text.split(".")
    if rest and rest[0] not in {*PORTS, "step"}:
        rest = ["step", *rest]
    reference = parse_external(".".join((first, *rest)))
    has_port = any(word in PORTS for word in rest[2 if reference.step else 0 :])
    return Expression(reference.pipeline, reference.step, reference.port if has_port else None, reference.tensor)


def select(store: LineageStore, wanted: Wanted) -> list[dict[str, Any]]:
    """Return the wanted records by time, JSON-able; those without the wanted tensor are passed over.

    Raises
    ------
    NotFoundError
        If the store knows no such pipeline, or the pipeline no such step.
    """
    topics = _topics(store, wanted.expression)
    if wanted.request is not None:
        newest: Iterable[Entry] = reversed(request_entries(store, wanted.request))
    else:
        streams = [_newest(store, topic, wanted) for topic in topics]
        newest = heapq.merge(*streams, key=lambda entry: entry.timestamp_ms, reverse=True)
    inside = (
        entry
        for entry in newest
        if wanted.expression.matches(entry) and wanted.since_ms <= entry.timestamp_ms < wanted.until_ms
    )
    rows = (row for entry in inside if (row := _row(entry, wanted.expression.tensor)) is not None)
    return list(islice(rows, wanted.limit))[::-1]


def list_requests(store: LineageStore, pipeline: str, bounds: tuple[int, int], limit: int) -> list[dict[str, Any]]:
    """Return a pipeline's newest requests by time, JSON-able.

    Raises
    ------
    NotFoundError
        If the store knows no such pipeline.
    """
    entered = Expression(pipeline, None, "inputs")
    (topic,) = _topics(store, entered)
    wanted = Wanted(entered, None, *bounds, limit)
    rows = []
    for entry in islice(_newest(store, topic, wanted), limit):
        found = trace_of(store, entry.request)
        rows.append(
            {
                "request": entry.request,
                "entered_ms": entry.timestamp_ms,
                "at": _spell_time(entry.timestamp_ms),
                "status": found.status,
                "duration_ms": found.duration_ms,
                "version": entry.version,
                "position": str(entry.position),
            }
        )
    return rows[::-1]


def _topics(store: LineageStore, expression: Expression) -> list[TopicName]:
    topics = store.topics
    steps = [step for (step,) in store.query("SELECT step FROM origins WHERE pipeline = ?", (expression.pipeline,))]
    if not steps:
        known = [name for (name,) in store.query("SELECT DISTINCT pipeline FROM origins WHERE pipeline <> ''")]
        msg = f"no record of a pipeline {expression.pipeline!r} in {store.path}; it knows {', '.join(known) or 'none'}"
        raise NotFoundError(msg)
    if expression.step is not None and expression.step not in steps:
        known = sorted({step for step in steps if step})
        msg = f"no record of a step {expression.step!r} of {expression.pipeline}; its steps are {', '.join(known)}"
        raise NotFoundError(msg)
    own = [topics.pipeline_inputs(expression.pipeline), topics.pipeline_outputs(expression.pipeline)]
    if expression.step is None and expression.port is None:
        models = [
            t for step in dict.fromkeys(steps) if step for t in (topics.model_inputs(step), topics.model_outputs(step))
        ]
        return [*own, *models, topics.errors]
    if expression.step is not None:
        own = [topics.model_inputs(expression.step), topics.model_outputs(expression.step)]
    return [topic for topic, port in zip(own, PORTS, strict=True) if expression.port in {None, port}]


def _newest(store: LineageStore, topic: TopicName, wanted: Wanted) -> Iterator[Entry]:
    """Yield a topic's records of the pipeline, newest first, over all its partition numbers."""
    partitions = [_newest_of(store, first, wanted) for first in _first_ids(store, topic)]
    return heapq.merge(*partitions, key=lambda entry: entry.timestamp_ms, reverse=True)


def _first_ids(store: LineageStore, topic: TopicName) -> Iterator[int]:
    partition = 0
    while (packed := store.pack(Position(topic, partition, 0))) is not None:
        yield packed
        partition += 1


def _newest_of(store: LineageStore, first: int, wanted: Wanted) -> Iterator[Entry]:
    query = """SELECT r.id FROM records r JOIN origins o ON o.id = r.origin
        WHERE r.id >= ? AND r.id < ? AND o.pipeline = ? AND r.timestamp_ms >= ? AND r.timestamp_ms < ?
        ORDER BY r.id DESC LIMIT ?"""
    below = first + (1 << OFFSET_BITS)
    bounds = (wanted.expression.pipeline, wanted.since_ms, wanted.until_ms, CHUNK)
    while ids := [number for (number,) in store.query(query, (first, below, *bounds))]:
        yield from reversed(entries_by_id(store, ids))
        below = ids[-1]


def _row(entry: Entry, tensor: str | None) -> dict[str, Any] | None:
    said = {**entry_dict(entry), "at": _spell_time(entry.timestamp_ms), "says": spell_entry(entry)}
    if tensor is None:
        return said
    try:
        values = [value for value in read_tensors(entry) if value.name == tensor]
    except PayloadError:
        return None
    if not values:
        return None
    said["tensors"] = [value.to_dict() for value in values]
    said["says"] = ", ".join(spell_tensor(value) for value in values)
    return said


def _spell_time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
