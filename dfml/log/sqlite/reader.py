"""Reads assigned topic partitions from an SQLite log; an idle poll costs one question for the data version."""

import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path

from dfml.errors import LogError
from dfml.log.base import Reader
from dfml.log.sqlite.catalogue import Catalogue
from dfml.log.sqlite.file import OFFSET_BITS, translate
from dfml.log.sqlite.header_blob import decode_headers
from dfml.log.sqlite.wake import Wake
from dfml.record import Record, TopicPartition

SELECT_RECORDS = (
    "SELECT id, timestamp_ms, key, value, headers FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"
)
FEWEST_PER_TURN = 32
"""Records of one topic partition that a poll takes before it goes on to the next: fewer would cost more queries."""
POLL_BYTES = 64 * 1024 * 1024
"""A poll stops after that many bytes of values: 500 records of 8 MB each must not be held at once."""
TICK_S = 0.001
"""How often a waiting poll looks for what other processes wrote: 0.6 ms of delay for 2 to 3 % of a core."""
IDLE_TICK_S = 0.005
IDLE_AFTER_S = 1.0
"""When nothing came for so long, the next record may wait a little longer for a quarter of that."""
_OFFSET_MASK = (1 << OFFSET_BITS) - 1


class SqliteReader(Reader):
    """A reader with a connection of its own.

    Topic partitions that have something to be read stand in a queue; a poll takes some records from the first and
    queues it again at the end. Only what was committed since the last poll is looked at, so the cost of a poll does
    not depend on how many are assigned.

    A topic that is deleted yields nothing more; created again, it is read from its beginning.
    """

    def __init__(self, connection: sqlite3.Connection, known: Catalogue, path: Path, wake: Wake) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self._path = path
        self._wake = wake
        self._lock = threading.Lock()
        self._closed = False
        self._found_s = time.monotonic()
        self._known = known
        self._next: dict[TopicPartition, int] = {}
        self._places: dict[int, TopicPartition] = {}
        self._lost: set[TopicPartition] = set()
        self._ready: OrderedDict[TopicPartition, None] = OrderedDict()

    def assign(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Add topic partitions, each read from its offset on; an assigned one is moved to the offset."""
        with self._lock:
            self._look()
            ids, ends = self._known.ids, self._known.ends
            tps = [ids.get(place) or self._known.tp(place) for place in offsets]
            for tp, (place, offset) in zip(tps, offsets.items(), strict=True):
                if offset < 0:
                    msg = f"{place}: cannot be read from offset {offset}; offsets begin at 0"
                    raise LogError(msg)
                self._places[tp] = TopicPartition(*place)
                self._next[place] = offset
                if offset < ends[tp][1]:
                    self._ready[place] = None
                else:
                    self._ready.pop(place, None)

    def unassign(self, partitions: Iterable[TopicPartition]) -> None:
        """Stop reading these; unknown ones are ignored."""
        with self._lock:
            for place in partitions:
                self._next.pop(place, None)
                self._ready.pop(place, None)
                self._lost.discard(place)
                self._places.pop(self._known.ids.get(place, 0), None)

    def poll(self, max_records: int, timeout_s: float) -> list[Record]:
        """Return up to ``max_records`` records, waiting at most ``timeout_s`` seconds for the first."""
        n_seen = self._wake.n_units
        records = self._poll(max_records)
        if records or timeout_s <= 0:
            return records
        now_s = time.monotonic()
        until_s = now_s + timeout_s
        while not records and now_s < until_s:
            tick_s = TICK_S if now_s - self._found_s < IDLE_AFTER_S else IDLE_TICK_S
            self._wake.wait(n_seen, min(until_s - now_s, tick_s))
            n_seen = self._wake.n_units
            records = self._poll(max_records)
            now_s = time.monotonic()
        if records:
            self._found_s = now_s
        return records

    def wait(self, timeout_s: float) -> None:
        """Wait until a unit is written by this process, or another one may have written."""
        self._wake.wait(self._wake.n_units, min(timeout_s, TICK_S))

    def positions(self) -> dict[TopicPartition, int]:
        """Return the next offset to be read, per assigned topic partition."""
        with self._lock:
            return dict(self._next)

    def close(self) -> None:
        """Close the connection; the reader cannot be used afterwards."""
        with self._lock:
            self._closed = True
            self._connection.close()

    def _poll(self, max_records: int) -> list[Record]:
        with self._lock:
            self._look()
            return self._take(max_records) if self._ready else []

    def _look(self) -> None:
        """Queue what other connections added to since the last look."""
        if self._closed:
            msg = f"log {self._path}: the reader or its log is closed"
            raise LogError(msg)
        try:
            moved = self._known.refresh()
        except sqlite3.Error as error:
            raise translate(error, self._path) from error
        if moved is None:
            self._settle_again()
        elif moved:
            self._queue(moved)

    def _queue(self, moved: list[int]) -> None:
        if self._lost:
            self._find_lost()
        ends = self._known.ends
        for tp in moved:
            place = self._places.get(tp)
            if place is not None and self._next[place] < ends[tp][1]:
                self._ready[place] = None

    def _settle_again(self) -> None:
        """Find out which assigned topics were deleted, and which of them exist again."""
        ids = self._known.ids
        self._lost.update(place for tp, place in self._places.items() if ids.get(place) != tp)
        self._places = {ids[place]: place for place in self._next if place not in self._lost}
        for place in self._lost:
            self._ready.pop(place, None)
            self._next[place] = 0
        self._queue(list(self._places))
        self._find_lost()

    def _find_lost(self) -> None:
        for place in [place for place in self._lost if place in self._known.ids]:
            self._lost.discard(place)
            self._places[self._known.ids[place]] = place
            self._queue([self._known.ids[place]])

    def _take(self, max_records: int) -> list[Record]:
        records: list[Record] = []
        left_bytes = POLL_BYTES
        while self._ready and len(records) < max_records and left_bytes > 0:
            place, _ = self._ready.popitem(last=False)
            share = max(max_records // (len(self._ready) + 1), FEWEST_PER_TURN)
            n_whole = len(records)
            try:
                left_bytes -= self._read(place, min(share, max_records - n_whole), left_bytes, records)
            except sqlite3.Error as error:
                self._ready[place] = None
                del records[n_whole:]
                if not records:
                    raise translate(error, self._path) from error
                break  # what was read must not be lost; an error that lasts comes with the next poll
        return records

    def _read(self, place: TopicPartition, limit: int, max_bytes: int, records: list[Record]) -> int:
        """Read from one topic partition, queue it again if there is more; return the bytes of values read."""
        topic, partition = place
        tp = self._known.ids[place]
        end, base = self._known.ends[tp][1], tp << OFFSET_BITS
        n_before, n_bytes = len(records), 0
        for record_id, timestamp_ms, key, value, headers in self._cursor.execute(
            SELECT_RECORDS, (base + self._next[place], base + end, limit)
        ):
            offset = record_id & _OFFSET_MASK
            records.append(Record(topic, partition, offset, key, value, decode_headers(headers), timestamp_ms))
            n_bytes += len(value)
            if n_bytes >= max_bytes:
                break
        n_read = len(records) - n_before
        whole = n_read < limit and n_bytes < max_bytes
        self._next[place] = end if whole else records[-1].offset + 1
        if n_bytes >= max_bytes:  # an unfinished statement would hold its snapshot, and with it the WAL
            self._cursor.close()
            self._cursor = self._connection.cursor()
        if self._next[place] < end:
            self._ready[place] = None
        return n_bytes
