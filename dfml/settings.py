"""What can be set, and where each setting comes from: options, environment, file, defaults, in that order.

One name per setting, spelled three ways: ``rest_port`` in ``dfml.yaml``, ``DFML_REST_PORT`` in the environment and
``--rest-port`` on the command line. Every wrong one is reported at once, each with the place it came from.
"""

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal, Protocol, get_args, get_type_hints

from dfml.errors import SettingsError
from dfml.topics import NAME, PREFIX

SETTINGS_FILE = Path("dfml.yaml")
"""The file that is read from the current folder when no other is named."""
VARIABLE_PREFIX = "DFML_"
SQLITE_SCHEME = "sqlite:///"
LOG_SCHEMES = (SQLITE_SCHEME, "kafka://")
NEAR_MISS = 0.75
"""Similarity from which an unknown name is taken for a misspelled one (difflib's ratio)."""

Durability = Literal["normal", "full"]


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

    kind: Literal["log", "prefix", "name", "host", "durability"]

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
                accepted = any(text.startswith(scheme) and len(text) > len(scheme) for scheme in LOG_SCHEMES)
                return accepted, "sqlite:///PATH or kafka://HOST:PORT"
            case "prefix":
                return PREFIX.fullmatch(text) is not None, "letters, digits, '.', '_' and '-'"
            case "name":
                return NAME.fullmatch(text) is not None, "letters, digits, '-' and '_', no dots"
            case "host":
                return bool(text) and not any(letter.isspace() for letter in text), "a host name or address"
            case "durability":
                return text in get_args(Durability), " or ".join(get_args(Durability))


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
    lineage
        The lineage store's file; None puts it beside the SQLite log (see :attr:`lineage_path`).
    rest_host, rest_port
        Where the REST gateway listens; port 0 takes a free one.
    max_request_bytes
        The largest body that the gateway accepts.
    request_timeout_ms
        How long a caller waits who sets no ``x-request-timeout-ms``.
    max_outstanding_requests
        Requests that may wait for their answer at the gateway; one more is refused.
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
    """

    log: Annotated[str, Text("log")] = "sqlite:///dfml.db"
    prefix: Annotated[str, Text("prefix")] = "seldon"
    namespace: Annotated[str, Text("name")] = "default"
    partitions: Annotated[int, Whole(1, 10_000)] = 1
    lineage: Annotated[Path | None, OnePath()] = None
    rest_host: Annotated[str, Text("host")] = "127.0.0.1"
    rest_port: Annotated[int, Whole(0, 65_535)] = 8080
    max_request_bytes: Annotated[int, Whole(1, 2**31 - 1)] = 32 * 1024 * 1024
    request_timeout_ms: Annotated[int, Whole(1, 86_400_000)] = 30_000
    max_outstanding_requests: Annotated[int, Whole(1, 10_000_000)] = 10_000
    pool_threads: Annotated[int, Whole(1, 1024)] = 4
    model_timeout_ms: Annotated[int, Whole(1, 86_400_000)] = 30_000
    artefact_paths: Annotated[tuple[Path, ...], Paths()] = ()
    python_paths: Annotated[tuple[Path, ...], Paths()] = (Path(),)
    log_durability: Annotated[Durability, Text("durability")] = "normal"
    tap: Annotated[bool, Flag()] = True

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


def setting_names() -> tuple[str, ...]:
    """Return the name of every setting, in the order of the documentation."""
    return tuple(each.name for each in fields(Settings))


def variable_name(setting: str) -> str:
    """Return the environment variable of a setting."""
    return VARIABLE_PREFIX + setting.upper()


def load_settings(file: Path | None, env: Mapping[str, str], overrides: Mapping[str, object]) -> Settings:
    """Put the settings together: options over environment over file over defaults.

    Parameters and errors as :func:`given_settings`.
    """
    return Settings(**given_settings(file, env, overrides))  # type: ignore[arg-type]  # each was checked for its field


def given_settings(file: Path | None, env: Mapping[str, str], overrides: Mapping[str, object]) -> dict[str, object]:
    """Return the settings that options, environment or file give, checked; those left to their default are not in it.

    Parameters
    ----------
    file
        The settings file, which must exist; None reads ``dfml.yaml`` of the current folder where there is one.
    env
        The environment; only ``DFML_*`` is looked at, and of unknown ones only near misses are refused, because
        other programs may have variables of that prefix.
    overrides
        Options of the command line by setting name; None is an option not given.

    Raises
    ------
    SettingsError
        If anything is unknown, of the wrong type or out of bounds, or the file cannot be read; the text has a line
        per finding with its place.
    """
    checks = _checks()
    values: dict[str, object] = {}
    findings: list[str] = []
    for place, name, value, is_text in (*_from_file(file), *_from_environment(env), *_from_options(overrides)):
        check = checks.get(name)
        if check is None:
            findings.append(f"{place}: no such setting {name!r}{_suggest(name)}")
            continue
        try:
            values[name] = check.parse(str(value)) if is_text else check.check(value)
        except ValueError as error:
            findings.append(f"{place}: got {value!r}, expected {error}")
    if findings:
        raise SettingsError("\n".join(findings))
    return values


_Given = tuple[str, str, object, bool]
"""Place, setting, value, and whether the value is text that is still to be parsed."""


def _checks() -> dict[str, Check]:
    hints = get_type_hints(Settings, include_extras=True)
    return {name: get_args(hints[name])[1] for name in setting_names()}


def _suggest(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), setting_names(), n=1, cutoff=NEAR_MISS)
    return f"; did you mean {near[0]!r}?" if near else f"; the settings are {', '.join(setting_names())}"


def _from_environment(env: Mapping[str, str]) -> Iterator[_Given]:
    names = setting_names()
    for variable, text in env.items():
        if not variable.startswith(VARIABLE_PREFIX):
            continue
        name = variable.removeprefix(VARIABLE_PREFIX).lower()
        if name in names or difflib.get_close_matches(name, names, n=1, cutoff=NEAR_MISS):
            yield f"environment variable {variable}", name, text, True


def _from_options(overrides: Mapping[str, object]) -> Iterator[_Given]:
    for name, value in overrides.items():
        if value is not None:
            yield f"option --{name.replace('_', '-')}", name, value, False


def _from_file(file: Path | None) -> Iterator[_Given]:
    if file is None and not SETTINGS_FILE.exists():
        return
    # Imported here: most verbs run without a file, and the command line must start quickly.
    import yaml  # noqa: PLC0415

    path = file or SETTINGS_FILE
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        msg = f"{path}: cannot be read as a settings file: {error}"
        raise SettingsError(msg) from error
    if root is None:
        return
    if not isinstance(root, yaml.MappingNode):
        msg = f"{path}:{root.start_mark.line + 1}: got {root.value!r:.40}, expected settings as 'name: value'"
        raise SettingsError(msg)
    seen: dict[str, int] = {}
    for key, node in root.value:
        line = key.start_mark.line + 1
        if key.value in seen:
            msg = f"{path}:{line}: {key.value} is set twice, first in line {seen[key.value]}; keep one"
            raise SettingsError(msg)
        seen[key.value] = line
        yield f"{path}:{line}", str(key.value), loader.construct_object(node, deep=True), False
