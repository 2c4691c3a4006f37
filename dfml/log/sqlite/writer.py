"""The one connection of a log that writes: units of records and positions, from any thread, fair among processes."""

import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dfml.clock import Clock
from dfml.errors import DfmlError, LogError, LogReadOnlyError, LogUnavailableError
from dfml.log.base import Commit
from dfml.log.sqlite.catalogue import TOPICS_CHANGED, Catalogue
from dfml.log.sqlite.fence import Fence
from dfml.log.sqlite.file import OFFSET_BITS, Durability, connect, prepare, translate
from dfml.log.sqlite.file_lock import FileLock
from dfml.log.sqlite.header_blob import encode_headers
from dfml.record import Append, Record, TopicName, TopicPartition

STALLED_S = 0.2
"""How long a lock is waited for that was not to be had at the last try: the worst wait seen between busy writers."""
INSERT_RECORDS = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)"
MOVE_ENDS = "UPDATE marks SET changed = ?, at = ?, newest_ms = ? WHERE changed = ? AND tp = ? AND grp = 0"
MOVE_COMMITS = "UPDATE marks SET changed = ?, at = ? WHERE changed = ? AND tp = ? AND grp = ?"
MOVE_NOTE = f"UPDATE marks SET changed = ?, at = at + ? WHERE changed = ? AND tp = {TOPICS_CHANGED} AND grp = ?"
INSERT_NOTE = f"INSERT INTO marks VALUES (?, {TOPICS_CHANGED}, ?, ?, 0) ON CONFLICT DO UPDATE SET at = at + excluded.at"
INSERT_COMMITS = "INSERT INTO marks VALUES (?, ?, ?, ?, 0)"


@dataclass(slots=True)
class _End:
    """The end of a topic partition while a unit moves it; ``changed`` is the transaction that moved it before."""

    tp: int
    changed: int
    at: int
    newest_ms: int


