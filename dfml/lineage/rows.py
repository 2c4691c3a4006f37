"""Records of the log -> rows of the store: what the tap does most, so written for speed."""

import logging
import re
import zlib
from dataclasses import dataclass, field

import orjson

from dfml import headers as names_of
from dfml.headers import decode_parents
from dfml.lineage.entry import Kind, pack_headers, pack_parents
from dfml.lineage.names import Names, Place
from dfml.record import Record
from dfml.topics import Topics

_logger = logging.getLogger(__name__)

_SELDON_KEY = re.compile(r"\d+\.[^.]+\.(.+)")
"""``<partition>.<resource>.<id>``, as Seldon spells keys; ours are the request id alone."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Which payloads are kept: those of at most ``limit_bytes``, for ``share`` of the requests (0 to 1).

    A request's payloads are kept all or none. Positions, parents, times and fates are always kept, errors' texts too.
    """

    limit_bytes: int | None = None
    share: float = 1.0

    def keeps(self, request: str, payload: bytes) -> bool:
        """Say whether this payload of this request is kept."""
        if self.limit_bytes is not None and len(payload) > self.limit_bytes:
            return False
        return self.share >= 1.0 or zlib.crc32(request.encode()) < self.share * 2**32

    @property
    def everything(self) -> bool:
        """Whether no payload is left out."""
        return self.limit_bytes is None and self.share >= 1.0


Row = tuple[object, ...]


@dataclass(slots=True)
class Rows:
    """Rows to be written in one transaction, by table."""

    records: list[Row] = field(default_factory=list)
    payloads: list[Row] = field(default_factory=list)
    children: list[Row] = field(default_factory=list)
    fates: list[Row] = field(default_factory=list)
    specs: list[Row] = field(default_factory=list)
    next_offsets: dict[int, int] = field(default_factory=dict)


