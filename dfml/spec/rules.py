"""What one field of a document means for another: the rules, beyond types and field names, of the three kinds."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from dfml.spec.findings import Finding, Path, show_value, suggest
from dfml.spec.names import check_name
from dfml.spec.pipeline_rules import check_pipeline
from dfml.spec.readers import read_pipeline
from dfml.spec.schema import AnyResource, Experiment, Model, Pipeline

STORAGE_FORMS = (
    "python:package.module:Name, a path or file:PATH to a joblib artefact, oip+http://host:port/name or "
    "oip+grpc://host:port/name"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(?=:)")
_PYTHON = re.compile(r"python:[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def check_resource(resource: AnyResource) -> list[Finding]:
    """Return everything in a resource that breaks a rule; empty when it may be loaded."""
    findings = check_name(resource.name, ("metadata", "name"))
    match resource:
        case Pipeline():
            findings += check_pipeline(resource)
        case Model():
            findings += _check_model(resource)
        case Experiment():
            findings += _check_experiment(resource)
    return findings


@dataclass(frozen=True, slots=True)
class Missing:
    """What a resource refers to and nobody has loaded: it waits until they are there.

    Attributes
    ----------
    models, pipelines : tuple of str
        Names, in the order of the document.
    steps : tuple of str
        Steps that a loaded pipeline was expected to have and has not, as ``p.step.s``.
    """

    models: tuple[str, ...] = ()
    pipelines: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is missing."""
        return bool(self.models or self.pipelines or self.steps)


def check_references(
    resources: Iterable[AnyResource], models: Collection[str] = (), pipelines: Mapping[str, Pipeline] | None = None
) -> dict[tuple[str, str], Missing]:
    """Return what is missing, by kind and name of the resource that waits for it.

    Resources that lack nothing are not in the answer.

    Parameters
    ----------
    resources : iterable of Pipeline, Model or Experiment
        What to check; these count as loaded.
    models : collection of str
        Other models that are loaded.
    pipelines : mapping of str to Pipeline
        Other pipelines that are loaded.
    """
    resources = list(resources)
    known_models = {*models, *(resource.name for resource in resources if isinstance(resource, Model))}
    known = {
        **(pipelines or {}),
        **{resource.name: resource for resource in resources if isinstance(resource, Pipeline)},
    }
    missing = {(resource.kind, resource.name): _missing(resource, known_models, known) for resource in resources}
    return {key: value for key, value in missing.items() if value}


def _missing(resource: AnyResource, models: Collection[str], pipelines: Mapping[str, Pipeline]) -> Missing:
    match resource:
        case Pipeline():
            return _missing_to_pipeline(resource, models, pipelines)
        case Experiment():
            spec = resource.spec
            names = [*(candidate.name for candidate in spec.candidates), *([spec.mirror.name] if spec.mirror else [])]
            known = models if spec.resource_type == "model" else pipelines
            absent = tuple(dict.fromkeys(name for name in names if name not in known))
            return Missing(models=absent) if spec.resource_type == "model" else Missing(pipelines=absent)
        case Model():
            return Missing()


def _missing_to_pipeline(pipeline: Pipeline, models: Collection[str], pipelines: Mapping[str, Pipeline]) -> Missing:
    readers, _ = read_pipeline(pipeline)
    references = [source.reference for reader in readers for source in reader.reads]
    external = [reference for reference in references if reference.pipeline != pipeline.name]
    steps = [
        f"{reference.pipeline}.step.{reference.step}"
        for reference in external
        if reference.step is not None
        and reference.pipeline in pipelines
        and all(step.name != reference.step for step in pipelines[reference.pipeline].spec.steps)
    ]
    return Missing(
        models=tuple(step.name for step in pipeline.spec.steps if step.name not in models),
        pipelines=tuple(dict.fromkeys(ref.pipeline for ref in external if ref.pipeline not in pipelines)),
        steps=tuple(dict.fromkeys(steps)),
    )


def _check_model(model: Model) -> list[Finding]:
    spec = model.spec
    path: Path = ("spec", "storageUri")
    problem = _storage_problem(spec.storage_uri)
    findings = [Finding(path, f"{problem}; expected {STORAGE_FORMS}")] if problem else []
    if spec.inline and spec.storage_uri.startswith("oip+"):
        text = "a call to another server does not return at once, so it cannot be inline; leave inline out"
        findings.append(Finding(("spec", "inline"), text))
    names = [parameter.name for parameter in spec.parameters]
    return findings + _repeated(names, ("spec", "parameters"), "parameter")


def _storage_problem(uri: str) -> str | None:
    """Return what is wrong with a storageUri, or None."""
    scheme = _SCHEME.match(uri)
    if not uri.strip():
        return "it is empty"
    if scheme is None:
        return None
    match scheme.group():
        case "python":
            return None if _PYTHON.fullmatch(uri) else f"got {show_value(uri)}, which names no Python object"
        case "file":
            return None if uri.removeprefix("file:").strip("/") else f"got {show_value(uri)}, which names no file"
        case "oip+http" | "oip+grpc":
            return None if _is_server(uri) else f"got {show_value(uri)}, which lacks host, port or name"
        case other:
            return f"got {show_value(uri)}, and nothing can load from {other!r}"


def _is_server(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return False
    name = parts.path.removeprefix("/")
    plain = not (parts.query or parts.fragment or parts.username)
    return bool(parts.hostname and port and plain and re.fullmatch(r"[\w.-]+", name))


def _check_experiment(experiment: Experiment) -> list[Finding]:
    spec = experiment.spec
    path: Path = ("spec", "candidates")
    names = [candidate.name for candidate in spec.candidates]
    findings = [finding for index, name in enumerate(names) for finding in check_name(name, (*path, index, "name"))]
    findings += _repeated(names, path, "candidate")
    if not names:
        findings.append(Finding(path, "expected at least one candidate, got none"))
    elif not any(candidate.weight for candidate in spec.candidates):
        findings.append(Finding(path, "all weights are 0, so no candidate would get a request; give one a weight"))
    if spec.default is not None and names and spec.default not in names:
        text = f"{show_value(spec.default)} is not among the candidates ({', '.join(names)})"
        findings.append(Finding(("spec", "default"), text + suggest(spec.default, names)))
    if spec.mirror is not None:
        findings += check_name(spec.mirror.name, ("spec", "mirror", "name"))
    return findings


def _repeated(names: list[str], path: Path, what: str) -> list[Finding]:
    return [
        Finding((*path, index, "name"), f"{what} {show_value(name)} stands twice, first as {what} {names.index(name)}")
        for index, name in enumerate(names)
        if names.index(name) < index
    ]
