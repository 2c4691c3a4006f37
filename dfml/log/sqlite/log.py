"""The log in one SQLite file: the embedded default, for one machine and local file systems."""

import sqlite3
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path

from dfml.clock import Clock, wall_clock_ms
from dfml.errors import BadInputError, ConflictError, LogError, LogReadOnlyError
from dfml.log.base import Commit, Log, Membership, Reader, Settled, TopicConfig
from dfml.log.sqlite.cleaner import Cleaner
from dfml.log.sqlite.file import Durability, connect, connect_to_read
from dfml.log.sqlite.group import SqliteMembership
from dfml.log.sqlite.queries import Queries
from dfml.log.sqlite.reader import SqliteReader
from dfml.log.sqlite.upkeep import Upkeep
from dfml.log.sqlite.wake import Wake
from dfml.log.sqlite.writer import Writer
from dfml.record import Append, Position, Record, TopicName, TopicPartition

LOCK_TIMEOUT_S = 10.0
"""Far above the worst wait seen between busy writers (0.2 s), and short of a gateway's usual deadline."""


class SqliteLog(Log):
    """A log in the file ``path``.

    Parameters
    ----------
    path
        The file; it and its folder are created when absent. Beside it lie ``-wal``, ``-shm`` and ``-lock``.
    read_only
        Open an existing log and never write to it.
    durability
        ``normal``: survives the death of the process; ``full``: also a power cut, at the cost of an fsync a unit.
    clock
        Stamps records, and tells which members of a group live.
    lock_timeout_s
        How long to wait for another process's unit, seconds.

    Raises
    ------
    LogError
        If the file cannot be opened or created, or is something else than a log of this version.
    """

    def __init__(
        self,
        path: Path,
        *,
        read_only: bool = False,
        durability: Durability = "normal",
        clock: Clock = wall_clock_ms,
        lock_timeout_s: float = LOCK_TIMEOUT_S,
    ) -> None:
        self._path = path
        self._clock = clock
        self._lock_timeout_s = lock_timeout_s
        self._closed = False
        self._wake = Wake()
        self._readers: weakref.WeakSet[SqliteReader] = weakref.WeakSet()
        self._writer: Writer | None = None
        self._upkeep: Upkeep | None = None
        if not read_only:
            _make_folder(path)
            self._writer = writer = Writer(path, durability, lock_timeout_s, clock)
            cleaner = Cleaner(connect_to_read(path, lock_timeout_s), writer, path, clock)
            self._upkeep = Upkeep(connect(path, "rw", lock_timeout_s), cleaner, writer, path)
        self._queries = Queries(connect_to_read(path, lock_timeout_s), path)

    def create_topics(self, configs: Iterable[TopicConfig]) -> None:
        """Create the topics that do not exist yet."""
        writer, asked, there = self._writable(), list(configs), self._queries.topics()
        if not [config for config in asked if _is_new(config, there)]:
            return
        with writer.unit() as cursor:
            new = {config.name: config for config in asked if _is_new(config, writer.known.topics)}
            for config in new.values():
                _insert_topic(cursor, config, writer.known.seen + 1)
            if new:
                writer.note_change(0)
        self._wake.notify()

    def delete_topics(self, names: Iterable[TopicName]) -> None:
        """Delete topics with their records and committed positions; unknown ones are ignored."""
        writer, asked = self._writable(), set(names)
        with writer.unit() as cursor:
            gone = asked & writer.known.topics.keys()
            for name in gone:
                _delete_topic(cursor, name)
            if gone:
                writer.note_change(0, len(gone))
        self._wake.notify()

    def topics(self) -> dict[TopicName, TopicConfig]:
        """Return every topic of the log."""
        return self._queries.topics()

    def append(self, appends: Sequence[Append], commits: Sequence[Commit] = ()) -> list[Position]:
        """Write the records and commit the positions as one unit; return the records' positions in order."""
        return [record.position for record in self.write(appends, commits)]

    def write(self, appends: Sequence[Append], commits: Sequence[Commit] = ()) -> list[Record]:
        """Do as :meth:`append`, and return the records as they will be read."""
        records = (self._writer or self._writable()).append(appends, commits)
        self._wake.notify()
        return records

    def send(self, appends: Sequence[Append], commits: Sequence[Commit], settled: Settled) -> None:
        """Write and settle at once; the records are given as they will be read, for readers in the same process."""
        try:
            records = self.write(appends, commits)
        except LogError as error:
            settled((), error)
            return
        settled(records, None)

    def pump(self) -> None:
        """Do nothing: what was sent is settled."""

    def flush(self, timeout_s: float) -> None:
        """Do nothing: what was sent is settled."""

    @property
    def is_remote(self) -> bool:
        """Return False: it is a file."""
        return False

    @property
    def n_unsettled(self) -> int:
        """Return 0: what was sent is settled."""
        return 0

    def reader(self, *, to_end: bool = False) -> Reader:
        """Return a new reader with nothing assigned; the end is seen at once, whatever ``to_end`` says."""
        del to_end
        if self._closed:
            msg = f"log {self._path} is closed"
            raise LogError(msg)
        connection = connect_to_read(self._path, self._lock_timeout_s)
        reader = SqliteReader(connection, self._queries.catalogue(connection), self._path, self._wake)
        self._readers.add(reader)
        return reader

    def beginning(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset of the oldest record kept (the end when there is none)."""
        return self._queries.beginning(partitions)

    def end(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset that the next record will have at least."""
        return self._queries.end(partitions)

    def offsets_at(self, partitions: Iterable[TopicPartition], timestamp_ms: int) -> dict[TopicPartition, int]:
        """Return the offset of the first record appended at that time or later (the end when there is none)."""
        return self._queries.offsets_at(partitions, timestamp_ms)

    def committed(self, group: str, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the committed positions; topic partitions without one are left out."""
        return self._queries.committed(group, partitions)

    def join(self, group: str, partitions: int, *, session_timeout_ms: int = 6000) -> Membership:
        """Become a member of a group that shares the partition numbers 0 to ``partitions - 1``."""
        return SqliteMembership(self._writable(), self._clock, group, partitions, session_timeout_ms)

    def clean(self) -> None:
        """Delete at once what retention and compaction allow; otherwise it happens within seconds by itself."""
        self._writable()
        if self._upkeep is not None:
            self._upkeep.clean()

    def close(self) -> None:
        """Release everything, readers too; further calls raise :class:`~dfml.errors.LogError`."""
        if self._closed:
            return
        self._closed = True
        if self._upkeep is not None:
            self._upkeep.close()
        for reader in list(self._readers):
            reader.close()
        self._queries.close()
        if self._writer is not None:
            self._writer.close()

    def _writable(self) -> Writer:
        if self._writer is None:
            msg = f"log {self._path} was opened read-only; open it without read_only to write"
            raise LogReadOnlyError(msg)
        return self._writer


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"log {path}: its folder cannot be created ({error}); choose another path or create the folder"
        raise LogError(msg) from error


def _is_new(config: TopicConfig, existing: dict[TopicName, TopicConfig]) -> bool:
    if config.partitions < 1:
        msg = f"topic {config.name!r}: got {config.partitions} partitions, expected at least 1"
        raise BadInputError(msg)
    old = existing.get(config.name)
    if old is not None and old.partitions != config.partitions:
        msg = (
            f"topic {config.name!r} exists with {old.partitions} partitions, expected {config.partitions};"
            " delete it first or ask for as many as it has"
        )
        raise ConflictError(msg)
    return old is None


def _insert_topic(cursor: sqlite3.Cursor, config: TopicConfig, changed: int) -> None:
    cursor.execute(
        "INSERT INTO topics VALUES (?, ?, ?, ?)",
        (config.name, config.partitions, config.retention_ms, config.cleanup.value),
    )
    cursor.executemany(
        "INSERT INTO partitions (topic, number) VALUES (?, ?)", [(config.name, n) for n in range(config.partitions)]
    )
    cursor.execute(
        "INSERT INTO marks SELECT ?, tp, 0, 0, 0 FROM partitions WHERE topic = ?",
        (changed, config.name),
    )


def _delete_topic(cursor: sqlite3.Cursor, name: TopicName) -> None:
    """Take the topic out of sight; its records are removed by the upkeep, a few at a time."""
    cursor.execute("DELETE FROM marks WHERE tp IN (SELECT tp FROM partitions WHERE topic = ?)", (name,))
    cursor.execute("UPDATE partitions SET topic = NULL WHERE topic = ?", (name,))
    cursor.execute("DELETE FROM topics WHERE name = ?", (name,))