class RowBuilder:
    """Makes rows of records. Interns names on the way, so it is called inside of a transaction."""

    def __init__(self, names: Names, topics: Topics, kept: Kept) -> None:
        self._names = names
        self._topics = topics
        self._kept = kept
        self._origins: dict[tuple[int, bytes | None, bytes | None, bytes | None], int] = {}

    def forget(self) -> None:
        """Drop what is in memory, because the transaction that made it true was rolled back."""
        self._origins.clear()
        self._names.forget()

    def build(self, records: list[Record]) -> Rows:
        """Return the rows of these records; what cannot be read is logged and left out, never raised."""
        rows = Rows()
        place_of, add = self._names.place, self._add
        for record in records:
            place = place_of(record.topic, record.partition)
            rows.next_offsets[place.id] = record.offset + 1
            if place.kind is not None:
                add(rows, place, place.kind, record)
            elif place.port == "fates":
                self._add_fate(rows, place, record)
            elif place.port == "specs":
                self._add_spec(rows, place, record)
        return rows

    def _add(self, rows: Rows, place: Place, kind: Kind, record: Record) -> None:
        found = dict(record.headers)
        repeated = len(found) != len(record.headers)
        take = found.pop
        number = place.base + record.offset
        origin = self._origin(place, kind, found)
        request, key = self._request_of(record, found)
        visit = _whole(take(names_of.VISIT, None)) or 0
        spelled = take(names_of.PARENTS, None)
        parents = self._parents(record, spelled) if spelled is not None else []
        queue_us, service_us = _whole(take(names_of.QUEUE_US, None)), _whole(take(names_of.SERVICE_US, None))
        error = take(names_of.ERROR_KIND, None)
        rest = tuple(each for each in record.headers if each[0] not in _COLUMNS) if repeated else tuple(found.items())
        request_id, common = self._names.request(request, rest)
        packed = None if rest == common else pack_headers(rest)
        value = record.value
        rows.records.append(
            (
                number,
                record.timestamp_ms,
                request_id,
                origin,
                int(kind),
                visit,
                pack_parents(parents),
                queue_us,
                service_us,
                None if error is None else self._names.word(error.decode(errors="replace")),
                len(value),
                key,
                packed,
            )
        )
        if value and (self._kept.everything or kind is Kind.ERROR or self._kept.keeps(request, value)):
            rows.payloads.append((number, value))
        for parent in parents:
            rows.children.append((parent, number))

    def _origin(self, place: Place, kind: Kind, found: dict[str, bytes]) -> int:
        take = found.pop
        said = (place.id, take(names_of.PIPELINE, None), take(names_of.VERSION, None), take(names_of.STEP, None))
        known = self._origins.get(said)
        if known is None:
            known = self._origins[said] = self._new_origin(place, kind, *said[1:])
        return known

    def _new_origin(
        self, place: Place, kind: Kind, pipeline: bytes | None, version: bytes | None, step: bytes | None
    ) -> int:
        at_pipeline = kind is Kind.ENTRY or kind is Kind.ANSWER
        if pipeline is None:
            pipeline = place.owner.encode() if at_pipeline else b""
        if step is None:
            step = b"" if at_pipeline else place.owner.encode()
        names = pipeline.decode(errors="replace"), step.decode(errors="replace")
        return self._names.origin(names[0], _whole(version) or 0, names[1])

    @staticmethod
    def _request_of(record: Record, found: dict[str, bytes]) -> tuple[str, bytes | None]:
        header = found.pop(names_of.REQUEST, None)
        if header is not None:
            return header.decode(errors="replace"), None if header == record.key else record.key
        text = record.key.decode(errors="replace")
        foreign = _SELDON_KEY.fullmatch(text)
        return (foreign[1], record.key) if foreign else (text, None)

    def _parents(self, record: Record, header: bytes) -> list[int]:
        try:
            return self._names.parents(header, record.partition)
        except ValueError as error:
            _logger.warning("%s: header %s left out: %r: %s", record.position, names_of.PARENTS, header, error)
            return []

    def _add_fate(self, rows: Rows, place: Place, record: Record) -> None:
        found = dict(record.headers)
        try:
            said = orjson.loads(record.value)
            fate, reason, missing = str(said["fate"]), str(said.get("reason", "")), list(said.get("missing", ()))
            dropped = decode_parents(found.pop(names_of.PARENTS), record.partition, self._topics)[0]
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            _logger.warning("%s: a fate that cannot be read is left out: %r", record.position, error)
            return
        origin = self._origin(place, Kind.ANSWER, found)
        request, _ = self._request_of(record, found)
        rows.fates.append(
            (
                place.base + record.offset,
                self._names.id_of(dropped),
                record.timestamp_ms,
                self._names.request(request, tuple(found.items()))[0],
                origin,
                self._names.word(fate),
                self._names.word(reason),
                ",".join(map(str, missing)),
            )
        )

    @staticmethod
    def _add_spec(rows: Rows, place: Place, record: Record) -> None:
        # The key is Kind/name/version; a document says the same of itself, a deletion has only the key.
        kind, name, spelled = (*record.key.decode(errors="replace").split("/"), "", "")[:3]
        version, loaded_ms = int(spelled) if spelled.isdigit() else 0, record.timestamp_ms
        if record.value:
            try:
                said = orjson.loads(record.value)
                kind, name, version = str(said["kind"]), str(said["name"]), int(said["version"])
                loaded_ms = int(said.get("loaded_ms", loaded_ms))
            except (ValueError, KeyError, TypeError) as error:
                _logger.warning("%s: a spec that cannot be read is left out: %r", record.position, error)
                return
        rows.specs.append((place.base + record.offset, kind, name, version, loaded_ms, record.value))


_COLUMNS = frozenset(
    {
        names_of.PIPELINE,
        names_of.VERSION,
        names_of.REQUEST,
        names_of.STEP,
        names_of.VISIT,
        names_of.PARENTS,
        names_of.QUEUE_US,
        names_of.SERVICE_US,
        names_of.ERROR_KIND,
    }
)


def _whole(value: bytes | None) -> int | None:
    return int(value) if value is not None and value.isdigit() else None
