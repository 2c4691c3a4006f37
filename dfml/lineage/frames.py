"""Requests x variables: what a pipeline's records say, as a table.

======================================  ==========================================================================
column                                  per request
======================================  ==========================================================================
``P.inputs.T``, ``P.outputs.T``         the tensors that entered and left pipeline P
``step.outputs.T``                      the tensors that a step gave
``step.presence``                       1.0 when the step gave an output, else 0.0
``step.outputs.T.presence``             the same of one tensor, where a step's records differ in what they hold
``step.latency_ms``                     how long the model's call took, stamped by the model gateway
``step.queue_ms``                       how long the record waited for the call
``step.error``                          1.0 when the step failed, 0.0 when it was called and did not
``P.latency_ms``                        from the request's append to the answer's (whole milliseconds)
``P.error``                             1.0 when the caller was told an error, 0.0 when an answer
======================================  ==========================================================================

``T`` stands for ``T``, ``T[i]`` or ``T.mean`` and so on by the tensor's size, see :mod:`dfml.lineage.columns`. Absent
is NaN, never 0. A step visited several times gives its last visit; a record that was written twice counts once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from dfml.errors import DataError, NotFoundError
from dfml.lineage.columns import Column, TensorColumns
from dfml.lineage.entry import Kind
from dfml.lineage.rules import pipeline_rules
from dfml.lineage.store import LineageStore
from dfml.spec.findings import suggest

if TYPE_CHECKING:
    import pandas as pd

_MINE = "(SELECT id FROM origins WHERE pipeline = :pipeline)"
_CHOSEN = f"""SELECT request, min(timestamp_ms) AS started_ms, min(id) AS first FROM records
    WHERE kind = 0 AND origin IN {_MINE} AND timestamp_ms >= :since AND timestamp_ms < :until GROUP BY request"""
_REQUESTS = f"""SELECT c.request, q.request, c.started_ms FROM ({_CHOSEN}) c JOIN requests q ON q.id = c.request
    ORDER BY c.started_ms, c.first"""
_VALUES = f"{int(Kind.ENTRY)}, {int(Kind.STEP_OUTPUTS)}, {int(Kind.ANSWER)}"
_OWN = f"""SELECT r.id, r.request, r.kind, o.step, r.timestamp_ms, r.visit, r.queue_us, r.service_us, p.value
    FROM ({_CHOSEN}) c JOIN records r ON r.request = c.request JOIN origins o ON o.id = r.origin
    LEFT JOIN payloads p ON p.id = r.id AND r.kind IN ({_VALUES}) WHERE r.origin IN {_MINE}"""


@dataclass(frozen=True, slots=True)
class Table:
    """A frame without pandas: request ids in the order of their starts, and the columns."""

    requests: tuple[str, ...]
    started_ms: tuple[int, ...]
    columns: Mapping[str, Column]
    n_unreadable: int


@dataclass(frozen=True, slots=True)
class Window:
    """What the store holds of one pipeline: its first and last request, and how many."""

    pipeline: str
    first_ms: int
    last_ms: int
    n_requests: int


@dataclass(slots=True)
class _Found:
    """One record as the table needs it; of several for one request the best visit counts."""

    number: int
    timestamp_ms: int
    visit: int
    queue_us: int | None
    service_us: int | None
    payload: bytes | None


@dataclass(slots=True)
class _Step:
    called: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)
    outputs: dict[int, _Found] = field(default_factory=dict)


def frame(
    store: LineageStore, pipeline: str, since_ms: int, until_ms: int, variables: Sequence[str] | None = None
) -> "pd.DataFrame":
    """Return the requests that entered the pipeline in [since, until), by start time, with the columns above.

    Parameters
    ----------
    variables
        Columns to keep, by name or by what they begin with up to a dot or bracket (``split``, ``split.outputs``,
        ``split.outputs.high``); None keeps all.

    Returns
    -------
    DataFrame
        Index ``request``. ``attrs``: pipeline, since_ms, until_ms, n_unreadable (records whose payload could not be
        decoded) and started_ms (a tuple, in the order of the rows).

    Raises
    ------
    DataError
        If pandas is not installed, or a variable matches no column.
    NotFoundError
        If the store has no request of the pipeline at all.
    """
    try:
        # Imported here: the core installs without pandas.
        import pandas as pd  # noqa: PLC0415
    except ImportError as error:
        msg = "frames need pandas: pip install 'dfml[analysis]'"
        raise DataError(msg) from error
    found = tabulate(store, pipeline, since_ms, until_ms, variables)
    made = pd.DataFrame(dict(found.columns), index=pd.Index(found.requests, name="request", dtype=object))
    made.attrs.update(
        pipeline=pipeline,
        since_ms=since_ms,
        until_ms=until_ms,
        n_unreadable=found.n_unreadable,
        started_ms=found.started_ms,
    )
    return made


def tabulate(
    store: LineageStore, pipeline: str, since_ms: int, until_ms: int, variables: Sequence[str] | None = None
) -> Table:
    """Return the same as :func:`frame`, as numpy columns.

    Raises
    ------
    DataError
        If a variable matches no column.
    NotFoundError
        If the store has no request of the pipeline at all.
    """
    window = {"pipeline": pipeline, "since": since_ms, "until": until_ms}
    with store.snapshot():
        return _tabulate(store, pipeline, window, variables)


def _tabulate(
    store: LineageStore, pipeline: str, window: Mapping[str, object], variables: Sequence[str] | None
) -> Table:
    chosen = store.query(_REQUESTS, window)
    if not chosen:
        require_pipeline(store, pipeline)
    made = _Tabulation(pipeline, {number: row for row, (number, _, _) in enumerate(chosen)}, variables)
    made.add(store.query(_OWN, window))
    known = pipeline_rules(store, pipeline)
    steps = known[max(known)].steps if known else ()
    columns = made.columns([*steps, *(step for step in made.steps if step not in steps)])
    names = tuple(request for _, request, _ in chosen)
    return Table(names, tuple(ms for _, _, ms in chosen), _select(columns, variables), made.n_unreadable)


def pipelines(store: LineageStore) -> list[str]:
    """Return the pipelines that the store has requests of, by name."""
    query = """SELECT DISTINCT o.pipeline FROM origins o
        WHERE EXISTS (SELECT 1 FROM records r WHERE r.kind = 0 AND r.origin = o.id)"""
    return sorted(name for (name,) in store.query(query))


def windows(store: LineageStore, pipeline: str | None = None) -> list[Window]:
    """Return when the first and the last request entered and how many there are; of every pipeline, or of this one.

    Raises
    ------
    NotFoundError
        If a pipeline is named that the store has no request of.
    """
    names = pipelines(store) if pipeline is None else [pipeline]
    if pipeline is not None:
        require_pipeline(store, pipeline)
    query = f"""SELECT min(timestamp_ms), max(timestamp_ms), count(DISTINCT request) FROM records
        WHERE kind = 0 AND origin IN {_MINE}"""
    return [Window(name, *store.query(query, {"pipeline": name})[0]) for name in names]


def require_pipeline(store: LineageStore, pipeline: str) -> None:
    """Check that the store has a request of the pipeline.

    Raises
    ------
    NotFoundError
        If it has none; a near miss is named.
    """
    names = pipelines(store)
    if pipeline not in names:
        msg = f"pipeline {pipeline!r}: no request in {store.path}{suggest(pipeline, names)}; it has {names or 'none'}"
        raise NotFoundError(msg)


def variables(store: LineageStore, pipeline: str, n_requests: int = 200) -> list[str]:
    """Return the columns that a frame of the pipeline's last requests has.

    Raises
    ------
    NotFoundError
        If the store has no request of the pipeline.
    """
    last_ms = windows(store, pipeline)[0].last_ms
    query = f"""SELECT min(timestamp_ms) FROM (SELECT timestamp_ms FROM records WHERE kind = 0 AND origin IN {_MINE}
        ORDER BY timestamp_ms DESC LIMIT :n)"""
    first_ms = store.query(query, {"pipeline": pipeline, "n": n_requests})[0][0]
    return list(tabulate(store, pipeline, first_ms, last_ms + 1).columns)


class _Tabulation:
    """Sorts records by step and row, then makes the columns."""

    def __init__(self, pipeline: str, rows: Mapping[int, int], variables: Sequence[str] | None) -> None:
        self._pipeline = pipeline
        self._rows = rows
        self._variables = variables
        self.steps: dict[str, _Step] = {}
        self._entries: dict[int, _Found] = {}
        self._answers: dict[int, _Found] = {}
        self._errors: dict[int, _Found] = {}
        self.n_unreadable = 0

    def add(self, records: Iterable[tuple[int, int, int, str, int, int, int | None, int | None, bytes | None]]) -> None:
        for number, request, kind, step, timestamp_ms, visit, queue_us, service_us, payload in records:
            row = self._rows[request]
            found = _Found(number, timestamp_ms, visit, queue_us, service_us, payload)
            if kind == Kind.ENTRY:
                _keep(self._entries, row, found)
            elif kind == Kind.ANSWER:
                _keep(self._answers, row, found)
            else:
                at = self.steps.setdefault(step, _Step()) if step else _Step()
                at.called.add(row)
                if kind == Kind.STEP_OUTPUTS:
                    _keep(at.outputs, row, found)
                elif kind == Kind.ERROR:
                    at.failed.add(row)
                    _keep(self._errors, row, found)

    def columns(self, steps: Iterable[str]) -> dict[str, Column]:
        made = self._tensors(f"{self._pipeline}.inputs", Kind.ENTRY, self._entries)
        for step in steps:
            at = self.steps.get(step, _Step())
            made[f"{step}.presence"] = self._flags(at.outputs, 0.0)
            made |= self._tensors(f"{step}.outputs", Kind.STEP_OUTPUTS, at.outputs)
            made[f"{step}.latency_ms"] = self._milliseconds({row: each.service_us for row, each in at.outputs.items()})
            made[f"{step}.queue_ms"] = self._milliseconds({row: each.queue_us for row, each in at.outputs.items()})
            error = np.full(len(self._rows), np.nan)
            error[list(at.called)] = 0.0
            error[list(at.failed)] = 1.0
            made[f"{step}.error"] = error
        made |= self._tensors(f"{self._pipeline}.outputs", Kind.ANSWER, self._answers)
        return made | self._told()

    def _told(self) -> dict[str, Column]:
        """Return what the caller was told first, and after how long."""
        latency, error = np.full(len(self._rows), np.nan), np.full(len(self._rows), np.nan)
        for row, answer in self._answers.items():
            error[row] = 0.0
            latency[row] = answer.timestamp_ms - self._entries[row].timestamp_ms
        for row, failure in self._errors.items():
            if row not in self._answers or failure.timestamp_ms < self._answers[row].timestamp_ms:
                error[row] = 1.0
        return {f"{self._pipeline}.latency_ms": latency, f"{self._pipeline}.error": error}

    def _tensors(self, prefix: str, kind: Kind, found: Mapping[int, _Found]) -> dict[str, Column]:
        if self._variables is not None and not any(_overlap(prefix, variable) for variable in self._variables):
            return {}
        collected = TensorColumns(kind, len(self._rows))
        for row, each in found.items():
            if each.payload is not None:
                collected.add(row, each.payload)
        unknown = [row for row in found if row not in collected.rows]
        self.n_unreadable += collected.n_unreadable
        made = {f"{prefix}.{name}": column for name, column in collected.columns().items()}
        presence = collected.presence()
        if any(column.sum() < len(collected.rows) for column in presence.values()):
            for name, column in presence.items():
                column[unknown] = np.nan
                made[f"{prefix}.{name}.presence"] = column
        return made

    def _flags(self, rows: Iterable[int], absent: float) -> Column:
        flags = np.full(len(self._rows), absent)
        flags[list(rows)] = 1.0
        return flags

    def _milliseconds(self, microseconds: Mapping[int, int | None]) -> Column:
        made = np.full(len(self._rows), np.nan)
        for row, value in microseconds.items():
            if value is not None:
                made[row] = value / 1000
        return made


def _keep(found: dict[int, _Found], row: int, new: _Found) -> None:
    """Keep the last visit's record, of several with one visit the first: the others are the same result again."""
    old = found.get(row)
    if old is None or (new.visit, -new.number) > (old.visit, -old.number):
        found[row] = new


def _select(columns: dict[str, Column], variables: Sequence[str] | None) -> dict[str, Column]:
    if variables is None:
        return columns
    chosen = {name for name in columns for variable in variables if _is_under(name, variable)}
    for variable in variables:
        if not any(_is_under(name, variable) for name in columns):
            msg = f"variable {variable!r}: no such column{suggest(variable, columns)}; dfml frame shows them"
            raise DataError(msg)
    return {name: column for name, column in columns.items() if name in chosen}


def _is_under(name: str, variable: str) -> bool:
    return name == variable or (name.startswith(variable) and name[len(variable)] in ".[")


def _overlap(prefix: str, variable: str) -> bool:
    return _is_under(variable, prefix) or _is_under(prefix, variable)
