"""What a Kafka log is told: its brokers, how their records are kept, and properties of the client.

A property is any of librdkafka's (its CONFIGURATION.md lists them), as text, and handed on as it is; only those that
the promises of the log hang on are refused, each with the reason. What may be a secret is masked where it is printed.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dfml.errors import SettingsError

if TYPE_CHECKING:
    from yaml import Node

MAX_RECORD_BYTES = 8 * 1024 * 1024
MASK = "***"

_SECRET = re.compile(r"password|passphrase|secret|token|key\.pem|oauthbearer\.config|private")
_SERVERS = "log: kafka://HOST:PORT names the brokers"
_TAKE_OVER = "parts take over from one another by it"
_OWNERSHIP = "it decides who owns which partition numbers"
_POSITIONS = "positions are committed when their records have their fate"
_ACKNOWLEDGED = "what was acknowledged must be on the log, once"

OWNED: Mapping[str, str] = {
    "bootstrap.servers": _SERVERS,
    "metadata.broker.list": _SERVERS,
    "group.id": "it is made from prefix, namespace and part",
    "group.instance.id": _OWNERSHIP,
    "group.protocol": _OWNERSHIP,
    "group.remote.assignor": _OWNERSHIP,
    "partition.assignment.strategy": _OWNERSHIP,
    "session.timeout.ms": _TAKE_OVER,
    "heartbeat.interval.ms": _TAKE_OVER,
    "max.poll.interval.ms": _TAKE_OVER,
    "enable.auto.commit": _POSITIONS,
    "auto.commit.interval.ms": _POSITIONS,
    "enable.auto.offset.store": _POSITIONS,
    "auto.offset.reset": _POSITIONS,
    "isolation.level": "only what was committed is read",
    "enable.partition.eof": "the reader sets it",
    "transactional.id": "it names who writes; delivery: transactional asks for transactions",
    "enable.idempotence": _ACKNOWLEDGED,
    "acks": _ACKNOWLEDGED,
    "request.required.acks": _ACKNOWLEDGED,
    "delivery.report.only.error": _ACKNOWLEDGED,
    "message.timeout.ms": _ACKNOWLEDGED,
    "delivery.timeout.ms": _ACKNOWLEDGED,
    "transaction.timeout.ms": _ACKNOWLEDGED,
    "message.max.bytes": "max_record_bytes sets it, for client and topics",
    "allow.auto.create.topics": "dfml makes its topics, with their partition count",
}
"""The properties that dfml sets itself, and why."""


class ClientProperties(Mapping[str, str]):
    """Properties of librdkafka by name; hashable, and printed with its secrets masked.

    Parameters
    ----------
    values
        Text by name.
    masked
        Names that are masked although they do not sound like a secret.
    """

    __slots__ = ("_masked", "_values")

    def __init__(self, values: Mapping[str, str], masked: frozenset[str] = frozenset()) -> None:
        self._values = dict(values)
        self._masked = masked

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return repr({name: MASK if self._is_secret(name) else value for name, value in self._values.items()})

    def with_secrets(self, secrets: Mapping[str, str]) -> "ClientProperties":
        """Return these and the secrets, which win and are all masked."""
        return ClientProperties({**self._values, **secrets}, self._masked | frozenset(secrets))

    def _is_secret(self, name: str) -> bool:
        return name in self._masked or _SECRET.search(name) is not None


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """How to reach a Kafka cluster and keep records there.

    Attributes
    ----------
    brokers
        ``host:port``, several separated by commas.
    properties
        Properties of the client, none of them in ``OWNED``.
    replication
        Brokers that keep a copy of each topic that is made.
    max_record_bytes
        The largest record that is written: key, value and headers.
    """

    brokers: str
    properties: ClientProperties = ClientProperties({})
    replication: int = 1
    max_record_bytes: int = MAX_RECORD_BYTES


def parse_properties(text: str) -> dict[str, str]:
    """Read properties from YAML or JSON; every value is the text that stands there, so ``0123`` stays ``0123``.

    Raises
    ------
    ValueError
        If it is no mapping of names to single values; the text never quotes what stood there.
    """
    # Imported here: most verbs are not told any, and the command line must start quickly.
    import yaml  # noqa: PLC0415

    try:
        node = yaml.compose(text, yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        # The error's own text quotes the line it stands in.
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        msg = f"properties as {{name: value}}; this is no YAML{line}"
        raise ValueError(msg) from None
    return read_properties(node)


def read_properties(node: "Node | None") -> dict[str, str]:
    """Read properties from a node of a YAML document, as :func:`parse_properties` does."""
    import yaml  # noqa: PLC0415

    if not isinstance(node, yaml.MappingNode):
        msg = "properties as {name: value}"
        raise ValueError(msg)
    values: dict[str, str] = {}
    for key, value in node.value:
        if key.value in values:
            msg = f"each property once; {key.value} is set twice"
            raise ValueError(msg)
        if not isinstance(value, yaml.ScalarNode):
            msg = f"properties as {{name: value}}; {key.value} holds several"
            raise ValueError(msg)
        values[key.value] = value.value
    return values


_PROPERTY = re.compile(r"^\W*[a-z]+(\.[a-z]+)+\W*[=:]")
"""How properties begin that were given in the place of their file: ``sasl.password=``, ``{sasl.password:``."""


def read_secrets(file: Path) -> dict[str, str]:
    """Read a file of properties: YAML when its name ends with .yaml or .yml, else lines ``name=value``.

    Of a line, blanks around name and value are no part of them; empty lines and those that begin with ``#`` are left
    out.

    Raises
    ------
    SettingsError
        If it cannot be read, is written otherwise or sets a property of ``OWNED``; the text quotes none of its values.
    """
    if _PROPERTY.search(str(file)):
        msg = (
            "kafka_secrets: expected the name of a file, got what looks like properties (not shown: they may be "
            "secret); write them into a file, one name=value a line, and name that"
        )
        raise SettingsError(msg)
    try:
        text = file.read_text(encoding="utf-8")
        found = parse_properties(text) if file.suffix in {".yaml", ".yml"} else _parse_lines(text)
        refuse_owned(found)
    except UnicodeDecodeError:
        msg = f"kafka_secrets: {file} is no text in UTF-8"
        raise SettingsError(msg) from None
    except OSError as error:
        msg = f"kafka_secrets: {file} cannot be read: {error.strerror}"
        raise SettingsError(msg) from error
    except ValueError as error:
        msg = f"kafka_secrets: {file}: expected {error}"
        raise SettingsError(msg) from None
    return found


def _parse_lines(text: str) -> dict[str, str]:
    values = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, equals, value = line.partition("=")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not equals:
            msg = f"name=value in line {number}"
            raise ValueError(msg)
        values[name.strip()] = value.strip()
    return values


def refuse_owned(values: Mapping[str, str]) -> None:
    """Refuse properties that dfml sets itself.

    Raises
    ------
    ValueError
        If there are any; it names each with its reason.
    """
    if owned := sorted(OWNED.keys() & values.keys()):
        reasons = "; ".join(f"without {name}, because {OWNED[name]}" for name in owned)
        msg = f"properties {reasons}"
        raise ValueError(msg)
