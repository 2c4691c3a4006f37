"""The workers of one process, and what each spec means for them.

A process may hold all parts (``dfml up``) or one (``dfml run engine``). Every part follows the control topics by the
registry of its process; what it makes of a spec it says on the status topic, where the others read it.
"""

import logging
from collections.abc import Collection
from enum import Enum

from dfml.clock import Clock, wall_clock_ms
from dfml.errors import ConflictError
from dfml.log.base import Log
from dfml.record import Append
from dfml.settings import Settings
from dfml.topics import Topics
from dfml_engine.alone import company_problem
from dfml_engine.announcing import Announcer
from dfml_engine.cleaning import Cleaning
from dfml_engine.control import ENGINE_PART, MODEL_PART, pipeline_problem
from dfml_engine.gateways.admission import PipelineGatewayOptions
from dfml_engine.gateways.model import ModelGateway, ModelGatewayOptions
from dfml_engine.gateways.pipeline import PipelineGateway
from dfml_engine.loop import EventLoop
from dfml_engine.outcome import Outcome
from dfml_engine.registry import LoadedSpec, PartStatus, Registry
from dfml_engine.runtimes.base import RuntimeOptions
from dfml_engine.selection import ALL, Selection
from dfml_engine.share import OwnsAll, Share
from dfml_engine.topology import Topology, compile_pipeline
from dfml_engine.worker import EngineWorker, Worker

logger = logging.getLogger(__name__)

BEGINNING_PART = "beginning"
"""Says on the status topic, in the place of a part, that the engine has begun to read what others had written."""


class Part(Enum):
    """What a process may run; the value is its name on the command line and on the status topic."""

    ENGINE = ENGINE_PART
    MODEL_GATEWAY = MODEL_PART
    PIPELINE_GATEWAY = "pipeline-gateway"


ALL_PARTS = frozenset(Part)


