"""The registry: what the control topics say is loaded, and what each part says of its state.

Specs live on the compacted topic ``control.specs``: key ``Kind/name/version``, value JSON, empty where the version is
gone. Status lives on ``control.status``: key ``Kind/name/part``, and who is at work on ``control.owners``. Every part
follows them; there is no other scheduler.
"""

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson

from dfml.clock import Clock, wall_clock_ms
from dfml.errors import DfmlError
from dfml.log.base import Log
from dfml.operations.owners import Owners
from dfml.record import Append, Record, TopicName, TopicPartition
from dfml.spec import dump_resource, resource_from_dict
from dfml.spec.schema import AnyResource, Experiment, Model, Pipeline
from dfml.topics import Topics
from dfml_engine.outcome import Outcome

logger = logging.getLogger(__name__)

PATIENCE_S = 0.05
"""How long what the control topics say waits for a moment without a request under way."""
SLICE_S = 0.005
"""How long it is taken up at a stretch, before requests have their turn."""


@dataclass(frozen=True, slots=True)
class LoadedSpec:
    """One version of a resource, as it was loaded.

    ``loaded_ms`` and ``since_ms`` are milliseconds since the epoch; what other pipelines wrote before the latter is
    not read.
    """

    kind: str
    name: str
    version: int
    resource: AnyResource
    loaded_ms: int
    since_ms: int = 0

    @property
    def from_beginning(self) -> bool:
        """Whether it is a pipeline that reads what others wrote long before it was loaded."""
        return self.kind == "Pipeline" and not self.since_ms and bool(self.pipeline.spec.input)

    @property
    def key(self) -> str:
        """The record's key on the specs topic."""
        return f"{self.kind}/{self.name}/{self.version}"

    @property
    def pipeline(self) -> Pipeline:
        """The resource as a pipeline."""
        assert isinstance(self.resource, Pipeline)
        return self.resource

    @property
    def model(self) -> Model:
        """The resource as a model."""
        assert isinstance(self.resource, Model)
        return self.resource

    @property
    def experiment(self) -> Experiment:
        """The resource as an experiment."""
        assert isinstance(self.resource, Experiment)
        return self.resource

    def to_append(self, topics: Topics) -> Append:
        """Make the record that loads this spec."""
        value = {
            "kind": self.kind,
            "name": self.name,
            "version": self.version,
            "resource": dump_resource(self.resource),
            "loaded_ms": self.loaded_ms,
            "since_ms": self.since_ms,
        }
        return Append(topics.specs, 0, self.key.encode(), orjson.dumps(value))

    @classmethod
    def from_record(cls, record: Record) -> "LoadedSpec":
        """Read a record of the specs topic.

        Raises
        ------
        ValueError, KeyError, SpecError
            If the record is not one of ours.
        """
        value = orjson.loads(record.value)
        resource = resource_from_dict(value["resource"])
        spec = cls(resource.kind, resource.name, value["version"], resource, value["loaded_ms"], value["since_ms"])
        if record.key != spec.key.encode():
            msg = f"the key is {record.key!r}, the value is of {spec.key!r}"
            raise ValueError(msg)
        return spec


@dataclass(frozen=True, slots=True)
class PartStatus:
    """What one part of the house says of one resource's version."""

    kind: str
    name: str
    version: int
    part: str
    ready: bool
    reason: str

    def to_append(self, topics: Topics) -> Append:
        """Make the record that says so."""
        value = {
            "kind": self.kind,
            "name": self.name,
            "version": self.version,
            "part": self.part,
            "ready": self.ready,
            "reason": self.reason,
        }
        return Append(topics.status, 0, f"{self.kind}/{self.name}/{self.part}".encode(), orjson.dumps(value))

    @classmethod
    def from_record(cls, record: Record) -> "PartStatus":
        """Read a record of the status topic; what a newer version says beside is left alone.

        Raises
        ------
        ValueError, KeyError, TypeError
            If the record is not one of ours.
        """
        told = orjson.loads(record.value)
        texts = {name: str(told[name]) for name in ("kind", "name", "part", "reason")}
        return cls(**texts, version=int(told["version"]), ready=bool(told["ready"]))


class RegistryListener(Protocol):
    """What wants to hear of specs and statuses."""

    def spec_loaded(self, spec: LoadedSpec) -> None:
        """Take a new version of a resource."""

    def spec_unloaded(self, kind: str, name: str) -> None:
        """Take note that a resource is gone."""

    def status_changed(self, status: PartStatus) -> None:
        """Take note of what a part says of a resource."""

    def owners_changed(self) -> None:
        """Take note that a process came, left, or owns other partition numbers."""


