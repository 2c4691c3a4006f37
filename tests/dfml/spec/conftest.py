"""Documents in short."""

from collections.abc import Callable

import pytest

from dfml.errors import SpecError
from dfml.spec import parse_resources

HEAD = "apiVersion: mlops.seldon.io/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n"

Findings = Callable[..., list[str]]


def document(kind: str, body: str, name: str) -> str:
    """Return a document whose spec is the body; its first line is line 5."""
    indented = "\n".join(f"  {line}" for line in body.strip().splitlines())
    return HEAD.format(kind=kind, name=name) + indented + "\n"


@pytest.fixture
def findings() -> Findings:
    """Return what is found wrong with a spec, ``line: path: what`` each; empty when nothing is."""

    def find(body: str, *, kind: str = "Pipeline", name: str = "p") -> list[str]:
        try:
            parse_resources(document(kind, body, name), source="f")
        except SpecError as error:
            return [line.removeprefix("f:") for line in str(error).splitlines()]
        return []

    return find
