"""What stands on a pipeline's topics, by reference: ``claims.value.outputs.payout``.

======================================  =====================================================================
reference                               records
======================================  =====================================================================
``p``                                   all of the pipeline
``p.inputs``, ``p.outputs[.T]``         its requests, its answers
``p.s``                                 what step s was given, gave, and its errors
``p.s.inputs``, ``p.s.outputs[.T]``     what step s was given, what it gave
``p.s.errors``, ``p.errors``            the step's errors; all errors of the pipeline
======================================  =====================================================================

Seldon's spelling ``p.step.s.outputs.T`` means the same.
"""

import re
from dataclasses import dataclass
from typing import Any

from dfml.errors import BadInputError, NotFoundError, PayloadError
from dfml.lineage.entry import Entry, Kind
from dfml.lineage.lookup import entries_by_id
from dfml.lineage.payload import TensorValue, error_text, read_tensors, shorten
from dfml.lineage.store import LineageStore
from dfml.spec.findings import suggest

_FORMS = "pipeline[.step][.inputs], pipeline[.step].outputs[.TENSOR] or pipeline[.step].errors"
_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"
_SELECTION = re.compile(
    rf"(?P<pipeline>{_NAME})(?:\.(?:step\.(?=[^.]+))?(?P<step>(?!(?:inputs|outputs|errors)(?:\.|$)){_NAME}))?"
    r"(?:\.(?P<port>inputs|outputs|errors)(?:\.(?P<tensor>.+))?)?"
)
_KINDS = {
    ("inputs", False): Kind.ENTRY,
    ("outputs", False): Kind.ANSWER,
    ("inputs", True): Kind.STEP_INPUTS,
    ("outputs", True): Kind.STEP_OUTPUTS,
    ("errors", False): Kind.ERROR,
    ("errors", True): Kind.ERROR,
}


@dataclass(frozen=True, slots=True)
class Selection:
    """A parsed reference; what is None is not narrowed down."""

    pipeline: str
    step: str | None
    port: str | None
    tensor: str | None


@dataclass(frozen=True, slots=True)
class Reading:
    """One record that fits, with its tensors (only the one asked for) or, of an error, its text.

    ``text`` also says why a payload has no tensors: not kept, or unreadable.
    """

    entry: Entry
    tensors: tuple[TensorValue, ...]
    text: str

    def to_dict(self) -> dict[str, Any]:
        """Return it JSON-able, tensors and text shortened."""
        return {
            "position": str(self.entry.position),
            "request": self.entry.request,
            "timestamp_ms": self.entry.timestamp_ms,
            "name": self.entry.name,
            "tensors": [value.to_dict() for value in self.tensors],
            "text": shorten(self.text),
        }


def parse_selection(text: str) -> Selection:
    """Parse a reference of the table above.

    Raises
    ------
    BadInputError
        If it is none.
    """
    found = _SELECTION.fullmatch(text.strip())
    if found is None:
        msg = f"reference {text!r}: expected {_FORMS}"
        raise BadInputError(msg)
    return Selection(found["pipeline"], found["step"], found["port"], found["tensor"])


def inspect(
    store: LineageStore,
    selection: Selection,
    *,
    request: str | None = None,
    since_ms: int = 0,
    until_ms: int = 2**62,
    limit: int = 100,
) -> list[Reading]:
    """Return the newest records that fit, oldest of them first, at most ``limit``.

    Records that do not have the tensor asked for are left out.

    Raises
    ------
    NotFoundError
        If the store has no record of such a pipeline or step.
    """
    _require(store, selection)
    where, parameters = _condition(selection, request)
    # Only a tensor makes one look at more records than are wanted.
    bound = f"LIMIT {limit:d}" if selection.tensor is None else ""
    query = f"""SELECT r.id FROM records r JOIN origins o ON o.id = r.origin WHERE {where}
        AND r.timestamp_ms >= ? AND r.timestamp_ms < ? ORDER BY r.timestamp_ms DESC, r.id DESC {bound}"""
    ids = [number for (number,) in store.query(query, [*parameters, since_ms, until_ms])]
    readings: list[Reading] = []
    for start in range(0, len(ids), limit):
        found = [_read(entry, selection.tensor) for entry in entries_by_id(store, ids[start : start + limit])]
        fitting = [each for each in found if selection.tensor is None or each.tensors or each.text]
        readings = (fitting + readings)[-limit:]
        if len(readings) >= limit:
            break
    return readings


def _require(store: LineageStore, selection: Selection) -> None:
    origins = store.query("SELECT DISTINCT pipeline, step FROM origins")
    steps = {step for pipeline, step in origins if pipeline == selection.pipeline}
    if not steps:
        known = {pipeline for pipeline, _ in origins if pipeline}
        msg = f"pipeline {selection.pipeline!r}: no record in {store.path}{suggest(selection.pipeline, known)}"
        raise NotFoundError(msg)
    if selection.step is not None and selection.step not in steps:
        hint = suggest(selection.step, steps)
        msg = f"step {selection.step!r} of {selection.pipeline}: no record in {store.path}{hint}"
        raise NotFoundError(msg)


def _condition(selection: Selection, request: str | None) -> tuple[str, list[object]]:
    terms = ["o.pipeline = ?"]
    parameters: list[object] = [selection.pipeline]
    if selection.step is not None:
        terms.append("o.step = ?")
        parameters.append(selection.step)
    if selection.port is not None:
        terms.append("r.kind = ?")
        parameters.append(int(_KINDS[selection.port, selection.step is not None]))
    if request is not None:
        terms.append("r.request = (SELECT id FROM requests WHERE request = ?)")
        parameters.append(request)
    return " AND ".join(terms), parameters


def _read(entry: Entry, tensor: str | None) -> Reading:
    if entry.kind is Kind.ERROR:
        return Reading(entry, (), f"{entry.error_kind or 'error'}: {error_text(entry)}")
    if entry.payload is None:
        return Reading(entry, (), f"payload of {entry.payload_bytes} bytes not kept")
    try:
        values = tuple(value for value in read_tensors(entry) if tensor in {None, value.name})
    except PayloadError as error:
        return Reading(entry, (), f"unreadable: {error}")
    return Reading(entry, values, "")
