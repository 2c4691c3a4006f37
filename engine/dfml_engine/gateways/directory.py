"""What can be called at a pipeline gateway: pipelines with their versions and readiness, and experiments."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dfml.errors import NotFoundError, OverloadedError
from dfml.record import Headers
from dfml.spec.schema import ExperimentSpec
from dfml_engine.gateways.api import PipelineStatus
from dfml_engine.gateways.experiments import SUFFIX, Experiments, Routed
from dfml_engine.topology import Topology


@dataclass(slots=True)
class LoadedPipeline:
    """A pipeline that can be called: its newest topology, how it stands, and all versions that requests run on."""

    topology: Topology
    status: PipelineStatus
    versions: dict[int, Topology] = field(default_factory=dict)


class Directory:
    """Pipelines and experiments by name."""

    def __init__(self) -> None:
        self._loaded: dict[str, LoadedPipeline] = {}
        self._statuses: dict[str, PipelineStatus] = {}
        self._experiments = Experiments()
        self._of_models = Experiments()

    @property
    def statuses(self) -> Mapping[str, PipelineStatus]:
        """The pipelines by name, and the experiments by theirs with the suffix ``.experiment``."""
        return self._statuses

    def load(self, topology: Topology) -> None:
        """Take a version of a pipeline; it is not ready until told so."""
        before = self._loaded.get(topology.pipeline)
        versions = dict(before.versions) if before else {}
        versions[topology.version] = topology
        newest = versions[max(versions)]
        synchronous = newest.output_rule() is not None
        status = PipelineStatus(topology.pipeline, newest.version, ready=False, synchronous=synchronous)
        self._loaded[topology.pipeline] = LoadedPipeline(newest, status, versions)
        self._statuses[topology.pipeline] = status

    def set_ready(self, pipeline: str, reason: str) -> None:
        """Say whether a pipeline can answer: ``reason`` is empty when it is ready."""
        loaded = self._loaded.get(pipeline)
        if loaded is not None:
            version, synchronous = loaded.topology.version, loaded.status.synchronous
            loaded.status = PipelineStatus(pipeline, version, not reason, reason, synchronous)
            self._statuses[pipeline] = loaded.status

    def unload(self, pipeline: str) -> None:
        """Forget a pipeline."""
        self._loaded.pop(pipeline, None)
        self._statuses.pop(pipeline, None)

    def load_experiment(self, name: str, spec: ExperimentSpec) -> None:
        """Share the requests of a pipeline, or those to the experiment by its name, among candidates."""
        self._experiments.load(name, spec)
        self._statuses[name + SUFFIX] = PipelineStatus(name + SUFFIX, 1, ready=True)

    def load_model_experiment(self, name: str, spec: ExperimentSpec) -> None:
        """Know what the model gateways share out, to tell callers the route of their requests."""
        self._of_models.load(name, spec)

    def unload_experiment(self, name: str) -> None:
        """Let the pipeline, or the model, have its own requests again."""
        self._experiments.unload(name)
        self._of_models.unload(name)
        self._statuses.pop(name + SUFFIX, None)

    def route(self, asked: str, request_id: str, headers: Headers) -> Routed:
        """Return the pipeline that a call by this name goes to; the route names the models of its steps too.

        Raises
        ------
        NotFoundError
            If an experiment is asked for that is not loaded.
        """
        routed = self._experiments.route(asked, request_id, headers)
        loaded = self._loaded.get(routed.name) if self._of_models else None
        if loaded is None:
            return routed
        chosen = (self._of_models.route(model, request_id, headers).route for model in loaded.topology.models)
        return replace(routed, route=routed.route + "".join(chosen))

    def ready(self, pipeline: str) -> LoadedPipeline:
        """Return a pipeline that can answer.

        Raises
        ------
        NotFoundError
            If it is not loaded.
        OverloadedError
            If it is not ready: it may be soon.
        """
        loaded = self._loaded.get(pipeline)
        if loaded is None:
            known = ", ".join(sorted(self._loaded)) or "none"
            msg = f"there is no pipeline '{pipeline}'; loaded are: {known}"
            raise NotFoundError(msg)
        if not loaded.status.ready:
            msg = f"pipeline '{pipeline}' is not ready: {loaded.status.reason or 'it is being loaded'}"
            raise OverloadedError(msg)
        return loaded

    def topology(self, pipeline: str, version: int) -> Topology | None:
        """Return one version of a pipeline, or None when it is not loaded any more."""
        loaded = self._loaded.get(pipeline)
        return loaded.versions.get(version) if loaded else None
