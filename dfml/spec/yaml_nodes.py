"""YAML text as plain data, with the line that every value stands on.

Only what JSON can hold is accepted: mappings with text keys, lists, text, numbers, true and false, null. Words such as
``yes``, ``on`` and ``2024-01-01`` stay text. A repeated key is an error, not the last one's victory. Anchors, aliases
and merge keys work; a document may not grow beyond :data:`MAX_VALUES` by them. JSON is read as the YAML it is.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from dfml.spec.findings import Finding, Path, show_value

MAX_VALUES = 100_000
"""Values in one document: far over any pipeline, far under what a few nested aliases could unfold to."""
MAX_DEPTH = 60
"""Levels of nesting; documents have seven. Bounds the recursion here and in every later reader."""

_TAG = "tag:yaml.org,2002:"
_SCALARS = {_TAG + word for word in ("null", "bool", "int", "float", "str")}


class _Loader(yaml.SafeLoader):
    """A safe loader whose unquoted words mean what they mean in JSON."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if tag not in {f"{_TAG}timestamp", f"{_TAG}value", f"{_TAG}bool"}
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(f"{_TAG}bool", re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF"))


@dataclass(slots=True)
class RawDocument:
    """One document as read.

    Attributes
    ----------
    data : object
        What JSON would hold: dict, list, str, int, float, bool or None.
    lines : dict of Path to int
        The line, from 1, that each path stands on.
    findings : list of (int, Finding)
        What is wrong with it as YAML, each with its line.
    """

    data: object = None
    lines: dict[Path, int] = field(default_factory=dict)
    findings: list[tuple[int, Finding]] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """Return the line of the path, or of the nearest thing around it that the text has."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_documents(text: str) -> Iterator[RawDocument]:
    """Give each document of the text that is not empty.

    Where the text stops being YAML, the last document given has the only finding that says so, and no data.
    """
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        yield _broken(f"the character #x{error.character:04x} is not allowed", line)
        return
    try:
        while loader.check_node():
            node = loader.get_node()
            document = _Reader(loader).read(node) if node else RawDocument()
            if document.data is not None or document.findings:
                yield document
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        yield _broken(", ".join(part for part in (error.context, error.problem) if part), mark.line + 1 if mark else 1)
    except RecursionError:
        yield _broken("nested too deeply", loader.line + 1)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        yield _broken(" ".join(str(error).split()), loader.line + 1)
    finally:
        loader.dispose()


def _broken(problem: str, line: int) -> RawDocument:
    return RawDocument(lines={(): line}, findings=[(line, Finding((), f"not YAML: {problem}"))])


class _Reader:
    """Turns the nodes of one document into data and remembers their lines."""

    def __init__(self, loader: _Loader) -> None:
        self._loader = loader
        self._document = RawDocument()
        self._values = 0

    def read(self, node: yaml.Node) -> RawDocument:
        """Return the document of this root node."""
        self._document.data = self._value(node, ())
        return self._document

    def _value(self, node: yaml.Node, path: Path) -> object:
        self._document.lines.setdefault(path, _line(node))
        self._values += 1
        if self._values > MAX_VALUES or len(path) > MAX_DEPTH:
            self._too_large(node)
            return None
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
            return self._scalar(node, path)
        self._find(node, path, f"the tag {node.tag.replace(_TAG, '!!')!r} is not supported; expected plain YAML")
        return None

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, object]:
        data: dict[str, object] = {}
        merged: dict[str, object] = {}
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                merged = {**self._merged(value_node, path), **merged}
                continue
            key = self._key(key_node, path)
            if key in data:
                first = self._document.lines[*path, key]
                self._find(key_node, (*path, key), f"the key stands twice, first on line {first}")
            elif key is not None:
                self._document.lines[*path, key] = _line(key_node)
                data[key] = self._value(value_node, (*path, key))
        return {**merged, **data}

    def _merged(self, node: yaml.Node, path: Path) -> dict[str, object]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, object] = {}
        for source in sources:
            value = self._value(source, path)
            if isinstance(value, dict):
                merged = {**value, **merged}
            else:
                self._find(node, path, f"'<<' merges mappings, got {show_value(value)}")
        return merged

    def _key(self, node: yaml.Node, path: Path) -> str | None:
        is_scalar = isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS
        key = self._scalar(node, path) if is_scalar else None
        if isinstance(key, str):
            return key
        got = show_value(key) if is_scalar else "a mapping or list"
        self._find(node, path, f"a key must be text, got {got}; write it in quotes")
        return None

    def _scalar(self, node: yaml.Node, path: Path) -> object:
        try:
            value: object = self._loader.construct_object(node)
            str(value).encode()
        except (yaml.YAMLError, ValueError, KeyError, OverflowError):
            self._find(node, path, f"cannot be read as {node.tag.removeprefix(_TAG)}: {show_value(node.value)}")
            return None
        if isinstance(value, float) and not math.isfinite(value):
            self._find(node, path, f"expected a finite number, got {value}")
            return None
        return value

    def _too_large(self, node: yaml.Node) -> None:
        text = f"too large: over {MAX_VALUES} values (aliases unfolded) or {MAX_DEPTH} levels"
        if all(finding.text != text for _, finding in self._document.findings):
            self._find(node, (), text)

    def _find(self, node: yaml.Node, path: Path, text: str) -> None:
        self._document.findings.append((_line(node), Finding(path, text)))


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1
