"""The log that topics live on: one contract, SQLite as the embedded default, Kafka as the scale-out path."""

from pathlib import Path

from dfml.log.base import Cleanup, Commit, Log, Membership, Reader, TopicConfig
from dfml.settings import KAFKA_SCHEME, SQLITE_SCHEME, Settings

__all__ = ["Cleanup", "Commit", "Log", "Membership", "Reader", "TopicConfig", "open_log"]


def open_log(settings: Settings, *, read_only: bool = False, patience_s: float | None = None) -> Log:
    """Open the log that the settings name.

    Parameters
    ----------
    settings
        ``log`` is its URL: ``sqlite:///PATH``, where nothing in the path is decoded, or ``kafka://HOST:PORT``.
    read_only
        Open an existing log without writing to it or creating one.
    patience_s
        How long a write to the embedded log waits for that of another process, seconds; None for the log's own default.

    Raises
    ------
    SettingsError
        If what the settings say of the log cannot be used.
    LogError
        If the log cannot be opened.
    """
    # Each is imported where it is used: a process has one log, and the client of the other is not free.
    if settings.log.startswith(KAFKA_SCHEME):
        from dfml.log.kafka import KafkaLog  # noqa: PLC0415
        from dfml.topics import Topics  # noqa: PLC0415

        workers = Topics(settings.prefix, settings.namespace).workers
        options = settings.kafka_options()
        return KafkaLog(options, read_only=read_only, coordination=workers, delivery=settings.delivery)
    from dfml.log.sqlite import LOCK_TIMEOUT_S, SqliteLog  # noqa: PLC0415

    path = Path(settings.log.removeprefix(SQLITE_SCHEME))
    lock_timeout_s = LOCK_TIMEOUT_S if patience_s is None else patience_s
    return SqliteLog(path, read_only=read_only, durability=settings.log_durability, lock_timeout_s=lock_timeout_s)
