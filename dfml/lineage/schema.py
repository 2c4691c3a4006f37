"""The store's tables, how its file is opened, and how SQLite's errors are told.

A record's id is its position, packed: ``place << 40 | offset``, where a *place* is one partition number of one topic
(of one *incarnation*: a topic that was deleted and made again counts its offsets from 0 again). So the primary key
recognises a record met twice, and a position is found without a further index. ``places.next_offset`` is the tap's
position, NULL where a place is only known as a parent's. Names are written once: request ids in ``requests``, who
wrote a record (pipeline, version, step) in ``origins``, words in ``words``.

``records.parents`` is NULL for none, an integer for one parent, and 8 little-endian bytes each for several;
``children`` is the same relation the other way. ``records.headers`` is NULL where they are the request's. Payloads
stand in a table of their own, so that scans of what happened do not read what was said, and so that payloads can be
dropped without their records.
"""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from dfml.errors import LogError, LogReadOnlyError, LogUnavailableError, NotFoundError

SCHEMA_VERSION = 1
OFFSET_BITS = 40
"""As in the log's own packed ids: 10^12 records per place, 8 million places."""

_PAGE_BYTES = 8192
_CACHE_KIB = 32 * 1024
_CHECKPOINT_PAGES = 4000
"""32 MB between checkpoints: the pages at the ends of the places are written again and again, and once is enough."""
_BUSY_MS = 5000
"""Readers never block the writer in WAL; only a checkpoint by another connection can, for tens of milliseconds."""

_TABLES = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE places(
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL, incarnation INTEGER NOT NULL,
    next_offset INTEGER, UNIQUE(topic, partition, incarnation));
CREATE TABLE words(id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE);
CREATE TABLE origins(
    id INTEGER PRIMARY KEY, pipeline TEXT NOT NULL, version INTEGER NOT NULL, step TEXT NOT NULL,
    UNIQUE(pipeline, version, step));
CREATE TABLE requests(id INTEGER PRIMARY KEY, request TEXT NOT NULL UNIQUE, headers BLOB);
CREATE TABLE records(
    id INTEGER PRIMARY KEY, timestamp_ms INTEGER NOT NULL, request INTEGER NOT NULL, origin INTEGER NOT NULL,
    kind INTEGER NOT NULL, visit INTEGER NOT NULL, parents, queue_us INTEGER, service_us INTEGER,
    error_kind INTEGER, payload_bytes INTEGER NOT NULL, key BLOB, headers BLOB);
CREATE INDEX records_by_request ON records(request);
CREATE INDEX entries_by_time ON records(origin, timestamp_ms) WHERE kind = 0;
CREATE TABLE payloads(id INTEGER PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE children(parent INTEGER NOT NULL, child INTEGER NOT NULL, PRIMARY KEY(parent, child)) WITHOUT ROWID;
CREATE TABLE fates(
    id INTEGER PRIMARY KEY, record INTEGER NOT NULL, timestamp_ms INTEGER NOT NULL, request INTEGER NOT NULL,
    origin INTEGER NOT NULL, fate INTEGER NOT NULL, reason INTEGER NOT NULL, missing TEXT NOT NULL);
CREATE INDEX fates_by_record ON fates(record);
CREATE INDEX fates_by_request ON fates(request);
CREATE TABLE specs(
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
    loaded_ms INTEGER NOT NULL, document BLOB NOT NULL);
CREATE INDEX specs_by_name ON specs(kind, name);
CREATE TABLE losses(
    id INTEGER PRIMARY KEY, place INTEGER NOT NULL, first_offset INTEGER NOT NULL, end_offset INTEGER NOT NULL,
    noticed_ms INTEGER NOT NULL, reason TEXT NOT NULL);
"""


@contextmanager
def mapped_errors(path: Path, doing: str) -> Iterator[None]:
    """Turn SQLite's errors into ours.

    Raises
    ------
    LogReadOnlyError
        If the file or its folder cannot be written.
    LogUnavailableError
        If it may work later: disk full, locked, input or output error.
    LogError
        If the file is no lineage store or is damaged.
    """
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", None) or ""
        text = f"lineage store {path}: {doing}: {error}"
        if name.startswith(("SQLITE_READONLY", "SQLITE_PERM")):
            msg = f"{text}; open it where it may be written, or with read_only=True"
            raise LogReadOnlyError(msg) from error
        if name.startswith(("SQLITE_FULL", "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_NOMEM")):
            msg = f"{text}; nothing was written, and trying again may work when there is room"
            raise LogUnavailableError(msg) from error
        if name.startswith("SQLITE_CANTOPEN"):
            msg = f"{text}; check that the folder exists and may be written"
            raise LogUnavailableError(msg) from error
        raise LogError(text) from error


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Open the file, made with its tables when it does not exist and ``read_only`` is false.

    Raises
    ------
    NotFoundError
        If it is to be read and does not exist, or is still empty.
    LogError
        If it is no lineage store, or one of another schema version.
    """
    if read_only and not path.exists():
        msg = f"lineage store {path}: no such file; the tap makes it (dfml up, or python -m dfml.lineage.tap_process)"
        raise NotFoundError(msg)
    with mapped_errors(path, "open"):
        uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        try:
            _prepare(db, path, read_only=read_only)
        except BaseException:
            db.close()
            raise
    return db


def _prepare(db: sqlite3.Connection, path: Path, *, read_only: bool) -> None:
    db.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    if not read_only:
        db.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        _create(db)
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    if not tables:
        msg = f"lineage store {path}: it is empty; the tap that makes it has not begun to write"
        raise NotFoundError(msg)
    row = db.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone() if "meta" in tables else None
    if row is None or row[0] != str(SCHEMA_VERSION):
        got = "another file" if row is None else f"schema {row[0]}"
        msg = f"lineage store {path}: got {got}, expected a lineage store of schema {SCHEMA_VERSION}; name another file"
        raise LogError(msg)


def _create(db: sqlite3.Connection) -> None:
    if db.execute("SELECT 1 FROM sqlite_master").fetchone() is not None:
        return
    made = f"INSERT INTO meta VALUES ('schema', '{SCHEMA_VERSION}');"
    db.executescript(f"BEGIN IMMEDIATE; {_TABLES} {made} COMMIT;")


def lock_writer(path: Path) -> IO[bytes]:
    """Hold the right to write the store until the returned file is closed or the process dies.

    Raises
    ------
    LogUnavailableError
        If another process holds it: it may end, as the tap of a stack that was killed does within a second.
    LogReadOnlyError
        If the folder cannot be written.
    """
    lock = path.with_name(path.name + ".lock")
    try:
        held = lock.open("ab")
    except OSError as error:
        msg = f"lineage store {path}: cannot make {lock.name}: {error.strerror}; put the store where it may be written"
        raise LogReadOnlyError(msg) from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        held.close()
        msg = f"lineage store {path}: another tap is writing it; a store has one writer"
        raise LogUnavailableError(msg) from error
    return held
