"""Which pipeline a call means: by its path, by Seldon's routing header, and at which version."""

import heapq
from collections.abc import Mapping

from dfml.errors import NotFoundError
from dfml.spec.findings import suggest
from dfml_engine.gateways.api import PipelineStatus

NAMED_PIPELINES = 20
"""How many of those that are loaded a message names."""


def find_pipeline(
    pipelines: Mapping[str, PipelineStatus], path: Mapping[str, str], routed_to: str = "", *, suggests: bool = True
) -> PipelineStatus:
    """Return the pipeline of a path's ``name`` and ``version``, or of the header ``seldon-model``, which goes first.

    Both may spell it ``name.pipeline``. What stands under ``/v2/models`` is looked up as a pipeline too. Who asks again
    and again wants no suggestions, for which a name is compared with all others.

    Raises
    ------
    NotFoundError
        If it is not loaded, or has another version; a near miss is named.
    """
    asked = routed_to or path["name"]
    status = pipelines.get(asked.removesuffix(".pipeline"))
    if status is None:
        raise NotFoundError(_not_loaded(asked, pipelines, suggests=suggests))
    version = path.get("version")
    if version is not None and version != str(status.version):
        msg = f"pipeline {status.name!r} has version {status.version}, not {version!r}"
        raise NotFoundError(msg)
    return status


def _not_loaded(asked: str, pipelines: Mapping[str, PipelineStatus], *, suggests: bool) -> str:
    if asked.endswith(".model"):
        return f"model {asked.removesuffix('.model')!r} cannot be called by itself: call a pipeline that has it"
    if asked.endswith(".experiment"):
        return f"experiment {asked.removesuffix('.experiment')!r} is not loaded, or shares a model and not a pipeline"
    name = asked.removesuffix(".pipeline")
    others = (suggest(name, pipelines) or _loaded(pipelines)) if suggests else ""
    return f"pipeline {name!r} is not loaded{others}"


def _loaded(pipelines: Mapping[str, PipelineStatus]) -> str:
    shown = heapq.nsmallest(NAMED_PIPELINES, pipelines)
    others = len(pipelines) - len(shown)
    return f"; loaded are: {', '.join(shown) or 'none'}{f' and {others} others' if others else ''}"
