"""From YAML text to resources."""

from collections.abc import Iterable
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from dfml.errors import SpecError
from dfml.spec.schema import AnyResource

_ADAPTER: TypeAdapter[AnyResource] = TypeAdapter(AnyResource)


def parse_resources(text: str, *, source: str) -> list[AnyResource]:
    """Return the resources of a text of one or several YAML documents.

    Raises
    ------
    SpecError
        If anything is wrong.
    """
    try:
        return [_ADAPTER.validate_python(data) for data in yaml.safe_load_all(text) if data is not None]
    except (yaml.YAMLError, ValidationError) as error:
        msg = f"{source}: {error}"
        raise SpecError(msg) from error


def load_files(paths: Iterable[Path | str]) -> list[AnyResource]:
    """Return the resources of several files.

    Raises
    ------
    SpecError
        If a file cannot be read or anything in it is wrong.
    """
    resources: list[AnyResource] = []
    for path in paths:
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            msg = f"{path}: cannot be read: {error}"
            raise SpecError(msg) from error
        resources.extend(parse_resources(text, source=str(path)))
    return resources
