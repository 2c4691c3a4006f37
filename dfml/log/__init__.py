"""The log that topics live on: one contract, SQLite as the embedded default, Kafka as the scale-out path."""

from pathlib import Path

from dfml.errors import SettingsError
from dfml.log.base import Cleanup, Commit, Log, Membership, Reader, TopicConfig
from dfml.log.sqlite import SqliteLog

__all__ = ["Cleanup", "Commit", "Log", "Membership", "Reader", "TopicConfig", "open_log"]

_SQLITE = "sqlite:///"


def open_log(url: str, *, read_only: bool = False, durability: str = "normal") -> Log:
    """Open the log that a URL names: ``sqlite:///relative/path`` or ``sqlite:////absolute/path``.

    Parameters
    ----------
    url
        What stands behind ``sqlite:///`` is the path, as it is: nothing in it is decoded.
    read_only
        Open an existing log without writing to it or creating one.
    durability
        ``normal`` survives the death of the process, ``full`` also a power cut (an fsync a unit).

    Raises
    ------
    SettingsError
        If the URL or the durability is none that is known.
    LogError
        If the log cannot be opened.
    """
    path = url.removeprefix(_SQLITE)
    if path in {url, ""}:
        msg = f"log: got {url!r}, expected sqlite:///relative/path or sqlite:////absolute/path"
        raise SettingsError(msg)
    if durability not in {"normal", "full"}:
        msg = f"durability: got {durability!r}, expected 'normal' or 'full'"
        raise SettingsError(msg)
    return SqliteLog(Path(path), read_only=read_only, durability="full" if durability == "full" else "normal")
