"""Removes what may go from an SQLite log, in steps so short that no writer waits long.

Deleted topics go, records past their retention, and in compacted topics the superseded ones. A compacted topic keeps
the newest record of each key. An empty value deletes its key; such a record stays for a day, so that a reader that was
away still learns of the deletion.
"""

import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path

from dfml.clock import Clock
from dfml.log.base import Cleanup, TopicConfig
from dfml.log.sqlite.catalogue import Catalogue
from dfml.log.sqlite.file import OFFSET_BITS, translate
from dfml.log.sqlite.writer import Writer

STEP_RECORDS = 250
STEP_BYTES = 1024 * 1024
"""A step deletes at most so many records and bytes of values: a millisecond or two for which writers wait."""
PAUSE_S = 0.002
"""Between steps, so that writers get in between."""
TOMBSTONE_MS = 24 * 60 * 60 * 1000
DIRTY_RECORDS = 100
"""A compacted topic partition is gone through when this many records are new, and at least half as many as it keeps."""
LONGEST_REST_MS = 10_000
"""How long an empty topic partition is left alone at most; the records of callers may come with old timestamps."""


@dataclass(slots=True)
class _Compacted:
    end: int = 0
    n_kept: int = 0


class Cleaner:
    """Goes through the topics and deletes what their configurations allow; used by one thread at a time.

    It finds out by its own connection what may go, and deletes by the writer's units.
    """

    def __init__(self, connection: sqlite3.Connection, writer: Writer, path: Path, clock: Clock) -> None:
        self._connection = connection
        self._writer = writer
        self._path = path
        self._clock = clock
        self._known = Catalogue(connection, with_commits=False)
        self._due_ms: dict[int, int] = {}
        self._compacted: dict[int, _Compacted] = {}
        self._guard = threading.Lock()

    def clean(self, stop: threading.Event, *, thorough: bool) -> None:
        """Delete what may go now; ``thorough`` looks everywhere, else only where something is likely to be due."""
        with self._guard:
            try:
                if self._known.refresh() is None:
                    self._due_ms.clear()
                    self._compacted.clear()
                self._purge_deleted(stop)
                for (topic, _), tp in list(self._known.ids.items()):
                    self._clean_partition(tp, self._known.topics[topic], stop, thorough=thorough)
            except sqlite3.Error as error:
                raise translate(error, self._path) from error

    def close(self) -> None:
        """Close the connection, after a cleaning that may be under way."""
        with self._guard:
            self._connection.close()

    def _clean_partition(self, tp: int, config: TopicConfig, stop: threading.Event, *, thorough: bool) -> None:
        if stop.is_set():
            return
        if config.cleanup is Cleanup.COMPACT:
            if thorough or self._is_dirty(tp):
                self._compact(tp, stop)
        elif config.retention_ms is not None and (thorough or self._due_ms.get(tp, 0) <= self._clock()):
            self._due_ms[tp] = self._expire(tp, config.retention_ms, stop)

    def _purge_deleted(self, stop: threading.Event) -> None:
        gone = self._connection.execute("SELECT tp FROM partitions WHERE topic IS NULL").fetchall()
        for (tp,) in gone:
            while self._delete_prefix(tp, None):
                if stop.wait(PAUSE_S):
                    return
            with self._writer.unit() as cursor:
                cursor.execute("DELETE FROM partitions WHERE tp = ?", (tp,))

    def _expire(self, tp: int, retention_ms: int, stop: threading.Event) -> int:
        """Delete the records past their retention; return when the oldest one left is due."""
        now_ms = self._clock()
        while self._delete_prefix(tp, now_ms - retention_ms):
            if stop.wait(PAUSE_S):
                break
        base = tp << OFFSET_BITS
        oldest = self._connection.execute(
            "SELECT timestamp_ms FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT 1",
            (base, base + (1 << OFFSET_BITS)),
        ).fetchone()
        return int(oldest[0]) + retention_ms if oldest else now_ms + min(retention_ms, LONGEST_REST_MS)

    def _delete_prefix(self, tp: int, before_ms: int | None) -> bool:
        """Delete some of the oldest records, as far as they are older (None: all); return whether to go on."""
        base = tp << OFFSET_BITS
        rows = self._connection.execute(
            "SELECT id, timestamp_ms, length(value) FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
            (base, base + (1 << OFFSET_BITS), STEP_RECORDS),
        ).fetchall()
        n_bytes, last = 0, None
        for record_id, timestamp_ms, size in rows:
            if (before_ms is not None and timestamp_ms >= before_ms) or n_bytes >= STEP_BYTES:
                break
            n_bytes += size
            last = record_id
        if last is None:
            return False
        with self._writer.unit() as cursor:
            cursor.execute("DELETE FROM records WHERE id >= ? AND id <= ?", (base, last))
        return last != rows[-1][0] or len(rows) == STEP_RECORDS

    def _is_dirty(self, tp: int) -> bool:
        done = self._compacted.setdefault(tp, _Compacted())
        return self._known.ends[tp][1] - done.end >= max(DIRTY_RECORDS, done.n_kept // 2)

    def _compact(self, tp: int, stop: threading.Event) -> None:
        base, end = tp << OFFSET_BITS, self._known.ends[tp][1]
        oldest_ms = self._clock() - TOMBSTONE_MS
        newest: dict[bytes, int] = {}
        superseded: list[int] = []
        expired: list[int] = []
        for record_id, timestamp_ms, key, size in self._connection.execute(
            "SELECT id, timestamp_ms, key, length(value) FROM records WHERE id >= ? AND id < ? ORDER BY id",
            (base, base + end),
        ):
            if key in newest:
                superseded.append(newest[key])
            newest[key] = record_id
            if not size and timestamp_ms < oldest_ms:
                expired.append(record_id)
        # In this order: were the deletion gone before what it deletes, the key would be back.
        self._delete(superseded + expired, stop)
        self._compacted[tp] = _Compacted(end, len(newest))

    def _delete(self, record_ids: list[int], stop: threading.Event) -> None:
        for begin in range(0, len(record_ids), STEP_RECORDS):
            if begin and stop.wait(PAUSE_S):
                return
            with self._writer.unit() as cursor:
                cursor.executemany(
                    "DELETE FROM records WHERE id = ?",
                    [(record_id,) for record_id in record_ids[begin : begin + STEP_RECORDS]],
                )
