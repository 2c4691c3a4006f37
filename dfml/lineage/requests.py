"""Finding requests: the recent ones of a pipeline, with how they ended."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from dfml.lineage.entry import Kind
from dfml.lineage.store import LineageStore

_PAGE = 500
"""Entries looked at per statement where a filter may refuse many of them."""


class Status(Enum):
    """How a request stands in one pipeline."""

    ANSWERED = "answered"
    FAILED = "failed"
    OPEN = "open"
    """Neither an answer nor an error is on record."""


@dataclass(frozen=True, slots=True)
class RequestSummary:
    """One request in one pipeline. ``duration_ms`` and what was told are None while it is open."""

    request: str
    pipeline: str
    version: int
    started_ms: int
    status: Status
    duration_ms: int | None
    error: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return it JSON-able."""
        return {**asdict(self), "status": self.status.value}


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Which requests are wanted: entered in [since, until), of one pipeline or all, of one status or any.

    ``contains`` is a part of the request id.
    """

    pipeline: str | None = None
    since_ms: int = 0
    until_ms: int = 2**62
    status: Status | None = None
    contains: str = ""


_ENTRIES = """SELECT e.id, e.timestamp_ms, e.request, q.request, o.pipeline, o.version
    FROM records e JOIN requests q ON q.id = e.request JOIN origins o ON o.id = e.origin
    WHERE e.kind = 0 AND e.origin IN (SELECT id FROM origins WHERE :pipeline IS NULL OR pipeline = :pipeline)
    AND e.timestamp_ms >= :since AND e.timestamp_ms < :until
    AND (e.timestamp_ms, e.id) < (:before_ms, :before_id) AND instr(q.request, :contains) > 0
    ORDER BY e.timestamp_ms DESC, e.id DESC LIMIT :page"""
_TOLD = f"""SELECT e.id, t.kind, t.timestamp_ms, substr(p.value, 1, 400)
    FROM records e JOIN records t ON t.request = e.request JOIN origins o ON o.id = t.origin
    LEFT JOIN payloads p ON p.id = t.id AND t.kind = {int(Kind.ERROR)}
    WHERE e.id IN (SELECT value FROM json_each(?)) AND t.kind IN ({int(Kind.ANSWER)}, {int(Kind.ERROR)})
    AND o.pipeline = (SELECT pipeline FROM origins WHERE id = e.origin) ORDER BY t.timestamp_ms DESC, t.kind DESC"""
"""What a pipeline told of its requests, the first last."""


def find_requests(store: LineageStore, wanted: RequestFilter, limit: int = 50) -> list[RequestSummary]:
    """Return the newest requests that fit, newest first, at most ``limit``."""
    found = []
    for summary in _newest_first(store, wanted):
        if wanted.status is None or summary.status is wanted.status:
            found.append(summary)
            if len(found) >= limit:
                break
    return found


def _newest_first(store: LineageStore, wanted: RequestFilter) -> Iterator[RequestSummary]:
    before = (2**62, 2**62)
    while True:
        parameters = {
            "pipeline": wanted.pipeline,
            "since": wanted.since_ms,
            "until": wanted.until_ms,
            "contains": wanted.contains,
            "before_ms": before[0],
            "before_id": before[1],
            "page": _PAGE,
        }
        page = store.query(_ENTRIES, parameters)
        yield from _summaries(store, page)
        if len(page) < _PAGE:
            return
        before = (page[-1][1], page[-1][0])


def _summaries(store: LineageStore, entries: list[tuple[Any, ...]]) -> Iterator[RequestSummary]:
    ids = f"[{','.join(str(entry[0]) for entry in entries)}]"
    told = {number: (kind, ended_ms, text) for number, kind, ended_ms, text in store.query(_TOLD, (ids,))}
    for number, started_ms, _, request, pipeline, version in entries:
        if number not in told:
            yield RequestSummary(request, pipeline, version, started_ms, Status.OPEN, None, None)
            continue
        kind, ended_ms, text = told[number]
        failed = kind == Kind.ERROR
        yield RequestSummary(
            request=request,
            pipeline=pipeline,
            version=version,
            started_ms=started_ms,
            status=Status.FAILED if failed else Status.ANSWERED,
            duration_ms=ended_ms - started_ms,
            error=(text or b"").decode(errors="replace") if failed else None,
        )
