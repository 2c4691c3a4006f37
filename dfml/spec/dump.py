"""Resources as plain data and back: what the control topic carries."""

from collections.abc import Mapping

from dfml.errors import SpecError
from dfml.spec.fields import read_resource
from dfml.spec.schema import AnyResource


def dump_resource(resource: AnyResource) -> dict[str, object]:
    """Return the resource as its document says it: JSON types, the documents' field names, defaults left out.

    ``resource_from_dict(dump_resource(r)) == r`` for every resource.
    """
    return resource.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def resource_from_dict(data: Mapping[str, object]) -> AnyResource:
    """Return the resource that :func:`dump_resource` gave.

    Types and field names are checked, the rules are not: they were when the document was loaded.

    Raises
    ------
    SpecError
        If the data is not such a resource; one line a finding.
    """
    reading = read_resource(dict(data))
    if reading.resource is None or reading.findings:
        raise SpecError("\n".join(map(str, reading.findings)))
    return reading.resource
