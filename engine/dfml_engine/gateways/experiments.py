"""The experiments of a gateway: what a call by a name comes to."""

from dataclasses import dataclass

from dfml.errors import NotFoundError
from dfml.record import Headers
from dfml.spec.schema import ExperimentSpec
from dfml_engine.routing import ROUTE_HEADER, choose, mirror_of

SUFFIX = ".experiment"
"""What a caller adds to an experiment's name."""


@dataclass(frozen=True, slots=True)
class Routed:
    """Where a request goes: the resource, the route header that says so (empty without experiment), its mirror."""

    name: str
    route: str = ""
    mirror: str | None = None


class Experiments:
    """Experiments by name, and by the resource whose requests they take (``default``)."""

    def __init__(self) -> None:
        self._by_name: dict[str, ExperimentSpec] = {}
        self._of_default: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._by_name)

    def load(self, name: str, spec: ExperimentSpec) -> None:
        """Take an experiment, in place of an earlier version."""
        self.unload(name)
        self._by_name[name] = spec
        if spec.default is not None:
            self._of_default[spec.default] = name

    def unload(self, name: str) -> None:
        """Forget an experiment; its default gets its own requests again."""
        spec = self._by_name.pop(name, None)
        if spec is not None and spec.default is not None and self._of_default.get(spec.default) == name:
            del self._of_default[spec.default]

    def names(self) -> list[str]:
        """Return what experiments can be called by."""
        return [name + SUFFIX for name in self._by_name]

    def route(self, asked: str, request_id: str, headers: Headers) -> Routed:
        """Return where a request for ``asked`` goes: a resource's name, or an experiment's with its suffix.

        Raises
        ------
        NotFoundError
            If it has the suffix and there is no such experiment.
        """
        name = asked.removesuffix(SUFFIX) if asked.endswith(SUFFIX) else self._of_default.get(asked)
        if name is None:
            return Routed(asked)
        spec = self._by_name.get(name)
        if spec is None:
            known = ", ".join(self._by_name) or "none"
            msg = f"there is no experiment '{name}'; loaded are: {known}"
            raise NotFoundError(msg)
        wanted = next((value.decode(errors="replace") for header, value in headers if header == ROUTE_HEADER), "")
        chosen = choose(name, spec, request_id, wanted)
        return Routed(chosen, f":{chosen}:", mirror_of(name, spec, request_id))
