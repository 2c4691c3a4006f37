"""What an SQLite log answers about itself: topics, ends, offsets for a time, committed positions."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dfml.errors import LogError
from dfml.log.base import TopicConfig
from dfml.log.sqlite.catalogue import Catalogue
from dfml.log.sqlite.file import OFFSET_BITS, translate
from dfml.record import TopicName, TopicPartition

SELECT_FIRST = "SELECT id FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT 1"
SELECT_FIRST_NEWEST = "SELECT id, timestamp_ms + lead_ms FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT 1"
SELECT_FIRST_AT = "SELECT id FROM records WHERE id >= ? AND id < ? AND timestamp_ms >= ? ORDER BY id LIMIT 1"


class Queries:
    """Questions on a connection of their own, from any thread; what was committed before a question is seen by it."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._known = Catalogue(connection, with_commits=True)
        self._guard = threading.Lock()
        self._closed = False

    def topics(self) -> dict[TopicName, TopicConfig]:
        """Return every topic."""
        with self._asking() as known:
            return dict(known.topics)

    def catalogue(self, connection: sqlite3.Connection) -> Catalogue:
        """Return a catalogue for a reader's connection: a copy costs less than to read it all anew."""
        with self._asking() as known:
            return known.copy_to(connection)

    def beginning(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset of the oldest record kept, or the end."""
        with self._asking() as known:
            found = {}
            for place in partitions:
                base, end = _range(known, place)
                row = self._connection.execute(SELECT_FIRST, (base, end)).fetchone()
                found[place] = (row[0] if row else end) - base
            return found

    def end(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset that the next record will have."""
        with self._asking() as known:
            return {place: known.ends[known.tp(place)][1] for place in partitions}

    def offsets_at(self, partitions: Iterable[TopicPartition], timestamp_ms: int) -> dict[TopicPartition, int]:
        """Return the offset of the first record appended at that time or later, or the end."""
        with self._asking() as known:
            found = {}
            for place in partitions:
                base, end = _range(known, place)
                young = known.ends[known.tp(place)][2] >= timestamp_ms
                found[place] = (self._first_at(base, end, timestamp_ms) if young else end) - base
            return found

    def committed(self, group: str, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the group's committed positions, as far as there are any."""
        with self._asking() as known:
            row = self._connection.execute("SELECT id FROM groups WHERE name = ?", (group,)).fetchone()
            if row is None:
                return {}
            marks = {place: known.commits.get((known.tp(place), row[0])) for place in partitions}
            return {place: mark[1] for place, mark in marks.items() if mark is not None}

    def close(self) -> None:
        """Close the connection; further questions raise LogError."""
        with self._guard:
            self._closed = True
            self._connection.close()

    @contextmanager
    def _asking(self) -> Iterator[Catalogue]:
        with self._guard:
            if self._closed:
                msg = f"log {self._path} is closed"
                raise LogError(msg)
            try:
                self._known.refresh()
                yield self._known
            except sqlite3.Error as error:
                raise translate(error, self._path) from error

    def _first_at(self, base: int, end: int, timestamp_ms: int) -> int:
        """Bisect by the youngest timestamp so far, which is sorted; timestamps that callers give need not be."""
        low, high = base, end
        while low < high:
            middle = (low + high) // 2
            row = self._connection.execute(SELECT_FIRST_NEWEST, (middle, end)).fetchone()
            if row is None or row[1] >= timestamp_ms:
                high = middle
            else:
                low = row[0] + 1
        # The record that was the youngest may have been compacted away: the first of those left counts.
        row = self._connection.execute(SELECT_FIRST_AT, (low, end, timestamp_ms)).fetchone()
        return int(row[0]) if row else end


def _range(known: Catalogue, place: TopicPartition) -> tuple[int, int]:
    """Return the id of the topic partition's offset 0 and the id behind its last record."""
    tp = known.tp(place)
    base = tp << OFFSET_BITS
    return base, base + known.ends[tp][1]