class Parts:
    """The chosen parts on one event loop.

    Parameters
    ----------
    settings : Settings
        Everything that can be set.
    log : Log
        The log that they share with the parts of other processes.
    chosen : collection of Part
        Which ones.
    clock : Clock
        Milliseconds since the epoch.
    share : Share or None
        The partition numbers of this process; None owns all, for the only process on a log.
    selection : Selection
        Which pipelines the engine runs, or which models the model gateway calls.
    """

    def __init__(
        self,
        settings: Settings,
        log: Log,
        chosen: Collection[Part],
        clock: Clock = wall_clock_ms,
        share: Share | None = None,
        selection: Selection = ALL,
    ) -> None:
        self.topics = Topics(settings.prefix, settings.namespace)
        self._clock = clock
        self.share = share or OwnsAll()
        self.loop = EventLoop(log, clock, share, self.topics.errors)
        self.registry = Registry(self.topics, clock)
        self.selection = selection
        self.announcer = Announcer(
            self.topics, {part.value: selection.patterns for part in chosen}, self.share, settings.partitions, clock
        )
        self._is_shared = log.is_remote
        self.started = self.draining = False
        self._users: dict[str, set[str]] = {}
        limit = settings.max_held_records
        self.engine = EngineWorker(self.topics, selection, limit, clock) if Part.ENGINE in chosen else None
        self.models = self._make_models(settings) if Part.MODEL_GATEWAY in chosen else None
        self.gateway = self._make_gateway(settings, log) if Part.PIPELINE_GATEWAY in chosen else None
        self.cleaning = Cleaning(log, self.topics, clock, deletes=self.engine is not None)
        self.registry.listen(self)

    def _make_models(self, settings: Settings) -> ModelGateway:
        runtime = RuntimeOptions(settings.python_paths, settings.artefact_paths)
        options = ModelGatewayOptions(
            runtime,
            settings.pool_threads,
            settings.model_timeout_ms,
            self.selection,
            settings.max_held_records,
            settings.max_held_bytes,
        )
        return ModelGateway(self.topics, options, self.loop.hand_in, self._clock)

    def _make_gateway(self, settings: Settings, log: Log) -> PipelineGateway:
        limits = PipelineGatewayOptions(
            settings.partitions,
            settings.request_timeout_ms,
            settings.max_outstanding_requests,
            settings.max_outstanding_bytes,
        )
        return PipelineGateway(log, self.topics, limits, self.loop.submit, self.share, self._clock)

    def start(self) -> None:
        """Start the workers; all specs are read first: the others need them to know what they read and had written.

        Raises
        ------
        ConflictError
            If a process that runs has selected what this one has, or one of the two is a whole stack.
        LogError
            If the log cannot be written.
        """
        self.loop.add(self.registry)
        self.loop.catch_up()
        overlaps = self._overlaps()
        if overlaps:
            raise ConflictError(overlaps[0])
        if self._is_shared and (problem := self._company_problem()):
            raise ConflictError(problem)
        workers: tuple[Worker | None, ...] = (self.engine, self.models, self.gateway, self.announcer, self.cleaning)
        for worker in workers:
            if worker is not None:
                self.loop.add(worker)
        if self.engine is not None:
            self._read_what_was_not_read()
        self.loop.start()
        self.loop.write_now()
        if self.loop.refusal is not None:
            raise self.loop.refusal
        gone = [Append(self.topics.owners, 0, key, b"") for key in self.registry.owners.forgotten()]
        self.loop.submit(Outcome(appends=gone))
        self.started = True
        self.registry.give_way(self._has_requests)

    def _has_requests(self) -> bool:
        return self.gateway is not None and bool(self.gateway.outstanding)

    async def stop(self) -> None:
        """Stop the workers; what was handed in is written."""
        if self.models is not None:
            self.models.close()
        self.loop.submit(self.announcer.leave())
        await self.loop.stop()
        self.share.leave()

    def drain(self) -> None:
        """Take no new work; what is under way goes on."""
        self.draining = True
        if self.gateway is not None:
            self.gateway.drain()
        elif self.models is not None:
            self.loop.submit(self.models.drain())

    @property
    def drained(self) -> bool:
        """Whether nothing is under way that this process would have to finish."""
        n_requests = self.gateway.outstanding if self.gateway else 0
        return (
            not n_requests and self.loop.idle and (self.gateway is not None or not (self.models and self.models.busy))
        )

    # -- readiness ----------------------------------------------------------------------------------------------------

    def problems(self) -> list[str]:
        """Return what keeps this process from its work; nothing when it is ready. Safe to call on any thread."""
        if self.draining:
            return ["it is stopping"]
        if not self.started:
            return ["it is starting: what is loaded is being read"]
        found = []
        if self.loop.refusal is not None:
            found.append(f"the log cannot be written: {self.loop.refusal}")
        if self.loop.unreadable.reason:
            found.append(f"the log cannot be read: {self.loop.unreadable.reason}")
        if not self.share.joined:
            found.append("it is no member of its group: it was away, or the log was, and it joins again")
        elif self.gateway is not None and not self.gateway.admission.has_number:
            found.append("it has no partition number: others hold them all")
        return found

    def _overlaps(self) -> list[str]:
        """Say which processes have selected something that this one has too: the work would be done twice."""
        mine = {owner.key for owner in self.announcer.owners()}
        found = []
        for part in (ENGINE_PART, MODEL_PART):
            for owner in self.registry.owners.live(part) if self._is_here(part) else ():
                theirs = Selection(owner.selected)
                if owner.key not in mine and theirs != self.selection and theirs.meets(self.selection):
                    found.append(
                        f"the {part} {owner.worker} has selected {theirs} and this one {self.selection}: what both "
                        "have would be done twice; stop that one, or select what no other has (dfml status --workers)"
                    )
        return found

    def _company_problem(self) -> str:
        live = [owner for part in Part for owner in self.registry.owners.live(part.value)]
        return company_problem(self.announcer.owners(), live, len(Part))

    def _is_here(self, part: str) -> bool:
        return (self.engine is not None and part == ENGINE_PART) or (self.models is not None and part == MODEL_PART)

    def owners_changed(self) -> None:
        """Take note of who is at work: what nobody has selected is not ready."""
        if self.started:
            for text in self._overlaps():
                logger.error("%s", text)
        for spec in self.registry.all_newest("Pipeline"):
            self._refresh_readiness(spec.kind, spec.name)

    # -- specs --------------------------------------------------------------------------------------------------------

    def spec_loaded(self, spec: LoadedSpec) -> None:
        """Hand a spec to the parts that serve it, and say how that went."""
        self.loop.read_anew(self.cleaning.loaded(spec))
        match spec.kind:
            case "Model":
                self._load_model(spec)
            case "Pipeline":
                self._load_pipeline(spec)
            case _:
                self._load_experiment(spec)
        self._refresh_readiness(spec.kind, spec.name)

    def _load_model(self, spec: LoadedSpec) -> None:
        if self.models is not None and self._is_called(spec.name):
            status = self.models.load(spec)
            if not status.ready:
                logger.error("%s", status.reason)
            if self.selection.covers(spec.name):
                self._say(status)

    def _is_called(self, model: str) -> bool:
        """Whether the model gateway calls a model: it is selected, or a candidate of an experiment over one that is."""
        if self.selection.covers(model):
            return True
        experiments = (spec.experiment.spec for spec in self.registry.all_newest("Experiment"))
        return any(
            self.selection.covers(experiment.default or "")
            and model in {candidate.name for candidate in experiment.candidates}
            for experiment in experiments
            if experiment.resource_type == "model"
        )

    def _load_pipeline(self, spec: LoadedSpec) -> None:
        runs = self.engine if self.selection.covers(spec.name) else None
        topology = runs.load(spec) if runs else compile_pipeline(spec.pipeline, spec.version, self.topics)
        for model in topology.models:
            self._users.setdefault(model, set()).add(spec.name)
        if self.engine is not None:
            self.engine.account_for_loops(topology)
        if self.models is not None:
            self.models.load_pipeline(topology)
        if self.gateway is not None:
            self.gateway.load(topology)
        if runs is not None:
            self._say(PartStatus(spec.kind, spec.name, spec.version, ENGINE_PART, ready=True, reason=""))
            if spec.from_beginning and self.started:
                self._read_from_beginning(spec, topology)

    def _read_from_beginning(self, spec: LoadedSpec, topology: Topology) -> None:
        """Have the engine read what other pipelines wrote before, and say so: the next start need not do it again."""
        assert self.engine is not None
        topics = frozenset(topic for topic, _ in topology.external_feeds)
        at = {place: offset for place, offset in self.loop.positions().items() if place.topic in topics}
        self.engine.read_again(spec.name, at)
        self.loop.read_anew(topics, self.engine)
        self._say(PartStatus(spec.kind, spec.name, spec.version, BEGINNING_PART, ready=True, reason=""))

    def _read_what_was_not_read(self) -> None:
        """Begin with what nobody had begun with, because no engine ran."""
        for spec in self.registry.all_newest("Pipeline"):
            said = self.registry.statuses.get((spec.kind, spec.name, BEGINNING_PART))
            if spec.from_beginning and self.selection.covers(spec.name) and (not said or said.version < spec.version):
                self._read_from_beginning(spec, compile_pipeline(spec.pipeline, spec.version, self.topics))
        self.loop.refresh()

    def _load_experiment(self, spec: LoadedSpec) -> None:
        experiment = spec.experiment.spec
        if self.gateway is not None and experiment.resource_type == "pipeline":
            self.gateway.directory.load_experiment(spec.name, experiment)
        if self.gateway is not None and experiment.resource_type == "model":
            self.gateway.directory.load_model_experiment(spec.name, experiment)
        if self.models is not None and experiment.resource_type == "model":
            self.models.load_experiment(spec.name, experiment)
            for model in self.registry.all_newest("Model"):
                if not self.selection.covers(model.name) and self._is_called(model.name):
                    self.models.load(model)
        if self.engine is not None:
            if experiment.resource_type == "model" and experiment.mirror is not None:
                self.engine.account_for_mirror(experiment.mirror.name)
            self._say(PartStatus(spec.kind, spec.name, spec.version, ENGINE_PART, ready=True, reason=""))

    def spec_unloaded(self, kind: str, name: str) -> None:
        """Take a resource from the parts that serve it."""
        if self.models is not None and kind == "Model":
            self.models.unload(name)
        if self.models is not None and kind == "Experiment":
            self.models.unload_experiment(name)
        if self.gateway is not None and kind == "Pipeline":
            self.gateway.directory.unload(name)
        if self.gateway is not None and kind == "Experiment":
            self.gateway.directory.unload_experiment(name)
        if self.engine is not None and kind == "Pipeline":
            self.engine.unload(name, self._clock())
        self.cleaning.unloaded(kind, name)
        self._refresh_readiness(kind, name)

    # -- status -------------------------------------------------------------------------------------------------------

    def status_changed(self, status: PartStatus) -> None:
        """Take note of what a part, of this process or another, says of a resource."""
        self._refresh_readiness(status.kind, status.name)

    def _say(self, status: PartStatus) -> None:
        self.registry.statuses[status.kind, status.name, status.part] = status
        self.loop.submit(Outcome(appends=[status.to_append(self.topics)]))

    def _refresh_readiness(self, kind: str, name: str) -> None:
        """Tell the gateway which of the pipelines that a resource concerns can answer now."""
        if self.gateway is None:
            return
        for pipeline in {name} if kind == "Pipeline" else self._users.get(name, ()):
            spec = self.registry.newest("Pipeline", pipeline)
            if spec is not None:
                self.gateway.directory.set_ready(pipeline, pipeline_problem(self.registry, spec))
