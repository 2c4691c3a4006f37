"""Resources as plain data and back: what the control topic carries."""

from collections.abc import Mapping

from pydantic import TypeAdapter, ValidationError

from dfml.errors import SpecError
from dfml.spec.schema import AnyResource

_ADAPTER: TypeAdapter[AnyResource] = TypeAdapter(AnyResource)


def dump_resource(resource: AnyResource) -> dict[str, object]:
    """Return the resource as its document says it: JSON types, the documents' field names, defaults left out.

    ``resource_from_dict(dump_resource(r)) == r`` for every resource.
    """
    return resource.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def resource_from_dict(data: Mapping[str, object]) -> AnyResource:
    """Return the resource that :func:`dump_resource` gave.

    Raises
    ------
    SpecError
        If the data is not such a resource.
    """
    try:
        return _ADAPTER.validate_python(dict(data))
    except ValidationError as error:
        msg = f"not a resource: {error}"
        raise SpecError(msg) from error
