"""Parents of records that do not name them: those that a foreign Seldon installation writes.

What a step gave, or failed with, came from what the same request's step was given. What a step was given, or the
pipeline answered, came from those of its rule's sources that were there by then; that needs the pipeline's document
among the specs that the store has seen. Not exact: in a loop, or where a record was written twice, the last one before
counts.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from dfml.lineage.entry import Entry, Kind
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


def _newest(store: LineageStore, pipeline: str) -> PipelineRules | None:
    known = pipeline_rules(store, pipeline)
    return known[max(known)] if known else None


def _parents(entry: Entry, entries: Iterable[Entry], rules: PipelineRules | None) -> Iterator[Position]:
    for source in _sources(entry, rules):
        last = None
        for other in entries:
            if other is entry or other.timestamp_ms > entry.timestamp_ms:
                continue
            if (other.pipeline, other.step or None, _PORTS.get(other.kind)) == source:
                last = other.position
        if last is not None:
            yield last


def _sources(entry: Entry, rules: PipelineRules | None) -> list[tuple[str, str | None, str]]:
    if entry.kind in {Kind.STEP_OUTPUTS, Kind.ERROR}:
        return [(entry.pipeline, entry.step or None, "inputs")]
    if rules is None or entry.kind is Kind.ENTRY:
        return []
    rule = entry.step or Reference(entry.pipeline, None, "outputs").node
    read = sorted(rules.reads.get(rule, ()), key=lambda each: each.source)
    return [(each.pipeline, each.step, each.port) for each in read]
