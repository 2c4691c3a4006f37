"""The log in one SQLite file: the embedded default, for one machine and local file systems."""

from dfml.log.sqlite.log import SqliteLog

__all__ = ["SqliteLog"]
