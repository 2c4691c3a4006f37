"""Control as data: specs are loaded and unloaded by appending to the control topics; status is read from them.

Nothing here needs a running engine: what is loaded while none runs is found by the next one.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from dfml.clock import Clock, wall_clock_ms
from dfml.errors import ConflictError, NotFoundError, UnknownTopicError
from dfml.log.base import Cleanup, Log, TopicConfig
from dfml.operations.owners import Seen
from dfml.record import Append, TopicName, TopicPartition
from dfml.spec.schema import AnyResource, Model, Pipeline
from dfml.topics import Topics
from dfml_engine.registry import LoadedSpec, PartStatus, Registry
from dfml_engine.selection import Selection

READ_RECORDS = 2_000
WAIT_S = 0.05
"""How long a reading waits for what is on the log already, before it looks again whether it has come to the end."""
ENGINE_PART = "engine"
MODEL_PART = "model-gateway"


@dataclass(frozen=True, slots=True)
class ResourceStatus:
    """Whether a loaded resource does its work, and if not why."""

    kind: str
    name: str
    version: int
    ready: bool
    reason: str


class Control:
    """Loads, unloads and tells the status, on any log.

    Parameters
    ----------
    log : Log
        The log.
    topics : Topics
        The namespace.
    partitions : int
        The partition count of data topics made here; the same for all of a namespace.
    retention_ms : int or None
        How long data topics made here keep their records; None for ever. Those that exist are left as they are.
    """

    def __init__(
        self,
        log: Log,
        topics: Topics,
        *,
        partitions: int = 1,
        retention_ms: int | None = None,
        clock: Clock = wall_clock_ms,
    ) -> None:
        self._log = log
        self._topics = topics
        self._partitions = partitions
        self._retention_ms = retention_ms
        self._clock = clock
        self._registry = Registry(topics, clock)
        self._next: dict[TopicPartition, int] = {}
        self._checked: set[tuple[TopicName, int]] = set()

    def prepare(self) -> None:
        """Make the topics of the namespace that every part needs.

        Raises
        ------
        ConflictError
            If the namespace has another partition count.
        """
        self._check_partitions()
        compacted = (self._topics.specs, self._topics.status, self._topics.owners)
        self._log.create_topics(
            [
                *(TopicConfig(name, 1, cleanup=Cleanup.COMPACT) for name in compacted),
                TopicConfig(self._topics.workers, self._partitions),
                *self._data_topics((self._topics.errors, self._topics.fates)),
            ]
        )

    def _data_topics(self, names: Iterable[TopicName]) -> list[TopicConfig]:
        return [TopicConfig(name, self._partitions, self._retention_ms) for name in names]

    def _check_partitions(self) -> None:
        counts = {name: config.partitions for name, config in self._log.topics().items()}
        unchecked = counts.items() - self._checked
        count = counts.get(self._topics.errors, self._partitions)
        if count != self._partitions:
            msg = (
                f"topic '{self._topics.errors}' has {count} partitions, but the setting partitions is "
                f"{self._partitions}; all topics of a namespace have one count: set partitions to {count}"
            )
            raise ConflictError(msg)
        others = [(name, other) for name, other in unchecked if other != count and self._is_shared_out(name)]
        if others:
            listed = ", ".join(f"'{name}' ({other})" for name, other in sorted(others))
            msg = (
                f"all topics of a namespace have one partition count, here {count}, but not {listed}; "
                "delete these and load what reads and writes them again"
            )
            raise ConflictError(msg)
        self._checked |= unchecked

    def _is_shared_out(self, topic: TopicName) -> bool:
        ref = self._topics.parse(topic)
        return ref is not None and (ref.is_data or topic in {self._topics.fates, self._topics.workers})

    def load(self, resources: Sequence[AnyResource], *, from_beginning: bool = False) -> list[LoadedSpec]:
        """Load resources: models first, then what refers to them. What is loaded unchanged keeps its version.

        Parameters
        ----------
        resources : sequence of resources
            Validated documents.
        from_beginning : bool
            Whether pipelines that are new here read what others wrote before too, as far as it is retained. One that
            replaces another version goes on where that was.

        Returns
        -------
        list of LoadedSpec
            In the order given.
        """
        self.prepare()
        registry = self._read()
        loaded = [self._versioned(resource, registry, from_beginning=from_beginning) for resource in resources]
        self._create_topics(resources)
        changed = [
            spec for spec in loaded if registry.versions.get((spec.kind, spec.name), {}).get(spec.version) is None
        ]
        ordered = sorted(changed, key=lambda spec: {"Model": 0, "Pipeline": 1}.get(spec.kind, 2))
        if ordered:
            self._log.append([spec.to_append(self._topics) for spec in ordered])
        return loaded

    def _versioned(self, resource: AnyResource, registry: Registry, *, from_beginning: bool) -> LoadedSpec:
        newest = registry.newest(resource.kind, resource.name)
        if newest is not None and newest.resource == resource:
            return newest
        version = registry.highest.get((resource.kind, resource.name), 0) + 1
        now_ms = self._clock()
        if newest is not None:
            since_ms = newest.since_ms
        else:
            since_ms = 0 if from_beginning else now_ms
        return LoadedSpec(resource.kind, resource.name, version, resource, now_ms, since_ms)

    def _create_topics(self, resources: Sequence[AnyResource]) -> None:
        names: list[TopicName] = []
        for resource in resources:
            match resource:
                case Pipeline():
                    names += [self._topics.pipeline_inputs(resource.name), self._topics.pipeline_outputs(resource.name)]
                    for step in resource.spec.steps:
                        names += [self._topics.model_inputs(step.name), self._topics.model_outputs(step.name)]
                case Model():
                    names += [self._topics.model_inputs(resource.name), self._topics.model_outputs(resource.name)]
                case _:
                    pass
        self._log.create_topics(self._data_topics(dict.fromkeys(names)))

    def unload(self, kind: str, name: str) -> None:
        """Unload every version of a resource; requests under way finish.

        Raises
        ------
        NotFoundError
            If it is not loaded.
        """
        registry = self._read()
        versions = registry.versions.get((kind, name))
        if not versions:
            loaded = ", ".join(f"{spec.kind} {spec.name}" for spec in registry.all_newest()) or "nothing"
            msg = f"{kind} '{name}' is not loaded; loaded are: {loaded}"
            raise NotFoundError(msg)
        self._log.append([Append(self._topics.specs, 0, spec.key.encode(), b"") for spec in versions.values()])

    def specs(self) -> list[LoadedSpec]:
        """Return the newest version of everything loaded."""
        return self._read().all_newest()

    def status(self, name: str | None = None) -> list[ResourceStatus]:
        """Return the status of the resources of that name, or of all."""
        registry = self._read()
        return [_status(spec, registry) for spec in registry.all_newest() if name in {None, spec.name}]

    def owners(self) -> list[Seen]:
        """Return who is at work on the log, and who was and did not say that it left."""
        return self._read().owners.all()

    def _read(self) -> Registry:
        """Bring the registry up to the present end of the control topics."""
        known = self._log.topics()
        for topic in self._registry.topics() - known.keys():
            # Not to be listed is not to be absent: who has no right on a topic is told so.
            with suppress(UnknownTopicError):
                self._log.end([TopicPartition(topic, 0)])
        places = [TopicPartition(topic, 0) for topic in self._registry.topics() if topic in known]
        ends = self._log.end(places)
        starts = self._log.beginning([place for place in places if place not in self._next]) | self._next
        reader = self._log.reader(to_end=True)
        try:
            reader.assign({place: start for place, start in starts.items() if start < ends[place]})
            while any(position < ends[place] for place, position in reader.positions().items()):
                self._registry.handle(reader.poll(READ_RECORDS, WAIT_S))
            self._next = starts | reader.positions()
        finally:
            reader.close()
        return self._registry


def _status(spec: LoadedSpec, registry: Registry) -> ResourceStatus:
    match spec.kind:
        case "Model":
            reason = part_problem(registry, spec, MODEL_PART)
        case "Pipeline":
            reason = pipeline_problem(registry, spec)
        case _:
            reason = part_problem(registry, spec, ENGINE_PART)
    return ResourceStatus(spec.kind, spec.name, spec.version, not reason, reason)


def part_problem(registry: Registry, spec: LoadedSpec, part: str) -> str:
    """Return why a part does not serve this version of a resource, or "" when it does.

    Where none of the part runs, what it said last counts: a request waits on the log until one is back.
    """
    selections = [Selection(owner.selected) for owner in registry.owners.live(part)]
    if spec.kind in {"Pipeline", "Model"} and selections and not any(each.covers(spec.name) for each in selections):
        chosen = "; ".join(sorted({str(each) for each in selections}))
        return f"no {part} has taken it up: those that run have selected {chosen}"
    status: PartStatus | None = registry.statuses.get((spec.kind, spec.name, part))
    if status is None or status.version < spec.version:
        return f"no {part} has taken it up yet"
    return "" if status.ready else status.reason


def pipeline_problem(registry: Registry, spec: LoadedSpec) -> str:
    """Return why a pipeline cannot answer, or "": the engine must run it and every step's model be loaded."""
    own = part_problem(registry, spec, ENGINE_PART)
    unloaded, of_models = [], dict[str, list[str]]()
    for step in spec.pipeline.spec.steps:
        model = registry.newest("Model", step.name)
        if model is None:
            unloaded.append(f"model '{step.name}' is not loaded")
        elif problem := part_problem(registry, model, MODEL_PART):
            of_models.setdefault(problem, []).append(step.name)
    told = [f"{problem} (model{'s' * (len(names) > 1)} {', '.join(names)})" for problem, names in of_models.items()]
    return "; ".join([*([own] if own else []), *unloaded, *told])
