"""The log's file: its tables, how a connection is opened, and what SQLite's errors mean here.

A record's id is ``topic_partition << 40 | offset``, so the records of a topic partition lie side by side in the order
of their offsets in one plain table (a table keyed by two columns took 4.5 times the space).

A *mark* says how far something has come in a topic partition: where it ends (``grp`` 0), or how far a group has
committed. Marks are clustered by the number of the transaction that moved them last, so that a transaction's marks
lie on one page, and what changed since a known transaction is one short scan however many topics there are. Two
kinds of marks of topic partition 0, which no topic has, stand for changes elsewhere: ``grp`` 0 for the topics (``at``
counts deletions), else for that group's membership.
"""

import sqlite3
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from dfml.errors import LogError, LogReadOnlyError, LogUnavailableError

OFFSET_BITS = 40
"""A trillion records a topic partition, eight million topic partitions."""
APPLICATION_ID = 0x64666D6C
"""``dfml``: tells our files from other SQLite files."""
SCHEMA_VERSION = 1
PAGE_BYTES = 8192
BACKSTOP_PAGES = 16_000
"""Pages in the WAL at which the writer itself checkpoints; before that, the upkeep thread does."""
CACHE_KIB = 64 * 1024
"""Page cache of a connection at most: the last page of each of some thousand topic partitions."""

Durability = Literal["normal", "full"]
Mode = Literal["rwc", "rw", "ro", "ro&immutable=1"]

TABLES = """
CREATE TABLE topics (
    name TEXT PRIMARY KEY, partitions INTEGER NOT NULL, retention_ms INTEGER, cleanup TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- Ids are never used again (AUTOINCREMENT): a topic that is deleted and created again shares nothing with the old one.
-- topic NULL: deleted, its records are being removed.
CREATE TABLE partitions (tp INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT, number INTEGER NOT NULL) STRICT;
-- lead_ms: by how much an earlier record of the topic partition is younger; makes timestamp_ms + lead_ms sorted.
CREATE TABLE records (
    id INTEGER PRIMARY KEY, timestamp_ms INTEGER NOT NULL, lead_ms INTEGER NOT NULL,
    key BLOB NOT NULL, value BLOB NOT NULL, headers BLOB NOT NULL
) STRICT;
-- newest_ms: the youngest timestamp so far, only where grp is 0.
CREATE TABLE marks (
    changed INTEGER NOT NULL, tp INTEGER NOT NULL, grp INTEGER NOT NULL,
    at INTEGER NOT NULL, newest_ms INTEGER NOT NULL,
    PRIMARY KEY (changed, tp, grp)
) STRICT, WITHOUT ROWID;
CREATE TABLE groups (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
    generation INTEGER NOT NULL DEFAULT 0, partitions INTEGER NOT NULL DEFAULT 0
) STRICT;
-- joined: the generation that the member came in with; seen_ms: when it last showed that it lives.
CREATE TABLE members (
    grp INTEGER NOT NULL, name TEXT NOT NULL, joined INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL, timeout_ms INTEGER NOT NULL,
    PRIMARY KEY (grp, name)
) STRICT, WITHOUT ROWID;
-- releasing: the owner has been told that it loses the partition number, and has not yet let go.
CREATE TABLE owners (
    grp INTEGER NOT NULL, number INTEGER NOT NULL, member TEXT NOT NULL, releasing INTEGER NOT NULL,
    PRIMARY KEY (grp, number)
) STRICT, WITHOUT ROWID;
INSERT INTO marks VALUES (0, 0, 0, 0, 0);
"""


def connect_to_read(path: Path, lock_timeout_s: float) -> sqlite3.Connection:
    """Open a connection that cannot write.

    A log that is closed, in a folder that this user may not write, is read as it lies: what another user writes to it
    from then on is not seen.

    Raises
    ------
    LogError
        If there is no log of this version.
    """
    try:
        return _checked(connect(path, "ro", lock_timeout_s), path)
    except LogReadOnlyError:  # SQLite locks by files beside the log, which it cannot make here
        if Path(f"{path}-wal").exists():
            raise
        return _checked(connect(path, "ro&immutable=1", lock_timeout_s), path)


def _checked(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    try:
        check(connection, path)
    except LogError:
        connection.close()
        raise
    return connection


def connect(path: Path, mode: Mode, lock_timeout_s: float) -> sqlite3.Connection:
    """Open a connection in autocommit, usable from any thread.

    Raises
    ------
    LogError
        If the file cannot be opened or is not a database.
    """
    try:
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode={mode}",
            uri=True,
            timeout=lock_timeout_s,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {BACKSTOP_PAGES}")
    except sqlite3.Error as error:
        raise translate(error, path) from error
    return connection


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Create the tables in a new file, or check that an existing one is a log of this version.

    Raises
    ------
    LogError
        If the file is something else.
    """
    try:
        if not _is_empty(connection):
            check(connection, path)
            return
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        # The identity goes in with the tables: a file is a whole log or still empty, wherever the process dies.
        connection.executescript(
            f"BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION_ID};"
            f" PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )
    except sqlite3.Error as error:
        raise translate(error, path) from error


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Check that the file is a log of this version.

    Raises
    ------
    LogError
        If it is not.
    """
    try:
        identity = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as error:
        raise translate(error, path) from error
    if identity != APPLICATION_ID:
        msg = f"{path} is an SQLite file but not a dfml log; choose another path for the log"
        raise LogError(msg)
    if version != SCHEMA_VERSION:
        msg = (
            f"log {path} has schema version {version}, this dfml reads {SCHEMA_VERSION};"
            " open it with the dfml that wrote it, or choose a new path"
        )
        raise LogError(msg)


def _is_empty(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_schema").fetchone() is None


_MEANINGS: dict[int, tuple[type[LogError], str]] = {
    sqlite3.SQLITE_FULL: (LogUnavailableError, "the disk is full; nothing was written, free space and try again"),
    sqlite3.SQLITE_BUSY: (LogUnavailableError, "another program locked it for too long; find out who holds it open"),
    sqlite3.SQLITE_LOCKED: (LogUnavailableError, "another program locked it for too long; find out who holds it open"),
    sqlite3.SQLITE_IOERR: (LogUnavailableError, "it cannot be read or written; check the disk and file-size limits"),
    sqlite3.SQLITE_READONLY: (LogReadOnlyError, "this user may not write the file or its folder"),
    sqlite3.SQLITE_PERM: (LogReadOnlyError, "this user may not write the file or its folder"),
    sqlite3.SQLITE_CANTOPEN: (LogError, "it cannot be opened; check the path and its permissions"),
    sqlite3.SQLITE_NOTADB: (LogError, "the file is not a dfml log; choose another path for the log"),
    sqlite3.SQLITE_CORRUPT: (LogError, "the file is damaged; restore it from a copy or begin a new one"),
    sqlite3.SQLITE_TOOBIG: (LogError, "a record is larger than SQLite holds (1 GB)"),
}


def translate(error: sqlite3.Error, path: Path) -> LogError:
    """Return the error of our tree that an SQLite error stands for."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    kind, meaning = _MEANINGS.get(code, (LogError, "SQLite refused"))
    return kind(f"log {path}: {meaning} ({error})")
