"""Reading entries and fates from the store: by request, by position, along parents and children."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from dfml.lineage.entry import Entry, Fate, Kind, unpack_headers, unpack_parents
from dfml.lineage.store import LineageStore
from dfml.record import Position

_CHUNK = 500
"""Ids per statement: SQLite takes 32,766 parameters, but a statement is prepared anew for each count."""

_COLUMNS = """r.id, r.timestamp_ms, q.request, o.pipeline, o.version, o.step, r.kind, r.visit, r.parents,
    r.queue_us, r.service_us, w.word, r.payload_bytes, p.value, coalesce(r.headers, q.headers)"""
_TABLES = """records r JOIN requests q ON q.id = r.request JOIN origins o ON o.id = r.origin
    LEFT JOIN words w ON w.id = r.error_kind LEFT JOIN payloads p ON p.id = r.id"""
_FATES = """SELECT f.record, f.timestamp_ms, q.request, o.pipeline, o.version, o.step, w.word, v.word, f.missing
    FROM fates f JOIN requests q ON q.id = f.request JOIN origins o ON o.id = f.origin
    JOIN words w ON w.id = f.fate JOIN words v ON v.id = f.reason"""


def request_entries(store: LineageStore, request: str) -> list[Entry]:
    """Return the request's records by time."""
    where = "r.request = (SELECT id FROM requests WHERE request = ?) ORDER BY r.timestamp_ms, r.id"
    return select_entries(store, where, (request,))


def select_entries(store: LineageStore, where: str, parameters: Sequence[object]) -> list[Entry]:
    """Return the entries that a condition on ``r`` (records), ``q`` (requests) and ``o`` (origins) chooses."""
    return [to_entry(store, row) for row in store.query(f"SELECT {_COLUMNS} FROM {_TABLES} WHERE {where}", parameters)]


def request_fates(store: LineageStore, request: str) -> list[Fate]:
    """Return the drops on record for the request, by time."""
    query = f"{_FATES} WHERE f.request = (SELECT id FROM requests WHERE request = ?) ORDER BY f.timestamp_ms, f.id"
    return [to_fate(store, row) for row in store.query(query, (request,))]


def walk(store: LineageStore, start: Position, *, forwards: bool) -> list[Entry]:
    """Return the record at ``start`` and everything it was made from (or that was made from it), by time."""
    first = store.pack(start)
    seen: set[int] = set()
    edge = set() if first is None else {first}
    while edge:
        seen |= edge
        edge = set(_children(store, edge) if forwards else _parents(store, edge)) - seen
    return entries_by_id(store, sorted(seen))


def _children(store: LineageStore, ids: Iterable[int]) -> Iterator[int]:
    for chunk, marks in _chunks(ids):
        for (child,) in store.query(f"SELECT child FROM children WHERE parent IN ({marks})", chunk):
            yield child


def _parents(store: LineageStore, ids: Iterable[int]) -> Iterator[int]:
    for chunk, marks in _chunks(ids):
        for (packed,) in store.query(f"SELECT parents FROM records WHERE id IN ({marks})", chunk):
            yield from unpack_parents(packed)


def entries_by_id(store: LineageStore, ids: Sequence[int]) -> list[Entry]:
    """Return the records of these packed ids, by time; ids that the store does not have are left out."""
    found = []
    for chunk, marks in _chunks(ids):
        found += store.query(f"SELECT {_COLUMNS} FROM {_TABLES} WHERE r.id IN ({marks})", chunk)
    found.sort(key=lambda row: (row[1], row[0]))
    return [to_entry(store, row) for row in found]


def _chunks(ids: Iterable[int]) -> Iterator[tuple[list[int], str]]:
    every = list(ids)
    for start in range(0, len(every), _CHUNK):
        chunk = every[start : start + _CHUNK]
        yield chunk, ",".join("?" * len(chunk))


def to_entry(store: LineageStore, row: tuple[Any, ...]) -> Entry:
    """Return the entry of a row of this module's columns."""
    number, timestamp_ms, request, pipeline, version, step, kind, visit, parents, *timing, size, payload, headers = row
    queue_us, service_us, error_kind = timing
    return Entry(
        position=store.unpack(number),
        timestamp_ms=timestamp_ms,
        request=request,
        pipeline=pipeline,
        version=version,
        step=step,
        kind=Kind(kind),
        visit=visit,
        parents=tuple(store.unpack(parent) for parent in unpack_parents(parents)),
        queue_us=queue_us,
        service_us=service_us,
        error_kind=error_kind,
        payload_bytes=size,
        payload=payload if size else b"",
        headers=unpack_headers(headers),
    )


def to_fate(store: LineageStore, row: tuple[Any, ...]) -> Fate:
    """Return the fate of a row of this module's columns."""
    record, timestamp_ms, request, pipeline, version, step, fate, reason, missing = row
    names = tuple(missing.split(",")) if missing else ()
    return Fate(store.unpack(record), timestamp_ms, request, pipeline, version, step, fate, reason, names)
