"""Types and field names of a document against the schema, every error at once, and a repaired reading.

An error in one field must not hide the errors of the rest: what cannot be used is reported and then replaced by
something harmless (a misspelt field by the one that was probably meant, a wrong value by its default), so that
:mod:`dfml.spec.rules` can look at everything else. Nothing repaired is ever run: one finding refuses the document.
"""

import copy
import re
from dataclasses import dataclass, field
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dfml.spec.findings import Finding, Path, nearest, show_value, suggest
from dfml.spec.schema import API_VERSION, AnyResource, Experiment, Model, Pipeline

KINDS: dict[str, type[Pipeline | Model | Experiment]] = {
    "Pipeline": Pipeline,
    "Model": Model,
    "Experiment": Experiment,
}
_MAX_ROUNDS = 20
"""A repair can uncover at most one new level of a document; they have seven."""
_STUBS: dict[str, object] = {
    "apiVersion": API_VERSION,
    "metadata": {},
    "spec": {},
    "steps": [],
    "candidates": [],
    "name": "",
    "value": "",
    "storageUri": "",
    "percent": 0,
}
_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}


@dataclass(slots=True)
class Reading:
    """What could be made of one document.

    Attributes
    ----------
    data : object
        The document's data, repaired.
    resource : AnyResource or None
        The repaired resource; None when too little was there.
    findings : list of Finding
        What is wrong with types and field names. Empty means that nothing was repaired.
    replaced : set of Path
        Where a value is not the document's own; what a rule says of it is of no interest.
    renamed : dict of Path to Path
        Fields that were misspelt: the path they have in ``data``, and the one in the document.
    """

    data: object
    resource: AnyResource | None = None
    findings: list[Finding] = field(default_factory=list)
    replaced: set[Path] = field(default_factory=set)
    renamed: dict[Path, Path] = field(default_factory=dict)

    def is_replaced(self, path: Path) -> bool:
        """Whether the path or something around it is not the document's own."""
        return any(path[:length] in self.replaced for length in range(len(path) + 1))

    def original(self, path: Path) -> Path:
        """Return the path as the document has it, misspelt fields included."""
        for renamed, was in self.renamed.items():
            if path[: len(renamed)] == renamed:
                return was + path[len(renamed) :]
        return path


def read_resource(data: object) -> Reading:
    """Check the data of one document against the schema and repair what does not fit."""
    reading = Reading(copy.deepcopy(data))
    kind = _kind(reading)
    for _ in range(_MAX_ROUNDS if kind else 0):
        try:
            reading.resource = kind.model_validate(reading.data, by_alias=True, by_name=False) if kind else None
            break
        except ValidationError as error:
            _note(reading, error.errors(include_url=False), kind)
    return reading


def _kind(reading: Reading) -> type[AnyResource] | None:
    data = reading.data
    if not isinstance(data, dict):
        got = show_value(data)
        reading.findings.append(Finding((), f"expected a mapping with apiVersion, kind, metadata and spec, got {got}"))
        return None
    kind = data.get("kind")
    if kind is None:
        reading.findings.append(Finding(("kind",), "required, but missing; expected Pipeline, Model or Experiment"))
        return None
    if isinstance(kind, str) and kind in KINDS:
        return KINDS[kind]
    near = nearest(kind, KINDS) if isinstance(kind, str) else None
    text = f"expected Pipeline, Model or Experiment, got {show_value(kind)}"
    reading.findings.append(Finding(("kind",), text + (f"; did you mean {near!r}?" if near else "")))
    data["kind"] = near
    return KINDS[near] if near else None


def _note(reading: Reading, errors: list[ErrorDetails], kind: type[BaseModel] | None) -> None:
    """Report one round of errors and repair each; unknown fields first, as a misspelt one explains a missing one."""
    for error in errors:
        if error["type"] == "extra_forbidden":
            _note_unknown(reading, tuple(error["loc"]), kind)
    for error in errors:
        if error["type"] == "missing":
            _note_missing(reading, tuple(error["loc"]))
    wrong: dict[Path, list[ErrorDetails]] = {}
    for error in errors:
        if error["type"] not in {"extra_forbidden", "missing"}:
            wrong.setdefault(_existing(reading.data, tuple(error["loc"])), []).append(error)
    for path, of_path in sorted(wrong.items(), key=lambda item: len(item[0]), reverse=True):
        _note_wrong(reading, path, of_path)


