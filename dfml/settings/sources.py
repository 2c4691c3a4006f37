"""Where each setting comes from: options over environment over file over defaults."""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, get_args, get_type_hints

from dfml.errors import SettingsError
from dfml.settings.checks import Check, Properties
from dfml.settings.kafka import read_properties
from dfml.settings.settings import VARIABLE_PREFIX, Settings, setting_names

if TYPE_CHECKING:
    from yaml import Node

SETTINGS_FILE = Path("dfml.yaml")
"""The file that is read from the current folder when no other is named."""
NEAR_MISS = 0.75
"""Similarity from which an unknown name is taken for a misspelled one (difflib's ratio)."""


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
            got = "" if isinstance(check, Properties) else f"got {value!r}, "
            findings.append(f"{place}: {got}expected {error}")
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
    path = file or SETTINGS_FILE
    if file is None and not path.exists():
        return
    seen: dict[str, int] = {}
    for key, node in _read_document(path):
        line = key.start_mark.line + 1
        if key.value in seen:
            msg = f"{path}:{line}: {key.value} is set twice, first in line {seen[key.value]}; keep one"
            raise SettingsError(msg)
        seen[key.value] = line
        yield f"{path}:{line}", str(key.value), _value(node, f"{path}:{line}: {key.value}"), False


def _read_document(path: Path) -> "list[tuple[Node, Node]]":
    # Imported here: most verbs run without a file, and the command line must start quickly.
    import yaml  # noqa: PLC0415

    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.reader.ReaderError) as error:
        msg = f"{path}: cannot be read as a settings file: {error}"
        raise SettingsError(msg) from error
    except yaml.MarkedYAMLError as error:
        # The parser's own words quote the line, which may hold a password.
        place = f"{path}:{error.problem_mark.line + 1}" if error.problem_mark else str(path)
        msg = f"{place}: cannot be read as a settings file: this is no YAML; put a text with special letters in quotes"
        raise SettingsError(msg) from None
    if root is None:
        return []
    if not isinstance(root, yaml.MappingNode):
        msg = f"{path}:{root.start_mark.line + 1}: expected settings as 'name: value'"
        raise SettingsError(msg)
    entries: list[tuple[Node, Node]] = root.value
    return entries


def _value(node: "Node", place: str) -> object:
    import yaml  # noqa: PLC0415

    try:
        if isinstance(node, yaml.MappingNode):
            return read_properties(node)
        return yaml.SafeLoader("").construct_object(node, deep=True)
    except (ValueError, yaml.constructor.ConstructorError) as error:
        told = str(error) if isinstance(error, ValueError) else "a plain value, without a tag"
        msg = f"{place}: expected {told}"
        raise SettingsError(msg) from None
