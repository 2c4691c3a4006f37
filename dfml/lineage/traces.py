"""The request as a graph in time: what it was made of, what it touched, what did not happen and why.

Exact where records name their parents, as ours do: nothing is matched by time or order then. Records of a foreign
Seldon installation do not; what is inferred for them is marked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dfml.errors import NotFoundError, PayloadError
from dfml.lineage.entry import Entry, Fate, Kind
from dfml.lineage.foreign import infer_parents
from dfml.lineage.lookup import request_entries, request_fates, walk
from dfml.lineage.payload import TensorValue, error_text, read_tensors, shorten
from dfml.lineage.store import LineageStore
from dfml.record import Position

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Trace:
    """All records of one request, ordered for a waterfall.

    A record made in a batch also has parents of other requests; :meth:`backwards` and :meth:`forwards` follow them.

    Attributes
    ----------
    entries
        By time, parents before children.
    fates
        The drops on record: which rule let which record go, why, and what it missed.
    inferred
        The records that do not name their parents, as Seldon writes them: theirs were inferred, see
        :mod:`dfml.lineage.foreign`.
    """

    request: str
    entries: tuple[Entry, ...]
    fates: tuple[Fate, ...]
    store: LineageStore
    inferred: frozenset[Position] = frozenset()

    @cached_property
    def by_position(self) -> Mapping[Position, Entry]:
        """The records by their names."""
        return {entry.position: entry for entry in self.entries}

    @cached_property
    def children(self) -> Mapping[Position, tuple[Position, ...]]:
        """For each record the records of this trace that were made from it."""
        found: dict[Position, list[Position]] = {entry.position: [] for entry in self.entries}
        for entry in self.entries:
            for parent in entry.parents:
                if parent in found:
                    found[parent].append(entry.position)
        return {position: tuple(children) for position, children in found.items()}

    @cached_property
    def duplicates(self) -> frozenset[Position]:
        """Results that were written again: equal identity on one topic, beyond the first."""
        seen: set[tuple[object, ...]] = set()
        again = []
        for entry in sorted(self.entries, key=lambda each: each.position):
            same = (entry.position.topic, entry.pipeline, entry.version, entry.step, entry.request, entry.visit)
            if same in seen:
                again.append(entry.position)
            seen.add(same)
        return frozenset(again)

    @property
    def started_ms(self) -> int:
        """When the first record was appended, milliseconds since the epoch."""
        return min(entry.timestamp_ms for entry in self.entries)

    @property
    def duration_ms(self) -> int:
        """From the first record to the last."""
        return max(entry.timestamp_ms for entry in self.entries) - self.started_ms

    @property
    def answers(self) -> tuple[Entry, ...]:
        """The records on pipelines' outputs."""
        return tuple(entry for entry in self.entries if entry.kind is Kind.ANSWER)

    @property
    def errors(self) -> tuple[Entry, ...]:
        """The records on the errors topic."""
        return tuple(entry for entry in self.entries if entry.kind is Kind.ERROR)

    @property
    def status(self) -> str:
        """``answered``, ``failed`` (an error and no answer) or ``open``."""
        if self.answers:
            return "answered"
        return "failed" if self.errors else "open"

    def tensors(self, position: Position) -> list[TensorValue]:
        """Decode one record's tensors; none for an error and for a payload that was not kept.

        Raises
        ------
        PayloadError
            If the payload is no inference message.
        """
        return list(read_tensors(self.by_position[position]))

    def backwards(self, position: Position) -> list[Entry]:
        """Return the record and all that it was made from, by time, through batches and across requests."""
        return walk(self.store, position, forwards=False)

    def forwards(self, position: Position) -> list[Entry]:
        """Return the record and all that was made from it, by time, through batches and across requests."""
        return walk(self.store, position, forwards=True)

    def to_dict(self) -> dict[str, Any]:
        """Return the trace JSON-able; positions as ``topic[partition]@offset``, tensors shortened."""
        return {
            "request": self.request,
            "status": self.status,
            "pipelines": sorted({entry.pipeline for entry in self.entries if entry.pipeline}),
            "started_ms": self.started_ms,
            "duration_ms": self.duration_ms,
            "records": [self._entry_dict(entry) for entry in self.entries],
            "drops": [fate_dict(fate) for fate in self.fates],
        }

    def _entry_dict(self, entry: Entry) -> dict[str, Any]:
        return {
            **entry_dict(entry),
            "at_ms": entry.timestamp_ms - self.started_ms,
            "children": [str(child) for child in self.children[entry.position]],
            "duplicate": entry.position in self.duplicates,
            "parents_inferred": entry.position in self.inferred,
        }

    def render(self) -> "RenderableType":
        """Return the waterfall for a terminal (rich)."""
        # Imported here: the store is read by programs that print nothing.
        from dfml.lineage.render import render_trace  # noqa: PLC0415

        return render_trace(self)

    def _repr_html_(self) -> str:
        from dfml.lineage.render import trace_html  # noqa: PLC0415

        return trace_html(self)


