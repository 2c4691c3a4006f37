"""A model's ``parameters``, for the runtimes whose parameters are ours to name."""

from collections.abc import Mapping

from dfml.errors import ModelError
from dfml.spec.schema import Model


def read_parameters(model: Model, known: Mapping[str, str]) -> dict[str, str]:
    """Return the value of each known parameter: the model's own, else the default that ``known`` gives.

    Raises
    ------
    ModelError
        If the model has a parameter that is not known.
    """
    given = {item.name: item.value for item in model.spec.parameters}
    unknown = [name for name in given if name not in known]
    if unknown:
        msg = (
            f"model '{model.name}' ({model.spec.storage_uri}): unknown parameter {unknown[0]!r}; "
            f"expected one of {', '.join(known)}"
        )
        raise ModelError(msg)
    return {**known, **given}


def read_milliseconds(model: Model, name: str, text: str) -> int:
    """Return a parameter's value as milliseconds.

    Raises
    ------
    ModelError
        If it is no whole number over 0.
    """
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    msg = f"model '{model.name}': parameter {name} is {text!r}, expected a whole number of milliseconds over 0"
    raise ModelError(msg)
