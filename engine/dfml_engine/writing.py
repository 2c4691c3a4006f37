"""The records that the engine writes: results, errors and fates, with their headers.

What every writer of records agrees on is in :mod:`dfml.headers`; here it is put together.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import orjson

from dfml import headers as h
from dfml.errors import LogError, RecordTooLargeError
from dfml.record import Append, Headers, Position, Record, TopicName
from dfml.topics import Topics


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a step gave no result: a word for the kind, a text for people, the status its caller is answered with."""

    kind: str
    text: str
    status: int = 500

    @classmethod
    def of_visits(cls, pipeline: str, step: str, limit: int) -> Self:
        """Say that a request went round a loop once more than the pipeline allows."""
        text = f"step '{step}' of pipeline '{pipeline}' was revisited more than maxStepRevisits = {limit} times"
        return cls("too_many_revisits", text)


class Writer:
    """Makes the appends of one namespace. Short topic names are encoded once."""

    def __init__(self, topics: Topics) -> None:
        self.topics = topics
        self._short: dict[TopicName, bytes] = {}

    def parents(self, parents: Iterable[Record | Position], partition: int) -> bytes:
        """Spell the parents header; parents on the same partition number go the quick way."""
        spelled = []
        for parent in parents:
            if parent.partition != partition:
                position = parent if isinstance(parent, Position) else parent.position
                spelled.append(h.encode_parents([position], partition, self.topics))
            else:
                short = self._short.get(parent.topic) or self._shorten(parent.topic)
                spelled.append(b"%b@%d" % (short, parent.offset))
        return b",".join(spelled)

    def shares_topic(self, record: Record, parents: Iterable[bytes]) -> bool:
        """Say whether one of these parents, as :meth:`parents` spells them, is a record of the same topic."""
        beginning = self.parents([record], record.partition).partition(b"@")[0] + b"@"
        return any(parent.startswith(beginning) for parent in parents)

    def _shorten(self, topic: TopicName) -> bytes:
        self._short[topic] = short = self.topics.shorten(topic).encode()
        return short

    def failure(self, headers: Headers, step: str, failure: Failure, parents: Sequence[Record]) -> Append:
        """Make the record on the errors topic for a failed step; ``headers`` are those that the request passes on."""
        first = parents[0]
        own = (
            (h.STEP, step.encode()),
            (h.SELDON_ERRORS, (step or "pipeline").encode()),
            (h.PARENTS, self.parents(parents, first.partition)),
            (h.ERROR_KIND, failure.kind.encode()),
            (h.ERROR_STATUS, b"%d" % failure.status),
        )
        return Append(self.topics.errors, first.partition, first.key, failure.text.encode(), headers + own)

    def undeliverable(self, append: Append, why: LogError) -> Append:
        """Make the record on the errors topic that stands for one that its own topic does not take."""
        if append.topic == self.topics.errors:
            return append
        if isinstance(why, RecordTooLargeError):
            text, status = f"topic '{append.topic}' does not take it: {why}", b"500"
        else:
            place = f"topic '{append.topic}'[{append.partition}]"
            text, status = f"{place} does not exist any more; load what reads and writes it again", b"503"
        kept = tuple(header for header in append.headers if header[0] not in {h.QUEUE_US, h.SERVICE_US})
        own = ((h.SELDON_ERRORS, b"pipeline"), (h.ERROR_KIND, b"undeliverable"), (h.ERROR_STATUS, status))
        return Append(self.topics.errors, append.partition, append.key, text.encode(), kept + own)

    def drop(
        self, record: Record, step: str, reason: str, missing: Sequence[str] = (), named_by: Headers = ()
    ) -> Append:
        """Make the record on the fates topic for a record that a rule dropped.

        ``named_by`` names the rule's pipeline and version where they are not the record's own.
        """
        value = orjson.dumps({"fate": "dropped", "reason": reason, "missing": list(missing)})
        given = {name for name, _ in named_by}
        kept = named_by + tuple(header for header in record.headers if header[0] in _NAMING - given)
        own = ((h.STEP, step.encode()), (h.PARENTS, self.parents([record], record.partition)))
        return Append(self.topics.fates, record.partition, record.key, value, kept + own)


_NAMING = frozenset({h.PIPELINE, h.VERSION, h.REQUEST})