def trace(store: LineageStore, request_id: str) -> Trace:
    """Return everything on record of a request.

    Raises
    ------
    NotFoundError
        If the store has no record of it.
    """
    with store.snapshot():
        entries = request_entries(store, request_id)
        if not entries:
            msg = f"request {request_id!r}: not in {store.path}; the tap may be behind, or the id misspelled"
            raise NotFoundError(msg)
        completed, inferred = infer_parents(store, entries)
        fates = tuple(request_fates(store, request_id))
    return Trace(request_id, order_for_waterfall(completed), fates, store, inferred)


def order_for_waterfall(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the entries by time, and parents before children where times are equal or clocks disagree."""
    by_position = {entry.position: entry for entry in entries}
    known: dict[Position, tuple[int, int]] = {}
    # Each round settles the records whose parents are settled; what a damaged header made circular comes as it is.
    waiting = dict(by_position)
    while waiting:
        ready = [
            entry
            for entry in waiting.values()
            if all(parent in known or parent not in by_position for parent in entry.parents)
        ] or list(waiting.values())
        for entry in ready:
            before = [known[parent] for parent in entry.parents if parent in known]
            time_ms = max([entry.timestamp_ms, *(each[0] for each in before)])
            known[entry.position] = (time_ms, 1 + max((each[1] for each in before), default=0))
            del waiting[entry.position]
    return tuple(sorted(by_position.values(), key=lambda entry: (known[entry.position], entry.position)))


def entry_dict(entry: Entry) -> dict[str, Any]:
    """Return one record JSON-able, its tensors shortened."""
    return {
        "position": str(entry.position),
        "timestamp_ms": entry.timestamp_ms,
        "request": entry.request,
        "pipeline": entry.pipeline,
        "version": entry.version,
        "step": entry.step,
        "port": entry.port,
        "name": entry.name,
        "visit": entry.visit,
        "parents": [str(parent) for parent in entry.parents],
        "queue_ms": None if entry.queue_us is None else entry.queue_us / 1000,
        "service_ms": None if entry.service_us is None else entry.service_us / 1000,
        "payload_bytes": entry.payload_bytes,
        "payload_kept": entry.payload is not None,
        **_said(entry),
    }


def _said(entry: Entry) -> dict[str, Any]:
    if entry.kind is Kind.ERROR:
        return {"tensors": [], "error": {"kind": entry.error_kind, "text": shorten(error_text(entry))}}
    try:
        return {"tensors": [value.to_dict() for value in read_tensors(entry)]}
    except PayloadError as error:
        return {"tensors": [], "unreadable": str(error)}


def fate_dict(fate: Fate) -> dict[str, Any]:
    """Return one drop JSON-able; ``rule`` is the step that did not use the record, or the pipeline's output."""
    return {
        "position": str(fate.position),
        "timestamp_ms": fate.timestamp_ms,
        "pipeline": fate.pipeline,
        "rule": fate.step or f"{fate.pipeline}.outputs",
        "fate": fate.fate,
        "reason": fate.reason,
        "missing": list(fate.missing),
    }
