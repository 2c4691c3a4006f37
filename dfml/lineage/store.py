"""The lineage store: one SQLite file, written by one tap, read by anybody.

Rows and the tap's positions are written in one transaction, and a record met twice is recognised by its position, so
every record is there exactly once, whatever died when.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dfml.errors import ConflictError, LogReadOnlyError
from dfml.lineage.entry import LoadedSpec, Loss
from dfml.lineage.names import Names
from dfml.lineage.rows import Kept, RowBuilder, Rows
from dfml.lineage.schema import OFFSET_BITS, connect, lock_writer, mapped_errors
from dfml.record import Position, Record, TopicName, TopicPartition
from dfml.topics import Topics

_OFFSETS = (1 << OFFSET_BITS) - 1
_INSERTS = (
    ("records", 13),
    ("payloads", 2),
    ("children", 2),
    ("fates", 8),
    ("specs", 6),
)


@dataclass(frozen=True, slots=True)
class StoreCounts:
    """How much the store holds."""

    n_records: int
    n_requests: int
    n_fates: int
    n_losses: int
    file_bytes: int


class LineageStore:
    """Opens the store; without ``read_only`` it is made where it does not exist, and held against a second writer.

    Parameters
    ----------
    path
        The file.
    read_only
        Open an existing store for reading; any number may.
    topics
        The namespace whose records a new store holds; an existing store knows its own.
    kept
        Which payloads a writer keeps.

    Raises
    ------
    NotFoundError
        If it is to be read and does not exist.
    ConflictError
        If it holds another namespace than ``topics``.
    LogUnavailableError
        If another process writes it.
    LogError
        If the file is no lineage store or cannot be opened.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        read_only: bool = False,
        topics: Topics | None = None,
        kept: Kept | None = None,
    ) -> None:
        self.path = Path(path)
        self.read_only = read_only
        self._lock = None if read_only else lock_writer(self.path)
        try:
            self._db = connect(self.path, read_only=read_only)
            self.topics = self._own_topics(topics)
        except BaseException:
            if self._lock is not None:
                self._lock.close()
            raise
        self._names = Names(self._db, self.topics)
        self._builder = RowBuilder(self._names, self.topics, kept or Kept())
        self._place_names: dict[int, tuple[TopicName, int]] = {}

    def _own_topics(self, given: Topics | None) -> Topics:
        rows = self.query("SELECT name, value FROM meta WHERE name IN ('prefix', 'namespace')")
        known = dict(rows)
        if known:
            held = Topics(known["prefix"], known["namespace"])
            if given is not None and given != held:
                msg = (
                    f"lineage store {self.path}: it holds {held.prefix}.{held.namespace}, "
                    f"got {given.prefix}.{given.namespace}; name another file"
                )
                raise ConflictError(msg)
            return held
        topics = given or Topics()
        if not self.read_only:
            with mapped_errors(self.path, "open"):
                pairs = [("prefix", topics.prefix), ("namespace", topics.namespace)]
                self._db.executemany("INSERT INTO meta VALUES (?, ?)", pairs)
        return topics

    def write(
        self, records: Sequence[Record], losses: Iterable[Loss] = (), again: Iterable[TopicPartition] = ()
    ) -> None:
        """Add records and losses, and move the tap's positions behind them, as one transaction.

        Parameters
        ----------
        records
            In the order they were read.
        losses
            What was gone before it could be read.
        again
            Topic partitions whose topic was deleted and made again: their offsets begin anew, before these records.

        Raises
        ------
        LogReadOnlyError
            If the store was opened for reading, or its file cannot be written.
        LogUnavailableError
            If it may work later (disk full, locked); nothing was written, and the same call can be made again.
        """
        if self.read_only:
            msg = f"lineage store {self.path}: it is open for reading only"
            raise LogReadOnlyError(msg)
        with mapped_errors(self.path, f"write {len(records)} records"):
            try:
                self._db.execute("BEGIN IMMEDIATE")
                self._begin_again(again)
                self._insert(self._builder.build(list(records)))
                self._insert_losses(losses)
                self._db.execute("COMMIT")
            except BaseException:
                self._builder.forget()
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _begin_again(self, again: Iterable[TopicPartition]) -> None:
        for each in again:
            place = self._names.renew(*each)
            self._db.execute("UPDATE places SET next_offset = 0 WHERE id = ?", (place.id,))

    def _insert(self, rows: Rows) -> None:
        for table, width in _INSERTS:
            made = getattr(rows, table)
            if made:
                marks = ",".join("?" * width)
                self._db.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", made)
        update = "UPDATE places SET next_offset = max(coalesce(next_offset, 0), ?2) WHERE id = ?1"
        self._db.executemany(update, rows.next_offsets.items())

    def _insert_losses(self, losses: Iterable[Loss]) -> None:
        for loss in losses:
            place = self._names.place(loss.first.topic, loss.first.partition)
            row = (place.id, loss.first.offset, loss.end_offset, loss.noticed_ms, loss.reason)
            insert = "INSERT INTO losses(place, first_offset, end_offset, noticed_ms, reason) VALUES (?, ?, ?, ?, ?)"
            self._db.execute(insert, row)
            self._db.execute("UPDATE places SET next_offset = ? WHERE id = ?", (loss.end_offset, place.id))

    def positions(self) -> dict[TopicPartition, int]:
        """Return the tap's next offset per topic partition that it has read from."""
        newest = "SELECT topic, partition, next_offset FROM places WHERE next_offset IS NOT NULL ORDER BY incarnation"
        return {TopicPartition(topic, partition): offset for topic, partition, offset in self.query(newest)}

    def pack(self, position: Position) -> int | None:
        """Return a position's id; None when the store knows nothing of its topic partition."""
        newest = "SELECT id FROM places WHERE topic = ? AND partition = ? ORDER BY incarnation DESC LIMIT 1"
        rows = self.query(newest, (position.topic, position.partition))
        return (rows[0][0] << OFFSET_BITS) + position.offset if rows else None

    def unpack(self, number: int) -> Position:
        """Return the position that an id packs."""
        place = self._place_names.get(number >> OFFSET_BITS)
        if place is None:
            rows = self.query("SELECT id, topic, partition FROM places")
            self._place_names = {number: (TopicName(topic), partition) for number, topic, partition in rows}
            place = self._place_names[number >> OFFSET_BITS]
        return Position(*place, number & _OFFSETS)

    def losses(self) -> list[Loss]:
        """Return what was gone from the log before the tap could read it, oldest first."""
        rows = self.query("SELECT place, first_offset, end_offset, noticed_ms, reason FROM losses ORDER BY id")
        return [
            Loss(self.unpack((place << OFFSET_BITS) + first), end, noticed_ms, reason)
            for place, first, end, noticed_ms, reason in rows
        ]

    def specs(self, kind: str = "Pipeline", name: str | None = None) -> list[LoadedSpec]:
        """Return the documents that were loaded, in the order of loading; of every name where none is given."""
        query = (
            "SELECT kind, name, version, loaded_ms, document FROM specs WHERE kind = ?1 AND (?2 IS NULL OR name = ?2)"
        )
        return [LoadedSpec(*row) for row in self.query(f"{query} ORDER BY loaded_ms, id", (kind, name))]

    def counts(self) -> StoreCounts:
        """Return how much the store holds; counts records one by one, so takes a while on a large store."""
        tables = ("records", "requests", "fates", "losses")
        n_records, n_requests, n_fates, n_losses = [
            self.query(f"SELECT count(*) FROM {table}")[0][0] for table in tables
        ]
        pages = self.query("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
        return StoreCounts(n_records, n_requests, n_fates, n_losses, pages[0][0])

    def query(self, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> list[tuple[Any, ...]]:
        """Run one reading statement and return its rows; the views are made of these.

        Raises
        ------
        LogError
            If SQLite fails.
        """
        with mapped_errors(self.path, "read"):
            return self._db.execute(sql, parameters).fetchall()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all reading in the block see the store as it is now, whatever the tap writes meanwhile.

        Blocks may be nested; nothing can be written in one by the same object, and only one thread may be in it.

        Raises
        ------
        LogError
            If SQLite fails.
        """
        if self._db.in_transaction:
            yield
            return
        self.query("BEGIN")
        try:
            yield
        finally:
            self.query("ROLLBACK")

    def close(self) -> None:
        """Release the file and, for a writer, the right to write it."""
        self._db.close()
        if self._lock is not None:
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
