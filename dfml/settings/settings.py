"""Everything that can be set, with its default."""

import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

from dfml.errors import SettingsError
from dfml.settings.checks import (
    KAFKA_SCHEME,
    SQLITE_SCHEME,
    Delivery,
    Durability,
    Flag,
    LogFormat,
    OnePath,
    Paths,
    Properties,
    Text,
    Whole,
)
from dfml.settings.kafka import MAX_RECORD_BYTES, ClientProperties, KafkaOptions, read_secrets

VARIABLE_PREFIX = "DFML_"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set. Relative paths are relative to the folder that dfml is started in.

    Attributes
    ----------
    log
        Where topics live: ``sqlite:///relative/path``, ``sqlite:////absolute/path`` or ``kafka://host:port``.
    prefix, namespace
        The first words of every topic name.
    partitions
        Partition numbers of every topic of the namespace; fixed once the log exists.
    retention_ms
        How long records of data topics are kept; None keeps them for ever.
    delivery
        What a Kafka log shows of a result that was sent twice: ``identity`` both, which dfml's readers tell apart,
        ``transactional`` one.
    replication
        Brokers that keep a copy of each topic that dfml makes on Kafka.
    max_record_bytes
        The largest record that is written to Kafka.
    kafka, kafka_secrets
        Properties of the Kafka client, and a file of more that win over them (see :meth:`kafka_options`).
    lineage
        The lineage store's file; None puts it beside the SQLite log (see :attr:`lineage_path`).
    rest_host, rest_port
        Where the REST gateway listens; port 0 takes a free one.
    max_request_bytes
        The largest body that the gateway accepts.
    request_timeout_ms
        How long a caller waits who sets no ``x-request-timeout-ms``.
    max_outstanding_requests, max_outstanding_bytes
        Requests that may wait for their answer at the gateway, and their size together; one more is refused.
    max_held_records, max_held_bytes
        How much a worker holds before it lets the topics wait that would bring more.
    pool_threads
        Threads that run one model's code when it is not ``inline``.
    model_timeout_ms
        How long one call of a model's code may take.
    artefact_paths
        Folders that pickled artefacts may be loaded from; none by default, because loading one executes code.
    python_paths
        Folders put on ``sys.path`` for ``python:`` models.
    log_durability
        What a commit of the SQLite log survives: ``normal`` the process's death, ``full`` a power cut too.
    tap
        Whether ``dfml up`` runs the lineage tap.
    metrics_host, metrics_port
        Where a part without REST gateway serves its health and metrics; port 0 takes a free one.
    log_format
        Lines on stderr: ``text`` or ``json``.
    drain_timeout_ms
        How long a process that is told to stop lets what is under way finish.
    """

    log: Annotated[str, Text("log")] = "sqlite:///dfml.db"
    prefix: Annotated[str, Text("prefix")] = "seldon"
    namespace: Annotated[str, Text("name")] = "default"
    partitions: Annotated[int, Whole(1, 10_000)] = 1
    retention_ms: Annotated[int | None, Whole(1, 2**53)] = None
    delivery: Annotated[Delivery, Text("delivery")] = "identity"
    replication: Annotated[int, Whole(1, 32_767)] = 1
    max_record_bytes: Annotated[int, Whole(1024, 2**30)] = MAX_RECORD_BYTES
    kafka: Annotated[ClientProperties, Properties()] = ClientProperties({})
    kafka_secrets: Annotated[Path | None, OnePath()] = None
    lineage: Annotated[Path | None, OnePath()] = None
    rest_host: Annotated[str, Text("host")] = "127.0.0.1"
    rest_port: Annotated[int, Whole(0, 65_535)] = 8080
    max_request_bytes: Annotated[int, Whole(1, 2**31 - 1)] = 32 * 1024 * 1024
    request_timeout_ms: Annotated[int, Whole(1, 86_400_000)] = 30_000
    max_outstanding_requests: Annotated[int, Whole(1, 10_000_000)] = 10_000
    max_outstanding_bytes: Annotated[int, Whole(1, 2**53)] = 256 * 1024 * 1024
    max_held_records: Annotated[int, Whole(1, 10_000_000)] = 10_000
    max_held_bytes: Annotated[int, Whole(1, 2**53)] = 256 * 1024 * 1024
    pool_threads: Annotated[int, Whole(1, 1024)] = 4
    model_timeout_ms: Annotated[int, Whole(1, 86_400_000)] = 30_000
    artefact_paths: Annotated[tuple[Path, ...], Paths()] = ()
    python_paths: Annotated[tuple[Path, ...], Paths()] = (Path(),)
    log_durability: Annotated[Durability, Text("durability")] = "normal"
    tap: Annotated[bool, Flag()] = True
    metrics_host: Annotated[str, Text("host")] = "127.0.0.1"
    metrics_port: Annotated[int, Whole(0, 65_535)] = 0
    log_format: Annotated[LogFormat, Text("log_format")] = "text"
    drain_timeout_ms: Annotated[int, Whole(0, 3_600_000)] = 10_000

    @property
    def lineage_path(self) -> Path:
        """The lineage store's file: the setting, or ``X.lineage.db`` beside the log ``X.db``.

        Raises
        ------
        SettingsError
            If the log is no file and ``lineage`` is not set.
        """
        if self.lineage is not None:
            return self.lineage
        if not self.log.startswith(SQLITE_SCHEME):
            msg = f"lineage: the log {self.log} has no folder to put the store in; set lineage to a path"
            raise SettingsError(msg)
        file = Path(self.log.removeprefix(SQLITE_SCHEME))
        return file.with_name(f"{file.stem}.lineage.db")

    def kafka_options(self) -> KafkaOptions:
        """Return what a Kafka log is told; reads the secrets file, whose properties win over those of ``kafka``.

        Raises
        ------
        SettingsError
            If the log is not on Kafka, or the secrets file cannot be read or holds something else.
        """
        if not self.log.startswith(KAFKA_SCHEME):
            msg = f"log: got {self.log!r}, expected kafka://HOST:PORT[,HOST:PORT]"
            raise SettingsError(msg)
        secrets = read_secrets(self.kafka_secrets) if self.kafka_secrets else {}
        return KafkaOptions(
            self.log.removeprefix(KAFKA_SCHEME),
            self.kafka.with_secrets(secrets),
            self.replication,
            self.max_record_bytes,
        )


def setting_names() -> tuple[str, ...]:
    """Return the name of every setting, in the order of the documentation."""
    return tuple(each.name for each in fields(Settings))


def variable_name(setting: str) -> str:
    """Return the environment variable of a setting."""
    return VARIABLE_PREFIX + setting.upper()


def to_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that give a child process these settings, whatever its file says."""
    given = ((name, getattr(settings, name)) for name in setting_names())
    return {variable_name(name): _spell(value) for name, value in given if value is not None}


def _spell(value: object) -> str:
    match value:
        case tuple():
            return os.pathsep.join(map(str, value))
        case bool():
            return str(value).lower()
        case ClientProperties():
            return json.dumps(dict(value))
        case _:
            return str(value)
