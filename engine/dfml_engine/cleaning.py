"""Deletes the topics of what was unloaded, if its document says so, when its last requests have had their time."""

from collections.abc import Iterable

from dfml.clock import Clock
from dfml.log.base import Log
from dfml.record import TopicName
from dfml.spec.schema import Model, Pipeline
from dfml.topics import Topics
from dfml_engine.flows import FLOW_AGE_MS
from dfml_engine.outcome import Outcome
from dfml_engine.registry import LoadedSpec
from dfml_engine.worker import NOTHING, ReadsNothing

Key = tuple[str, str]


class Cleaning(ReadsNothing):
    """A worker that reads nothing: it knows whose topics go with it, and when.

    What is unloaded while no process runs keeps its topics, and so does what was unloaded less than FLOW_AGE_MS before
    the last process stopped.

    Parameters
    ----------
    log : Log
        Where the topics are.
    topics : Topics
        The namespace.
    clock : Clock
        Milliseconds since the epoch.
    deletes : bool
        Whether this process deletes, or only knows what another deletes.
    """

    def __init__(self, log: Log, topics: Topics, clock: Clock, *, deletes: bool) -> None:
        self._log = log
        self._topics = topics
        self._clock = clock
        self._deletes = deletes
        self._wanted: dict[Key, frozenset[TopicName]] = {}
        self._due: dict[Key, tuple[int, frozenset[TopicName]]] = {}
        self._deleted: dict[Key, frozenset[TopicName]] = {}

    def loaded(self, spec: LoadedSpec) -> frozenset[TopicName]:
        """Keep the topics of a resource; return those that were deleted and made again since it was last loaded."""
        key = (spec.kind, spec.name)
        self._due.pop(key, None)
        self._wanted[key] = self._topics_of(spec)
        return self._deleted.pop(key, NOTHING)

    def unloaded(self, kind: str, name: str) -> None:
        """Delete the topics of a resource after a while, if its document asks for it."""
        topics = self._wanted.pop((kind, name), None)
        if topics:
            self._due[kind, name] = (self._clock() + FLOW_AGE_MS, topics)

    def _topics_of(self, spec: LoadedSpec) -> frozenset[TopicName]:
        match spec.resource:
            case Pipeline(spec=body) if body.dataflow.clean_topics_on_delete:
                return frozenset({self._topics.pipeline_inputs(spec.name), self._topics.pipeline_outputs(spec.name)})
            case Model(spec=model) if model.dataflow.clean_topics_on_delete:
                return frozenset({self._topics.model_inputs(spec.name), self._topics.model_outputs(spec.name)})
            case _:
                return NOTHING

    # -- the worker ---------------------------------------------------------------------------------------------------

    def tick(self, now_ms: int) -> Outcome:
        """Delete what is due."""
        due = {key: topics for key, (at_ms, topics) in self._due.items() if at_ms <= now_ms}
        for key in due:
            del self._due[key]
        self._deleted |= due
        self._delete(topic for topics in due.values() for topic in topics)
        return Outcome()

    def _delete(self, topics: Iterable[TopicName]) -> None:
        names = list(topics)
        if names and self._deletes:
            self._log.delete_topics(names)

    def wake_ms(self) -> int | None:
        """Return when the next topics are due."""
        return min((at_ms for at_ms, _ in self._due.values()), default=None)
