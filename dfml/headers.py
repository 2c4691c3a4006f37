"""The headers of a record: what Seldon writes, what ours add, and how parents are spelled.

========================  ====================================================================================
``pipeline``              the pipeline the request runs in
``x-pipeline-version``    the version it entered on
``x-request-id``          the request (also the record's key)
``traceparent``           W3C trace context, passed on
``x-*``                   the caller's own, passed on
``seldon-pipeline-errors``  on errors: who failed, ``model`` or ``pipeline`` (what was being done)
``dfml-step``             the step that wrote the record; absent on a pipeline's inputs
``dfml-visit``            the visit number in a cyclic pipeline; absent means 0
``dfml-parents``          the records this one was made from, see :func:`encode_parents`
``dfml-deadline-ms``      when the caller stops waiting, milliseconds since the epoch
``dfml-mirror-of``        on a mirrored request: the request it is a copy of
``dfml-members``          the request ids of a batch, comma separated
``dfml-queue-us``         on model outputs: from the input's append to the call, microseconds
``dfml-service-us``       on model outputs: the call itself, microseconds
``dfml-error-kind``       on errors: a word for the reason (``raised``, ``timeout``, ``undecodable``, ...)
``dfml-error-status``     on errors: the HTTP status that the caller is answered with
========================  ====================================================================================

A record's *identity* is (pipeline, version, step, request, visit), together with its topic: two records that agree in
it are the same result, written twice.
"""

from collections.abc import Iterable
from typing import NamedTuple

from dfml.record import Headers, Position, Record, TopicName
from dfml.topics import Topics

PIPELINE = "pipeline"
VERSION = "x-pipeline-version"
REQUEST = "x-request-id"
TRACEPARENT = "traceparent"
SELDON_ERRORS = "seldon-pipeline-errors"
STEP = "dfml-step"
VISIT = "dfml-visit"
PARENTS = "dfml-parents"
DEADLINE = "dfml-deadline-ms"
MIRROR_OF = "dfml-mirror-of"
MEMBERS = "dfml-members"
QUEUE_US = "dfml-queue-us"
SERVICE_US = "dfml-service-us"
ERROR_KIND = "dfml-error-kind"
ERROR_STATUS = "dfml-error-status"

OWN_TO_RECORD = frozenset({STEP, VISIT, PARENTS, MEMBERS, QUEUE_US, SERVICE_US, ERROR_KIND, ERROR_STATUS})
"""Headers that describe one record and are therefore not passed on to its children."""


class Identity(NamedTuple):
    """Who wrote a record, for which request; equal identities on one topic are one result."""

    pipeline: str
    version: int
    step: str
    request: str
    visit: int


def identity(record: Record) -> Identity:
    """Return the record's identity; a foreign record has ``""`` and 0 where headers are absent, its key as request."""
    found = dict(record.headers)
    version, visit = found.get(VERSION, b"0"), found.get(VISIT, b"0")
    return Identity(
        found.get(PIPELINE, b"").decode(errors="replace"),
        int(version) if version.isdigit() else 0,
        found.get(STEP, b"").decode(errors="replace"),
        found.get(REQUEST, record.key).decode(errors="replace"),
        int(visit) if visit.isdigit() else 0,
    )


def passed_on(headers: Headers) -> Headers:
    """Return the headers that a child inherits."""
    return tuple(header for header in headers if header[0] not in OWN_TO_RECORD)


def encode_parents(parents: Iterable[Position], partition: int, topics: Topics) -> bytes:
    """Spell parents as ``short.topic@offset`` separated by commas; ``[partition]`` only where it is another one."""
    spelled = []
    for parent in parents:
        place = "" if parent.partition == partition else f"[{parent.partition}]"
        spelled.append(f"{topics.shorten(parent.topic)}{place}@{parent.offset}")
    return ",".join(spelled).encode()


def decode_parents(value: bytes, partition: int, topics: Topics) -> tuple[Position, ...]:
    """Undo :func:`encode_parents`.

    Raises
    ------
    ValueError
        If the header was not written by it.
    """
    return tuple(_decode_parent(text, partition, topics) for text in value.decode().split(",") if text)


def _decode_parent(text: str, partition: int, topics: Topics) -> Position:
    place, _, offset = text.rpartition("@")
    if place.endswith("]"):
        place, _, number = place[:-1].rpartition("[")
        partition = int(number)
    known = topics.expand(place)
    return Position(known if topics.parse(known) else TopicName(place), partition, int(offset))
