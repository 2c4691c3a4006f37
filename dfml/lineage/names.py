"""Names as small numbers: places, origins, requests and words, looked up in memory first.

One writer owns the tables, so what is in memory is true until a transaction fails; then :meth:`Names.forget`.
"""

import sqlite3
from dataclasses import dataclass

from dfml.headers import decode_parents, passed_on
from dfml.lineage.entry import Kind, kind_of, pack_headers, unpack_headers
from dfml.lineage.schema import OFFSET_BITS
from dfml.record import Headers, Position
from dfml.topics import Topics

_CACHED_REQUESTS = 50_000
"""Requests whose number is at hand: more than can be in flight, and about 10 MB."""


@dataclass(frozen=True, slots=True)
class Place:
    """One partition number of one topic. ``base`` is the packed id of its offset 0; ``owner`` the topic's own name.

    ``kind`` is None for the topics that hold no inference records: the fates (``port`` fates) and the specs (specs).
    """

    id: int
    base: int
    kind: Kind | None
    owner: str
    port: str


class Names:
    """The writer's side of the interned tables. Every method may insert, inside of the caller's transaction."""

    def __init__(self, db: sqlite3.Connection, topics: Topics) -> None:
        self._db = db
        self._topics = topics
        self._places: dict[tuple[str, int], Place] = {}
        self._bases: dict[tuple[bytes, int], int] = {}
        self._origins: dict[tuple[str, int, str], int] = {}
        self._words: dict[str, int] = {}
        self._requests: dict[str, tuple[int, Headers]] = {}

    def forget(self) -> None:
        """Drop what is in memory, because the transaction that made it true was rolled back."""
        for cache in (self._places, self._bases, self._origins, self._words, self._requests):
            cache.clear()

    def place(self, topic: str, partition: int) -> Place:
        """Return the newest incarnation of a place."""
        found = self._places.get((topic, partition))
        if found is None:
            query = "SELECT id FROM places WHERE topic = ? AND partition = ? ORDER BY incarnation DESC LIMIT 1"
            row = self._db.execute(query, (topic, partition)).fetchone()
            found = self._remember(topic, partition, row[0] if row else self._insert_place(topic, partition))
        return found

    def renew(self, topic: str, partition: int) -> Place:
        """Begin a new incarnation of a place whose topic was deleted and made again."""
        self._bases.clear()
        return self._remember(topic, partition, self._insert_place(topic, partition))

    def _insert_place(self, topic: str, partition: int) -> int:
        query = "SELECT coalesce(max(incarnation), -1) + 1 FROM places WHERE topic = ? AND partition = ?"
        incarnation = self._db.execute(query, (topic, partition)).fetchone()[0]
        insert = "INSERT INTO places(topic, partition, incarnation) VALUES (?, ?, ?) RETURNING id"
        return int(self._db.execute(insert, (topic, partition, incarnation)).fetchone()[0])

    def _remember(self, topic: str, partition: int, number: int) -> Place:
        ref = self._topics.parse(topic)
        place = Place(
            number,
            number << OFFSET_BITS,
            kind_of(ref) if ref else None,
            ref.name if ref else "",
            ref.port if ref else "",
        )
        self._places[topic, partition] = place
        return place

    def parents(self, header: bytes, partition: int) -> list[int]:
        """Return the packed ids of a ``dfml-parents`` header.

        Raises
        ------
        ValueError
            If the header was not written by :func:`dfml.headers.encode_parents`.
        """
        if b"," not in header:
            return [self._parent(header, partition)] if header else []
        return [self._parent(text, partition) for text in header.split(b",") if text]

    def _parent(self, text: bytes, partition: int) -> int:
        place, _, offset = text.rpartition(b"@")
        base = self._bases.get((place, partition))
        if base is None:
            parent = decode_parents(text, partition, self._topics)[0]
            base = self.place(parent.topic, parent.partition).base
            self._bases[place, partition] = base
        return base + int(offset)

    def id_of(self, position: Position) -> int:
        """Return a position's packed id."""
        return self.place(position.topic, position.partition).base + position.offset

    def origin(self, pipeline: str, version: int, step: str) -> int:
        """Return the number of who wrote a record."""
        key = (pipeline, version, step)
        found = self._origins.get(key)
        if found is None:
            self._db.execute("INSERT OR IGNORE INTO origins(pipeline, version, step) VALUES (?, ?, ?)", key)
            query = "SELECT id FROM origins WHERE pipeline = ? AND version = ? AND step = ?"
            found = self._origins[key] = self._db.execute(query, key).fetchone()[0]
        return found

    def word(self, word: str) -> int:
        """Return the number of a word: an error's kind, a fate, its reason."""
        found = self._words.get(word)
        if found is None:
            self._db.execute("INSERT OR IGNORE INTO words(word) VALUES (?)", (word,))
            found = self._db.execute("SELECT id FROM words WHERE word = ?", (word,)).fetchone()[0]
            self._words[word] = found
        return found

    def request(self, request: str, headers: Headers) -> tuple[int, Headers]:
        """Return a request's number and the headers that are kept once for all its records.

        A request that is not known yet gets those of ``headers`` that are passed on from record to record.
        """
        found = self._requests.get(request)
        if found is None:
            found = self._stored_request(request) or self._insert_request(request, passed_on(headers))
            if len(self._requests) >= _CACHED_REQUESTS:
                for old in list(self._requests)[: _CACHED_REQUESTS // 2]:
                    del self._requests[old]
            self._requests[request] = found
        return found

    def _stored_request(self, request: str) -> tuple[int, Headers] | None:
        row = self._db.execute("SELECT id, headers FROM requests WHERE request = ?", (request,)).fetchone()
        return (row[0], unpack_headers(row[1])) if row else None

    def _insert_request(self, request: str, kept: Headers) -> tuple[int, Headers]:
        insert = "INSERT INTO requests(request, headers) VALUES (?, ?) RETURNING id"
        row = self._db.execute(insert, (request, pack_headers(kept) if kept else None)).fetchone()
        return row[0], kept
