"""The thread that looks after an SQLite log while it is open: checkpoints beside the writer, and cleaning."""

import logging
import sqlite3
import threading
from pathlib import Path

from dfml.errors import LogError
from dfml.log.sqlite.cleaner import Cleaner
from dfml.log.sqlite.file import BACKSTOP_PAGES, translate
from dfml.log.sqlite.writer import Writer

CHECKPOINT_S = 0.25
"""A checkpoint inside a commit stalls it for 10 to 60 ms; beside it and this often, p99 fell from 6.9 to 0.8 ms."""
LONG_WAL_PAGES = BACKSTOP_PAGES // 4
"""A WAL begins again only when a unit finds all of it moved; under steady load that must be arranged."""
ROUNDS_PER_CLEANING = 4
_logger = logging.getLogger(__name__)


class Upkeep:
    """Moves what was written from the WAL to the file and deletes what may go; does nothing while nothing happens."""

    def __init__(self, connection: sqlite3.Connection, cleaner: Cleaner, writer: Writer, path: Path) -> None:
        self._connection = connection
        self._cleaner = cleaner
        self._writer = writer
        self._path = path
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dfml-log-upkeep", daemon=True)
        self._thread.start()

    def clean(self) -> None:
        """Delete at once what retention and compaction allow, wherever it is."""
        self._cleaner.clean(self._stop, thorough=True)

    def close(self) -> None:
        """Stop the thread and close its connections."""
        self._stop.set()
        self._thread.join()
        self._cleaner.close()
        self._connection.close()

    def _run(self) -> None:
        n_rounds, n_checkpointed, trouble = 0, 0, ""
        while not self._stop.wait(CHECKPOINT_S):
            n_rounds += 1
            try:
                if self._writer.n_units != n_checkpointed:
                    n_checkpointed = self._writer.n_units
                    self._checkpoint()
                if n_rounds % ROUNDS_PER_CLEANING == 0:
                    self._cleaner.clean(self._stop, thorough=False)
                    trouble = ""
            except LogError as error:  # a full disk, say: the writers are told by their own units
                if str(error) != trouble:
                    _logger.warning("upkeep of the log failed and is tried again: %s", error)
                trouble = str(error)

    def _checkpoint(self) -> None:
        """Move what is in the WAL to the file; once the WAL is long, up to the last page, so that it begins again."""
        try:
            n_pages = self._move_pages()
            if n_pages > LONG_WAL_PAGES:
                self._move_pages()
                with self._writer.unit():  # writers wait, but only for what came during the round before
                    self._move_pages()
        except sqlite3.Error as error:
            raise translate(error, self._path) from error

    def _move_pages(self) -> int:
        """Return how many pages the WAL has."""
        _, n_pages, _ = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return int(n_pages)
