"""A localisation as JSON in full: what the short form says, and everything that it leaves out."""

import math
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfml_analysis.localisation import Localisation


def in_detail(localisation: "Localisation") -> dict[str, Any]:
    """Return every field as plain JSON values by its name, the sentence first; null for what is not known."""
    return {"sentence": localisation.sentence, **_plain(localisation)}


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON has no narrower type
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, str) else value