class Registry:
    """A worker without a group that follows the control topics from their beginning.

    Once it has to give way to requests, it takes records up between them: to load a pipeline takes longer than to
    answer a request, which must not wait for it.
    """

    group = inherits = ""

    def __init__(
        self, topics: Topics, clock: Clock = wall_clock_ms, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._topics = topics
        self._read = frozenset({topics.specs, topics.status, topics.owners})
        self._monotonic_s = monotonic_s
        self._has_requests: Callable[[], bool] | None = None
        self._waiting: deque[Record] = deque()
        self._waiting_since_s = 0.0
        self._listeners: list[RegistryListener] = []
        self.versions: dict[tuple[str, str], dict[int, LoadedSpec]] = {}
        self.highest: dict[tuple[str, str], int] = {}
        self.statuses: dict[tuple[str, str, str], PartStatus] = {}
        self.owners = Owners(clock)
        self.n_unreadable = 0

    def give_way(self, has_requests: Callable[[], bool]) -> None:
        """Let requests go first from now on: take records up while there are none, and a few at a time."""
        self._has_requests = has_requests

    def listen(self, listener: RegistryListener) -> None:
        """Tell the listener of every spec that comes from now on."""
        self._listeners.append(listener)

    def newest(self, kind: str, name: str) -> LoadedSpec | None:
        """Return the newest version of a resource, or None when it is not loaded."""
        versions = self.versions.get((kind, name))
        return versions[max(versions)] if versions else None

    def all_newest(self, kind: str | None = None) -> list[LoadedSpec]:
        """Return the newest version of every loaded resource, in order of kind and name."""
        chosen = sorted(key for key, versions in self.versions.items() if versions and kind in {None, key[0]})
        return [spec for key in chosen if (spec := self.newest(*key)) is not None]

    def topics(self) -> frozenset[TopicName]:
        """Return the control topics."""
        return self._read

    def paused(self) -> frozenset[TopicName]:
        """Return none."""
        return frozenset()

    def resume(self, log: Log, starts: Mapping[TopicPartition, int]) -> None:
        """Do nothing: the registry writes nothing."""

    def release(self, partitions: Collection[int]) -> None:
        """Do nothing: the control topics are read by every process."""

    def handle(self, batch: Sequence[Record]) -> Outcome:
        """Take specs and statuses; a record that cannot be read is noted and passed over."""
        if not self._waiting:
            self._waiting_since_s = self._monotonic_s()
        self._waiting += batch
        self._take_waiting()
        return Outcome()

    def tick(self, now_ms: int) -> Outcome:
        """Take what waits."""
        self._take_waiting()
        return Outcome()

    def wake_ms(self) -> int | None:
        """Return 0, for soon, while something waits."""
        return 0 if self._waiting else None

    def _take_waiting(self) -> None:
        if self._has_requests is None:
            self.take_up()
        elif not self._has_requests() or self._monotonic_s() >= self._waiting_since_s + PATIENCE_S:
            self.take_up(SLICE_S)

    def take_up(self, limit_s: float = math.inf) -> None:
        """Take up what waits, for about so long; without a limit, all."""
        began_s = now_s = self._monotonic_s()
        while self._waiting and now_s < began_s + limit_s:
            self._take_one(self._waiting.popleft())
            now_s = self._monotonic_s()

    def _take_one(self, record: Record) -> None:
        try:
            self._take(record)
        except (DfmlError, ValueError, KeyError, TypeError) as error:
            why = f"it has no {error}" if isinstance(error, KeyError) else error
            logger.error("control: %s is no record of this version and is passed over: %s", record.position, why)
            self.n_unreadable += 1
        except Exception:
            logger.exception("control: %s could not be taken up", record.position)
            self.n_unreadable += 1

    def _take(self, record: Record) -> None:
        if record.topic == self._topics.owners:
            if self.owners.take(record):
                for listener in self._listeners:
                    listener.owners_changed()
            return
        if record.topic == self._topics.status:
            status = PartStatus.from_record(record)
            self.statuses[status.kind, status.name, status.part] = status
            for listener in self._listeners:
                listener.status_changed(status)
            return
        kind, name, version = record.key.decode().split("/")
        highest = self.highest.get((kind, name), 0)
        self.highest[kind, name] = max(highest, int(version))
        if record.value:
            self._loaded(LoadedSpec.from_record(record))
        elif self.versions.get((kind, name), {}).pop(int(version), None) and not self.versions[kind, name]:
            for listener in self._listeners:
                listener.spec_unloaded(kind, name)

    def _loaded(self, spec: LoadedSpec) -> None:
        self.versions.setdefault((spec.kind, spec.name), {})[spec.version] = spec
        for listener in self._listeners:
            listener.spec_loaded(spec)
