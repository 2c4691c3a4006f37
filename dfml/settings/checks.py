"""How each kind of setting is read: from a variable's text, and from the typed value of a file or an option."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args

from dfml.settings.kafka import ClientProperties, parse_properties, refuse_owned
from dfml.topics import NAME, PREFIX

SQLITE_SCHEME = "sqlite:///"
KAFKA_SCHEME = "kafka://"
Durability = Literal["normal", "full"]
Delivery = Literal["identity", "transactional"]
LogFormat = Literal["text", "json"]
_CHOICES = {"durability": get_args(Durability), "delivery": get_args(Delivery), "log_format": get_args(LogFormat)}

_BROKER = re.compile(r"(?:\[[0-9A-Fa-f:]+\]|[^\s:,/@\[\]]+):\d{1,5}")


class Check(Protocol):
    """How one setting is read: ``parse`` takes a variable's text, ``check`` a value of a file or an option.

    Both return the value as :class:`Settings` holds it and raise ``ValueError`` with what was expected.
    """

    def parse(self, text: str) -> object:
        """Read an environment variable's text."""

    def check(self, value: object) -> object:
        """Check a typed value."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number between two bounds, both included."""

    minimum: int
    maximum: int

    def parse(self, text: str) -> int:
        """Read decimal digits."""
        return self.check(int(text) if text.strip().lstrip("-").isdecimal() else text)

    def check(self, value: object) -> int:
        """Accept an int (no bool) within the bounds."""
        if isinstance(value, int) and not isinstance(value, bool) and self.minimum <= value <= self.maximum:
            return value
        msg = f"a whole number from {self.minimum} to {self.maximum}"
        raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Flag:
    """Yes or no."""

    def parse(self, text: str) -> bool:
        """Read true/false, yes/no, on/off, 1/0."""
        words = {
            "true": True,
            "yes": True,
            "on": True,
            "1": True,
            "false": False,
            "no": False,
            "off": False,
            "0": False,
        }
        return self.check(words.get(text.strip().lower(), text))

    def check(self, value: object) -> bool:
        """Accept a bool."""
        if isinstance(value, bool):
            return value
        msg = "true or false"
        raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Text:
    """A text in which ``matches`` finds nothing wrong."""

    kind: Literal["log", "prefix", "name", "host", "durability", "delivery", "log_format"]

    def parse(self, text: str) -> str:
        """Take the variable's text as it is."""
        return self.check(text)

    def check(self, value: object) -> str:
        """Accept a str of this kind."""
        accepted, expected = self._rule(value if isinstance(value, str) else "")
        if isinstance(value, str) and accepted:
            return value
        raise ValueError(expected)

    def _rule(self, text: str) -> tuple[bool, str]:
        match self.kind:
            case "log":
                return _is_log(text), "sqlite:///PATH or kafka://HOST:PORT[,HOST:PORT]"
            case "prefix":
                return PREFIX.fullmatch(text) is not None, "letters, digits, '.', '_' and '-'"
            case "name":
                return NAME.fullmatch(text) is not None, "letters, digits, '-' and '_', no dots"
            case "host":
                return bool(text) and not any(letter.isspace() for letter in text), "a host name or address"
            case "durability" | "delivery" | "log_format":
                words = _CHOICES[self.kind]
                return text in words, " or ".join(words)


def _is_log(url: str) -> bool:
    if url.startswith(KAFKA_SCHEME):
        return all(_BROKER.fullmatch(each) for each in url.removeprefix(KAFKA_SCHEME).split(","))
    return url.startswith(SQLITE_SCHEME) and len(url) > len(SQLITE_SCHEME)


@dataclass(frozen=True, slots=True)
class OnePath:
    """A file or folder; it need not exist yet."""

    def parse(self, text: str) -> Path:
        """Take the variable's text as a path."""
        return self.check(text)

    def check(self, value: object) -> Path:
        """Accept a non-empty str or a path; ``~`` is the home folder."""
        if isinstance(value, str | Path) and str(value):
            return Path(value).expanduser()
        msg = "a path"
        raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Paths:
    """Several folders."""

    def parse(self, text: str) -> tuple[Path, ...]:
        """Read folders separated as in PATH; an empty text is none."""
        return self.check([part for part in text.split(os.pathsep) if part])

    def check(self, value: object) -> tuple[Path, ...]:
        """Accept one path or a list of them."""
        found = [value] if isinstance(value, str | Path) else value
        if isinstance(found, list | tuple) and all(isinstance(part, str | Path) and str(part) for part in found):
            return tuple(Path(part).expanduser() for part in found)
        msg = "a list of folders"
        raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Properties:
    """Properties of the Kafka client, none of those that dfml sets itself."""

    def parse(self, text: str) -> ClientProperties:
        """Read YAML or JSON, ``{name: value}``."""
        return self.check(parse_properties(text))

    def check(self, value: object) -> ClientProperties:
        """Accept a dict of str; what is refused is not quoted, because it may be a secret."""
        if not isinstance(value, dict):
            msg = "properties as {name: value}"
            raise ValueError(msg)
        refuse_owned(value)
        return ClientProperties(value)
