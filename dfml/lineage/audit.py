"""What became of every record of a window: ``unaccounted`` must be 0.

===============  ========================================================================================
fate             the record
===============  ========================================================================================
``consumed``     is a parent of another record
``dropped``      was not used by a rule, which said why (and nothing was made of it)
``failed``       is a parent of an error and of nothing else
``answered``     is a pipeline's answer, or an error told to its caller: the end of the way
``duplicate``    is a result written again: same identity on the same topic, beyond the first
``pending``      has none of these yet, and its request's deadline (or a minute, where it has none) is not over
``unaccounted``  has none of these, and should
===============  ========================================================================================

A record that several rules read needs its fate from each of them, where the store has seen the pipeline's document: one
that a rule neither used nor dropped, nor failed on, is unaccounted although another rule used it.

Records that name no parents, because another system wrote them, have the fate that their request's other records imply
(:func:`dfml.lineage.foreign.infer_fates`), and the audit says that it was inferred.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from dfml.clock import wall_clock_ms
from dfml.headers import DEADLINE
from dfml.lineage.entry import Kind, Loss, unpack_headers
from dfml.lineage.foreign import infer_fates
from dfml.lineage.rules import PipelineRules, pipeline_rules
from dfml.lineage.schema import OFFSET_BITS
from dfml.lineage.store import LineageStore
from dfml.record import Position
from dfml.spec.schema import DEFAULT_JOIN_WINDOW_MS

if TYPE_CHECKING:
    from rich.console import RenderableType

FATES = ("consumed", "dropped", "failed", "answered", "duplicate", "pending", "unaccounted")

_ERROR = int(Kind.ERROR)
_WINDOW = """r.timestamp_ms >= :since AND r.timestamp_ms < :until
    AND (:pipeline IS NULL OR r.origin IN (SELECT id FROM origins WHERE pipeline = :pipeline))"""
_AGAIN = f"""SELECT json_group_array(id) FROM (SELECT r.id, r.request, r.origin, r.visit FROM records r WHERE {_WINDOW}
    ORDER BY r.id) GROUP BY request, origin, visit, id >> {OFFSET_BITS} HAVING count(*) > 1"""
_HALF_READ = f"""WITH expected AS (SELECT json_extract(value, '$[0]') AS origin, json_extract(value, '$[1]') AS kind,
                                 json_extract(value, '$[2]') AS reader FROM json_each(:expected))
    SELECT json_group_array(DISTINCT r.id) FROM records r JOIN expected e ON e.origin = r.origin AND e.kind = r.kind
    WHERE {_WINDOW}
    AND NOT EXISTS (SELECT 1 FROM children c JOIN records x ON x.id = c.child JOIN origins o ON o.id = x.origin
                    WHERE c.parent = r.id AND (o.step = e.reader OR x.kind = {_ERROR}))
    AND NOT EXISTS (SELECT 1 FROM fates f JOIN origins o ON o.id = f.origin
                    WHERE f.record = r.id AND o.step = e.reader)"""
"""Records that one of the rules that read them has not decided on."""
_CLASSIFIED = f"""SELECT r.id, CASE
    WHEN r.id IN (SELECT value FROM json_each(:half_read)) THEN NULL
    WHEN r.kind IN ({int(Kind.ANSWER)}, {_ERROR}) THEN 'answered'
    WHEN EXISTS (SELECT 1 FROM children c LEFT JOIN records x ON x.id = c.child
                 WHERE c.parent = r.id AND x.kind IS NOT {_ERROR}) THEN 'consumed'
    WHEN EXISTS (SELECT 1 FROM children c WHERE c.parent = r.id) THEN 'failed'
    WHEN EXISTS (SELECT 1 FROM fates f WHERE f.record = r.id) THEN 'dropped' END AS became
    FROM records r WHERE {_WINDOW} AND r.id NOT IN (SELECT value FROM json_each(:again))"""
_WITH_REASON = f"""SELECT id, became, CASE became
    WHEN 'dropped' THEN (SELECT f.reason FROM fates f WHERE f.record = k.id ORDER BY f.id LIMIT 1)
    WHEN 'failed' THEN (SELECT x.error_kind FROM children c JOIN records x ON x.id = c.child
                        WHERE c.parent = k.id LIMIT 1) END AS why FROM ({_CLASSIFIED}) k"""
_COUNTED = f"""SELECT became, w.word, count(*), CASE WHEN became IS NULL THEN json_group_array(k.id) END
    FROM ({_WITH_REASON}) k LEFT JOIN words w ON w.id = k.why GROUP BY became, why"""
_OPEN = """SELECT r.id, r.timestamp_ms, coalesce(r.headers, q.headers)
    FROM records r JOIN requests q ON q.id = r.request WHERE r.id IN (SELECT value FROM json_each(?)) ORDER BY r.id"""


@dataclass(frozen=True, slots=True)
class Audit:
    """How many records met each fate, and which have none.

    Attributes
    ----------
    counts
        Records by fate, every fate named; their sum is ``n_records``.
    reasons
        For ``dropped`` and ``failed`` the counts by reason.
    positions
        Of the unaccounted records, in order.
    losses
        What retention removed from the log before the tap read it, noticed in the window; of any pipeline, because
        nobody knows what it was.
    """

    pipeline: str | None
    since_ms: int
    until_ms: int
    counts: Mapping[str, int]
    reasons: Mapping[str, Mapping[str, int]]
    positions: tuple[Position, ...]
    losses: tuple[Loss, ...] = ()

    @property
    def n_records(self) -> int:
        """How many records the window holds."""
        return sum(self.counts.values())

    @property
    def unaccounted(self) -> int:
        """How many records have no fate."""
        return self.counts["unaccounted"]

    def to_dict(self) -> dict[str, Any]:
        """Return the audit JSON-able."""
        return {
            "pipeline": self.pipeline,
            "since_ms": self.since_ms,
            "until_ms": self.until_ms,
            "n_records": self.n_records,
            "unaccounted": self.unaccounted,
            "counts": dict(self.counts),
            "reasons": {fate: dict(reasons) for fate, reasons in self.reasons.items()},
            "positions": [str(position) for position in self.positions],
            "lost": [{"first": str(loss.first), "n_records": loss.n_records} for loss in self.losses],
        }

    def render(self) -> "RenderableType":
        """Return the table for a terminal (rich)."""
        # Imported here: the store is read by programs that print nothing.
        from dfml.lineage.render import render_audit  # noqa: PLC0415

        return render_audit(self)


def audit(
    store: LineageStore,
    pipeline: str | None = None,
    since_ms: int = 0,
    until_ms: int | None = None,
    now_ms: int | None = None,
) -> Audit:
    """Return the fate of every record appended in [since, until), of one pipeline or of all.

    ``now_ms`` decides what is still pending; the wall clock where it is not given.
    """
    now_ms = wall_clock_ms() if now_ms is None else now_ms
    until_ms = now_ms + 1 if until_ms is None else until_ms
    with store.snapshot():
        return _audit(store, pipeline, (since_ms, until_ms), now_ms)


def _audit(store: LineageStore, pipeline: str | None, bounds: tuple[int, int], now_ms: int) -> Audit:
    since_ms, until_ms = bounds
    window: dict[str, object] = {"since": since_ms, "until": until_ms, "pipeline": pipeline}
    again = [number for (group,) in store.query(_AGAIN, window) for number in orjson.loads(group)[1:]]
    counts = Counter(dict.fromkeys(FATES, 0))
    counts["duplicate"] = len(again)
    reasons: dict[str, Counter[str]] = {}
    positions: list[Position] = []
    window["again"] = orjson.dumps(again).decode()
    window["half_read"] = store.query(_HALF_READ, {**window, "expected": _expected_readers(store, pipeline)})[0][0]
    for became, why, n_records, still_open in store.query(_COUNTED, window):
        if became is None:
            inferred = infer_fates(store, [store.unpack(number) for number in orjson.loads(still_open)])
            for fate, reason in inferred.values():
                counts[fate] += 1
                reasons.setdefault(fate, Counter())[reason] += 1
            fates = _judge_open(store, still_open, now_ms)
            fates = {number: fate for number, fate in fates.items() if store.unpack(number) not in inferred}
            counts.update(fates.values())
            positions += [store.unpack(number) for number, fate in fates.items() if fate == "unaccounted"]
            continue
        counts[became] += n_records
        if why is not None:
            reasons.setdefault(became, Counter())[why] += n_records
    losses = tuple(loss for loss in store.losses() if since_ms <= loss.noticed_ms < until_ms)
    return Audit(pipeline, since_ms, until_ms, dict(counts), reasons, tuple(positions), losses)


def _expected_readers(store: LineageStore, pipeline: str | None) -> str:
    """Return as JSON [origin, kind, reader's step] for every loaded version of which records are there."""
    expected = []
    rules: dict[str, dict[int, PipelineRules]] = {}
    for number, name, version, step in store.query("SELECT id, pipeline, version, step FROM origins"):
        if pipeline not in {None, name}:
            continue
        if name not in rules:
            rules[name] = pipeline_rules(store, name)
        if version in rules[name]:
            expected += [(number, int(kind), reader) for kind, reader in rules[name][version].readers(step)]
    return orjson.dumps(expected).decode()


def _judge_open(store: LineageStore, ids: str, now_ms: int) -> dict[int, str]:
    """Return the fate of records that nothing was made of and that no rule dropped, by packed id."""
    fates = {}
    for number, timestamp_ms, headers in store.query(_OPEN, (ids,)):
        deadline = dict(unpack_headers(headers)).get(DEADLINE, b"")
        last_ms = int(deadline) if deadline.isdigit() else timestamp_ms + DEFAULT_JOIN_WINDOW_MS
        fates[number] = "pending" if now_ms < last_ms else "unaccounted"
    return fates
