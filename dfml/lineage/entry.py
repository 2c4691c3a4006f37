"""What the store holds, as values: records, fates, losses, loaded specs."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

import orjson

from dfml.record import Headers, Position
from dfml.topics import TopicRef


class Kind(IntEnum):
    """Where in a pipeline a record stands, from its topic. The numbers are the store's."""

    ENTRY = 0
    """On ``pipeline.P.inputs``: the request."""
    STEP_INPUTS = 1
    STEP_OUTPUTS = 2
    ANSWER = 3
    """On ``pipeline.P.outputs``."""
    ERROR = 4

    @property
    def port(self) -> str:
        """``inputs``, ``outputs`` or ``errors``."""
        return _PORTS[self]


_PORTS = {
    Kind.ENTRY: "inputs",
    Kind.STEP_INPUTS: "inputs",
    Kind.STEP_OUTPUTS: "outputs",
    Kind.ANSWER: "outputs",
    Kind.ERROR: "errors",
}
_KINDS = {
    ("pipeline", "inputs"): Kind.ENTRY,
    ("model", "inputs"): Kind.STEP_INPUTS,
    ("model", "outputs"): Kind.STEP_OUTPUTS,
    ("pipeline", "outputs"): Kind.ANSWER,
    ("errors", "errors"): Kind.ERROR,
}


def kind_of(ref: TopicRef) -> Kind | None:
    """Return the kind of a topic's records; None for topics that hold no inference records."""
    return _KINDS.get((ref.kind, ref.port))


@dataclass(frozen=True, slots=True)
class Entry:
    """One record as the store has it.

    Attributes
    ----------
    step : str
        The step that the record belongs to; ``""`` on a pipeline's own topics.
    payload : bytes or None
        The value; None when it was not kept (over the tap's size limit, or not in its sample).
    payload_bytes : int
        How long the value was on the log.
    queue_us, service_us : int or None
        What the model gateway stamped, microseconds.
    headers
        The headers that no other attribute holds.
    """

    position: Position
    timestamp_ms: int
    request: str
    pipeline: str
    version: int
    step: str
    kind: Kind
    visit: int
    parents: tuple[Position, ...]
    queue_us: int | None
    service_us: int | None
    error_kind: str | None
    payload_bytes: int
    payload: bytes | None
    headers: Headers

    @property
    def port(self) -> str:
        """``inputs``, ``outputs`` or ``errors``."""
        return self.kind.port

    @property
    def name(self) -> str:
        """Where it stands, in the grammar of references: ``pipeline.inputs``, ``step.outputs``, ``step.errors``."""
        return f"{self.step or self.pipeline}.{self.port}"


@dataclass(frozen=True, slots=True)
class Fate:
    """What a rule did with a record instead of using it.

    ``pipeline`` and ``step`` name the rule (step ``""``: the pipeline's output); ``missing`` the references it waited
    for in vain.
    """

    position: Position
    timestamp_ms: int
    request: str
    pipeline: str
    version: int
    step: str
    fate: str
    reason: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Loss:
    """Records that were gone before the tap could read them: offsets ``first.offset`` to ``end_offset - 1``."""

    first: Position
    end_offset: int
    noticed_ms: int
    reason: str

    @property
    def n_records(self) -> int:
        """How many offsets were passed over; at most that many records."""
        return self.end_offset - self.first.offset


@dataclass(frozen=True, slots=True)
class LoadedSpec:
    """A document that was loaded (or, with ``document`` empty, deleted) on the control topic."""

    kind: str
    name: str
    version: int
    loaded_ms: int
    document: bytes


def pack_parents(ids: list[int]) -> int | bytes | None:
    """Return what ``records.parents`` holds for these ids."""
    if len(ids) == 1:
        return ids[0]
    return struct.pack(f"<{len(ids)}q", *ids) if ids else None


def unpack_parents(packed: int | bytes | None) -> tuple[int, ...]:
    """Undo :func:`pack_parents`."""
    if packed is None:
        return ()
    return (packed,) if isinstance(packed, int) else struct.unpack(f"<{len(packed) // 8}q", packed)


def pack_headers(headers: Iterable[tuple[str, bytes]]) -> bytes:
    """Spell headers as JSON pairs; latin-1 takes any byte to a character and back."""
    return orjson.dumps([(name, value.decode("latin-1")) for name, value in headers])


def unpack_headers(packed: bytes | None) -> Headers:
    """Undo :func:`pack_headers`."""
    if packed is None:
        return ()
    return tuple((name, value.encode("latin-1")) for name, value in orjson.loads(packed))
