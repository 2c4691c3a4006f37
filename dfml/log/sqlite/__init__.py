"""The log in one SQLite file: the embedded default, for one machine and local file systems."""

from dfml.log.sqlite.log import LOCK_TIMEOUT_S, SqliteLog

__all__ = ["LOCK_TIMEOUT_S", "SqliteLog"]