class Writer:
    """Writes units: everything in one becomes visible as a whole, or not at all.

    Attributes
    ----------
    known
        The catalogue, up to date inside a unit.
    n_units
        How many units were written.

    Raises
    ------
    LogError
        If the file cannot be opened or created, or is something else than a log.
    """

    def __init__(self, path: Path, durability: Durability, lock_timeout_s: float, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._lock_timeout_s = lock_timeout_s
        self._guard = threading.Lock()
        self._lock = _open_lock(path)
        self._closed = self._is_stalled = False
        self.n_units = 0
        try:
            self._connection = self._open(durability)
        except BaseException:
            self._lock.close()
            raise
        self._cursor = self._connection.cursor()
        self.known = Catalogue(self._connection, with_commits=True)
        self._group_ids: dict[str, int] = {}
        self._fences: dict[int, Fence] = {}

    def append(self, appends: Sequence[Append], commits: Sequence[Commit]) -> list[Record]:
        """Write one unit of records and committed positions; return the records as they will be read."""
        with self._guard:
            cursor = self._begin()
            try:
                changed = self.known.seen + 1
                records, ends = self._insert(appends, changed) if appends else ([], [])
                positions = self._commit(commits, changed) if commits else {}
                cursor.execute("COMMIT")
                self.n_units += 1
                self._take_up(changed, ends, positions)
            except BaseException as error:
                self._roll_back(error)
                raise
            finally:
                self._lock.release()
        return records

    @contextmanager
    def unit(self) -> Iterator[sqlite3.Cursor]:
        """Give a cursor within a unit that is written when the block ends, and undone when it raises.

        The catalogue does not follow what the block writes until the next unit.
        """
        with self._guard:
            cursor = self._begin()
            try:
                yield cursor
                cursor.execute("COMMIT")
                self.n_units += 1
                self.known.distrust()
            except BaseException as error:
                self._roll_back(error)
                raise
            finally:
                self._lock.release()

    def group_id(self, name: str) -> int:
        """Return a group's id, within a unit; a new group is entered."""
        group = self._group_ids.get(name)
        if group is not None:
            return group
        row = self._cursor.execute("SELECT id FROM groups WHERE name = ?", (name,)).fetchone()
        if row is None:  # not remembered: the unit may yet be undone
            self._cursor.execute("INSERT INTO groups (name) VALUES (?)", (name,))
            return self._cursor.lastrowid or 0
        return self._group_ids.setdefault(name, int(row[0]))

    def note_change(self, group: int, n_deletions: int = 0) -> None:
        """Tell other connections, within a unit, that topics (group 0) or a group's membership changed."""
        changed = self.known.seen + 1
        moved = self._cursor.execute(MOVE_NOTE, (changed, n_deletions, self.known.noted.get(group), group))
        if not moved.rowcount:
            self._cursor.execute(INSERT_NOTE, (changed, group, n_deletions))

    def close(self) -> None:
        """Close the connection; further units raise LogError."""
        with self._guard:
            if not self._closed:
                self._closed = True
                self._connection.close()
                self._lock.close()

    def _open(self, durability: Durability) -> sqlite3.Connection:
        self._acquire()
        connection = connect(self._path, "rwc", self._lock_timeout_s)
        try:
            prepare(connection, self._path)
        except LogError:
            connection.close()
            raise
        connection.execute(f"PRAGMA synchronous = {durability}")
        self._lock.release()
        return connection

    def _acquire(self) -> None:
        """Hold the lock; one that was not to be had is tried more briefly, so that who waits can do other things."""
        patience_s = min(self._lock_timeout_s, STALLED_S) if self._is_stalled else self._lock_timeout_s
        self._is_stalled = not self._lock.acquire(patience_s)
        if self._is_stalled:
            msg = f"log {self._path}: another process held its lock for {patience_s:g} s; is it stopped?"
            raise LogUnavailableError(msg)

    def _begin(self) -> sqlite3.Cursor:
        if self._closed:
            msg = f"log {self._path} is closed"
            raise LogError(msg)
        self._acquire()
        try:
            self._cursor.execute("BEGIN IMMEDIATE")
            self.known.refresh()
        except BaseException as error:
            try:
                self._roll_back(error)
            finally:
                self._lock.release()
            raise
        return self._cursor

    def _roll_back(self, error: BaseException) -> None:
        """Undo a unit; raise SQLite's errors as ours."""
        if self._connection.in_transaction:
            self._connection.rollback()
        if not isinstance(error, DfmlError):  # a failed COMMIT may have ended the transaction either way
            self.known.forget()
            self._fences.clear()
        if isinstance(error, sqlite3.Error):
            raise translate(error, self._path) from error

    def _insert(self, appends: Sequence[Append], changed: int) -> tuple[list[Record], Collection[_End]]:
        known, now_ms = self.known, self._clock()
        ends: dict[tuple[TopicName, int], _End] = {}
        rows, records = [], []
        for append in appends:
            place = topic, partition = append.topic, append.partition
            end = ends.get(place)
            if end is None:
                tp = known.ids.get(place) or known.tp(TopicPartition(topic, partition))
                ends[place] = end = _End(tp, *known.ends[tp])
            offset = end.at
            end.at = offset + 1
            timestamp_ms = now_ms if append.timestamp_ms is None else append.timestamp_ms
            lead_ms = end.newest_ms - timestamp_ms
            if lead_ms < 0:
                end.newest_ms, lead_ms = timestamp_ms, 0
            key, value, headers = append.key, append.value, append.headers
            record_id = end.tp << OFFSET_BITS | offset
            rows.append((record_id, timestamp_ms, lead_ms, key, value, encode_headers(headers)))
            records.append(Record(topic, partition, offset, key, value, headers, timestamp_ms))
        self._cursor.executemany(INSERT_RECORDS, rows)
        moves = [(changed, end.at, end.newest_ms, end.changed, end.tp) for end in ends.values()]
        self._cursor.executemany(MOVE_ENDS, moves)
        return records, ends.values()

    def _commit(self, commits: Sequence[Commit], changed: int) -> dict[tuple[int, int], int]:
        """Move the committed positions and return them by ``tp`` and group; of several for one, the last counts."""
        known = self.known
        positions: dict[tuple[int, int], int] = {}
        for commit in commits:
            group = self.group_id(commit.group)
            if commit.generation is not None:
                self._fence(group).check(commit)
            for place, at in commit.offsets.items():
                positions[known.ids.get(place) or known.tp(place), group] = at
        moves, inserts = [], []
        for (tp, group), at in positions.items():
            old = known.commits.get((tp, group))
            if old is None:
                inserts.append((changed, tp, group, at))
            else:
                moves.append((changed, at, old[0], tp, group))
        self._cursor.executemany(MOVE_COMMITS, moves)
        if inserts:  # once for every topic partition and group
            self._cursor.executemany(INSERT_COMMITS, inserts)
        return positions

    def _take_up(self, changed: int, ends: Collection[_End], positions: Mapping[tuple[int, int], int]) -> None:
        known = self.known
        for end in ends:
            known.ends[end.tp] = changed, end.at, end.newest_ms
        for key, at in positions.items():
            known.commits[key] = changed, at
        if ends or positions:  # a number that nothing bears is given again, perhaps by another process
            known.seen = changed

    def _fence(self, group: int) -> Fence:
        """Return the group's membership, read again when it changed."""
        fence = self._fences.get(group)
        if fence is None or group in self.known.memberships:
            self.known.memberships.discard(group)
            self._fences[group] = fence = Fence.load(self._cursor, group)
        return fence


def _open_lock(path: Path) -> FileLock:
    try:
        return FileLock(Path(f"{path}-lock"))
    except PermissionError as error:
        msg = f"log {path}: its folder is not writable for this user; open it read-only or choose another path"
        raise LogReadOnlyError(msg) from error
    except OSError as error:
        msg = f"log {path}: cannot be opened ({error}); check that path and permissions are right"
        raise LogError(msg) from error
