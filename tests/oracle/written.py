"""What the log holds after a case: the records by name, with their parents, errors and drops."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import orjson
from reading import RuleId
from values import Name, Tensors

from dfml import headers as h
from dfml.inference.codec import iterate_tensors
from dfml.inference.oip_pb2 import InferRequest, InferResponse
from dfml.log.base import Log
from dfml.record import Position, Record, TopicPartition
from dfml.topics import Topics

TOPICS = Topics()


@dataclass
class Written:
    """The log's records by name, with every copy's tensors and parents; the drops of each, with reason and missing."""

    records: dict[Name, list[Tensors]] = field(default_factory=lambda: defaultdict(list))
    parents: dict[Name, list[frozenset[Name]]] = field(default_factory=lambda: defaultdict(list))
    errors: dict[Name, list[tuple[str, frozenset[Name]]]] = field(default_factory=lambda: defaultdict(list))
    drops: dict[tuple[Name, tuple[str, int, str]], list[tuple[str, frozenset[str], Position]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    copies: Counter[Name] = field(default_factory=Counter)

    @classmethod
    def of(cls, records: Sequence[Record], topics: Topics = TOPICS) -> "Written":
        written = cls()
        names = {record.position: name_of(record, topics) for record in records if record.topic != topics.fates}
        for record in records:
            spelled = record.header(h.PARENTS) or b""
            positions = h.decode_parents(spelled, record.partition, topics)
            parents = frozenset(names[position] for position in positions)
            if record.topic == topics.fates:
                told = orjson.loads(record.value)
                rule = name_of(record, topics)[1:4]
                entry = (told["reason"], frozenset(told["missing"]), positions[0])
                written.drops[next(iter(parents)), rule].append(entry)
                continue
            name = names[record.position]
            written.copies[name] += 1
            if record.topic == topics.errors:
                written.errors[name].append(((record.header(h.ERROR_KIND) or b"").decode(), parents))
            else:
                kind = InferRequest if name.port == "inputs" else InferResponse
                written.records[name].append(tuple(iterate_tensors(kind.FromString(record.value))))
                written.parents[name].append(parents)
        return written


def name_of(record: Record, topics: Topics) -> Name:
    """Return the record's name by its topic and its identity; a fate bears the name of the rule that dropped."""
    ref, own = topics.parse(record.topic), h.identity(record)
    assert ref is not None
    if record.topic in {topics.errors, topics.fates}:
        return Name(own.request, own.pipeline, own.version, own.step, ref.port, own.visit)
    node = ref.name if ref.kind == "model" else ""
    return Name(own.request, own.pipeline, own.version, node, ref.port, own.visit)


def rule_key(rule: RuleId) -> tuple[str, int, str]:
    return rule.pipeline, rule.version, rule.node


def read_all(log: Log, places: Sequence[TopicPartition]) -> Iterator[Record]:
    ends, reader = log.end(places), log.reader()
    try:
        reader.assign(log.beginning(places))
        while any(position < ends[place] for place, position in reader.positions().items()):
            yield from reader.poll(5_000, 1.0)
    finally:
        reader.close()


def same_tensors(left: Tensors, right: Tensors) -> bool:
    return [name for name, _ in left] == [name for name, _ in right] and all(
        np.array_equal(one, other) for (_, one), (_, other) in zip(left, right, strict=True)
    )
