"""docs/pipelines.md: its documents load, its error is the one printed, and every field of the schema is in it."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import get_args

import pytest
from pydantic import BaseModel

from dfml.errors import SpecError
from dfml.spec import parse_resources
from dfml.spec.schema import Experiment, Model, Pipeline

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "pipelines.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def fields(model: type[BaseModel]) -> Iterator[str]:
    """Give the names, as documents write them, of all fields of a model and of the models in it."""
    for name, info in model.model_fields.items():
        yield info.alias or name
        yield from (field for inner in _models_in(info.annotation) for field in fields(inner))


def _models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, UnionType) and not get_args(annotation):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


@pytest.mark.parametrize("text", blocks("yaml"))
def test_each_document_on_the_page_loads(text: str) -> None:
    assert parse_resources(text, source="docs/pipelines.md")


@pytest.mark.parametrize("kind", [Pipeline, Model, Experiment])
def test_each_field_of_the_schema_is_on_the_page(kind: type[BaseModel]) -> None:
    words = set(re.findall(r"[A-Za-z]+", " ".join(re.findall(r"`([^`\n]+)`", PAGE))))
    assert sorted(set(fields(kind)) - words) == []


def test_the_error_on_the_page_is_the_one_that_is_raised() -> None:
    document, said = blocks("text")
    with pytest.raises(SpecError) as refused:
        parse_resources(document, source="claims.yaml")
    assert str(refused.value) == said.strip()


def test_the_python_on_the_page_gives_what_the_page_says(monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = blocks("python")
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    exec(compile(code, "docs/pipelines.md", "exec"), names)
    assert f"`order` is `{names['order']}`" in PAGE
    assert names["missing"] == {}
