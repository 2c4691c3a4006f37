"""Parents and fates of records that do not name their parents: those that a foreign Seldon installation writes.

What a step gave, or failed with, came from what the same request's step was given; an error that names no step came
from what was given last to a step that gave nothing. What a step was given, or the pipeline answered, came from those
of its rule's sources that were there by then; that needs the pipeline's document among the specs that the store has
seen. Not exact: in a loop, or where a record was written twice, the last one before counts.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from dfml.lineage.entry import Entry, Kind
from dfml.lineage.lookup import request_entries
from dfml.lineage.rules import PipelineRules, pipeline_rules
from dfml.lineage.store import LineageStore
from dfml.record import Position
from dfml.spec.reference import Reference

_PORTS = {Kind.ENTRY: "inputs", Kind.ANSWER: "outputs", Kind.STEP_INPUTS: "inputs", Kind.STEP_OUTPUTS: "outputs"}


def infer_parents(store: LineageStore, entries: Sequence[Entry]) -> tuple[list[Entry], frozenset[Position]]:
    """Return one request's records with parents where they can be inferred, and the positions of those."""
    if all(entry.parents or entry.kind is Kind.ENTRY for entry in entries):
        return list(entries), frozenset()
    rules = {name: _newest(store, name) for name in {entry.pipeline for entry in entries}}
    completed = []
    for entry in entries:
        found = () if entry.parents else tuple(_parents(entry, entries, rules[entry.pipeline]))
        completed.append(replace(entry, parents=found) if found else entry)
    inferred = (new.position for new, old in zip(completed, entries, strict=True) if new is not old)
    return completed, frozenset(inferred)


_FOREIGN = f"""SELECT DISTINCT q.request FROM records r JOIN requests q ON q.id = r.request
    WHERE r.id IN (SELECT value FROM json_each(?)) AND EXISTS
    (SELECT 1 FROM records x WHERE x.request = r.request AND x.kind <> {int(Kind.ENTRY)} AND x.parents IS NULL)"""
"""Requests that have a record beyond their entry which names no parents."""
INFERRED = "inferred: the record names no parents"
NOT_USED = "inferred: nothing was made of it, and its request has its end"


def infer_fates(store: LineageStore, positions: Collection[Position]) -> dict[Position, tuple[str, str]]:
    """Return fate and reason of those of the records that others of their request, which name no parents, give one.

    A record that an inferred parent is ``consumed``, or ``failed`` where nothing but an error came of it. One that
    nothing came of was ``dropped`` once its request was answered or failed: a foreign engine does not say why.
    """
    wanted = set(positions)
    found: dict[Position, tuple[str, str]] = {}
    for (request,) in store.query(_FOREIGN, (json.dumps([store.pack(position) for position in positions]),)):
        found |= {position: fate for position, fate in _fates_of(store, request).items() if position in wanted}
    return found


def _fates_of(store: LineageStore, request: str) -> dict[Position, tuple[str, str]]:
    entries, inferred = infer_parents(store, request_entries(store, request))
    if not inferred:
        return {}
    children: dict[Position, list[Kind]] = {}
    for entry in entries:
        for parent in entry.parents:
            children.setdefault(parent, []).append(entry.kind)
    has_ended = any(entry.kind in {Kind.ANSWER, Kind.ERROR} for entry in entries)
    fates = {}
    for entry in entries:
        kinds = children.get(entry.position, [])
        if kinds:
            only_errors = all(kind is Kind.ERROR for kind in kinds)
            fates[entry.position] = ("failed" if only_errors else "consumed", INFERRED)
        elif has_ended:
            fates[entry.position] = ("dropped", NOT_USED)
    return fates


def _newest(store: LineageStore, pipeline: str) -> PipelineRules | None:
    known = pipeline_rules(store, pipeline)
    return known[max(known)] if known else None


def _parents(entry: Entry, entries: Iterable[Entry], rules: PipelineRules | None) -> Iterator[Position]:
    if entry.kind is Kind.ERROR and not entry.step and (unanswered := _unanswered(entry, entries)):
        yield unanswered[-1].position
        return
    for source in _sources(entry, rules):
        last = None
        for other in entries:
            if other is entry or other.timestamp_ms > entry.timestamp_ms:
                continue
            if (other.pipeline, other.step or None, _PORTS.get(other.kind)) == source:
                last = other.position
        if last is not None:
            yield last


def _unanswered(error: Entry, entries: Iterable[Entry]) -> list[Entry]:
    """Return what steps were given before an error that names no step, and gave nothing for."""
    before = [each for each in entries if each.pipeline == error.pipeline and each.timestamp_ms <= error.timestamp_ms]
    answered = {each.step for each in before if each.kind is Kind.STEP_OUTPUTS}
    return [each for each in before if each.kind is Kind.STEP_INPUTS and each.step not in answered]


def _sources(entry: Entry, rules: PipelineRules | None) -> list[tuple[str, str | None, str]]:
    if entry.kind in {Kind.STEP_OUTPUTS, Kind.ERROR}:
        return [(entry.pipeline, entry.step or None, "inputs")]
    if rules is None or entry.kind is Kind.ENTRY:
        return []
    rule = entry.step or Reference(entry.pipeline, None, "outputs").node
    read = sorted(rules.reads.get(rule, ()), key=lambda each: each.source)
    return [(each.pipeline, each.step, each.port) for each in read]