def _note_unknown(reading: Reading, path: Path, kind: type[BaseModel] | None) -> None:
    parent, name = _at(reading.data, path[:-1]), str(path[-1])
    known = _fields(kind, path[:-1])
    near = nearest(name, known)
    hint = f"; did you mean {near!r}?" if near else f"; expected one of {', '.join(known)}"
    reading.findings.append(Finding(reading.original(path), f"unknown field{hint}"))
    if isinstance(parent, dict):
        value = parent.pop(name)
        if near and near not in parent:
            parent[near] = value
            reading.renamed[(*path[:-1], near)] = reading.original(path)


def _note_missing(reading: Reading, path: Path) -> None:
    parent = _at(reading.data, path[:-1])
    if not isinstance(parent, dict) or path[-1] in parent:
        return
    if not reading.is_replaced(path):
        reading.findings.append(Finding(reading.original(path), "required, but missing"))
        reading.replaced.add(path)
    parent[path[-1]] = copy.deepcopy(_STUBS.get(str(path[-1])))


def _note_wrong(reading: Reading, path: Path, errors: list[ErrorDetails]) -> None:
    parent, value = _at(reading.data, path[:-1]) if path else None, _at(reading.data, path)
    if value is None and isinstance(parent, dict) and not reading.is_replaced(path):
        # A key with nothing behind it means the same as no key, as it does to Kubernetes.
        del parent[path[-1]]
        return
    if not reading.is_replaced(path):
        reading.findings.append(Finding(reading.original(path), _describe(value, errors)))
    types = {error["type"] for error in errors}
    if types == {"tuple_type"} and isinstance(value, str) and isinstance(parent, dict):
        parent[path[-1]] = [value]
        return
    reading.replaced.add(path)
    if isinstance(parent, list) and isinstance(path[-1], int):
        parent[path[-1]] = _stand_in(value, types)
    elif isinstance(parent, dict):
        del parent[path[-1]]
        if "bool_parsing" in types or "bool_type" in types:
            # A switch that cannot be read may have been meant: without it a cycle would be reported as well.
            parent[path[-1]] = True


def _stand_in(value: object, types: set[str]) -> object:
    """Return what may stand in a list of text or of mappings instead of a wrong item."""
    if "string_type" in types:
        return ""
    return {"name": value} if isinstance(value, str) else {}


def _describe(value: object, errors: list[ErrorDetails]) -> str:
    expected = list(dict.fromkeys(_expectation(error) for error in errors))
    text = f"expected {' or '.join(expected)}, got {show_value(value)}"
    types = {error["type"] for error in errors}
    if types == {"string_type"} and isinstance(value, bool | int | float):
        return f"{text}; write it in quotes"
    if types == {"tuple_type"} and isinstance(value, str):
        return f"{text}; write [{value}]"
    if types & {"enum", "literal_error"} and isinstance(value, str):
        return text + suggest(value, re.findall(r"'([^']*)'", expected[0]))
    return text


def _expectation(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "greater_than_equal":
            return f"at least {context['ge']:g}"
        case "less_than_equal":
            return f"at most {context['le']:g}"
        case "enum" | "literal_error":
            return str(context["expected"])
        case other:
            return _EXPECTED.get(other, error["msg"])


def _existing(data: object, path: Path) -> Path:
    """Return the longest beginning of a pydantic location that the data has (unions add the name of their branch)."""
    for length, part in enumerate(path):
        if isinstance(data, dict) and part in data:
            data = data[part]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return path[:length]
    return path


def _at(data: object, path: Path) -> object:
    for part in path:
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part]
        else:
            return None
    return data


def _fields(kind: type[BaseModel] | None, path: Path) -> list[str]:
    """Return the field names, as documents write them, of the mapping that the schema has at the path."""
    model: type[BaseModel] | None = kind
    for part in path:
        if isinstance(part, str) and model is not None:
            found = [info.annotation for name, info in model.model_fields.items() if (info.alias or name) == part]
            model = _model_in(found[0]) if found else None
    return sorted(info.alias or name for name, info in model.model_fields.items()) if model else []


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in {tuple, Annotated, Union, UnionType}:
        return next((found for found in map(_model_in, get_args(annotation)) if found), None)
    return None
