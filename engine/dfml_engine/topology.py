"""From a pipeline's spec to its firing rules: the compiled form that tasks run.

A pipeline has one rule for each step (its sink is the model's inputs), one for its output, and one for its external
inputs where it has any (its sink is the pipeline's own inputs). The tensors that a rule wants are grouped by topic: a
*source* is one topic, and each source of a rule has a *slot*, data sources first, then triggers. Sets of slots are
integers used as bit masks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from dfml import headers as h
from dfml.record import Headers, StepName, TopicName
from dfml.spec.reference import Reference, parse_external, parse_reference
from dfml.spec.schema import Batch, Join, Pipeline, Step
from dfml.topics import Topics

OUTPUT = StepName("")
"""The step name of the rules whose sink is a topic of the pipeline itself."""


@dataclass(frozen=True, slots=True)
class Source:
    """One topic that a rule reads: the tensors wanted from it (empty: all) and what they are renamed to."""

    topic: TopicName
    pipeline: str
    producer: str | None
    port: str
    wanted: tuple[str, ...]
    renames: Mapping[str, str]

    @property
    def name(self) -> str:
        """The source as a user would write it: ``step.outputs`` or ``pipeline.inputs``."""
        return f"{self.producer or self.pipeline}.{self.port}"

    def missing(self, present: Iterable[str]) -> tuple[str, ...]:
        """Return the wanted tensors that are not present, as references."""
        found = set(present)
        return tuple(f"{self.name}.{tensor}" for tensor in self.wanted if tensor not in found)


@dataclass(frozen=True, slots=True)
class FiringRule:
    """When a step fires and with what. ``index`` is the rule's place in its topology."""

    index: int
    step: StepName
    sources: tuple[Source, ...]
    triggers: tuple[Source, ...]
    join: Join
    triggers_join: Join
    window_ms: int
    sink: TopicName
    sink_port: str
    batch: Batch | None = None
    pieces: tuple[tuple[int, tuple[str, ...]], ...] = ()
    """What is taken of which source, in the order of the spec, where that goes back and forth between sources."""

    @property
    def joins_any(self) -> bool:
        """Whether records may still come when it has fired."""
        return self.join is Join.ANY or (bool(self.triggers) and self.triggers_join is Join.ANY)

    @property
    def fires_short(self) -> bool:
        """Whether it may fire without some of its records, which may still come."""
        joins = (self.join, self.triggers_join) if self.triggers else (self.join,)
        return len(self.slots) > 1 and any(join is not Join.INNER for join in joins)

    def join_of(self, slot: int) -> Join:
        """Return the join that the slot takes part in."""
        return self.join if slot < len(self.sources) else self.triggers_join

    @property
    def slots(self) -> tuple[Source, ...]:
        """Sources and triggers in the order of their slots."""
        return self.sources + self.triggers

    @property
    def data_mask(self) -> int:
        """The slots of the data sources."""
        return (1 << len(self.sources)) - 1

    @property
    def trigger_mask(self) -> int:
        """The slots of the triggers."""
        return ((1 << len(self.triggers)) - 1) << len(self.sources)

    def needs_all_tensors(self, slot: int) -> bool:
        """Whether a record without one of the slot's wanted tensors does not count as an arrival."""
        return self.join_of(slot) is Join.INNER


@dataclass(frozen=True, slots=True)
class Feed:
    """A topic's record goes to this slot of this rule; ``turn`` is 1 where the edge closes a cycle."""

    rule: int
    slot: int
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Topology:
    """All firing rules of one version of a pipeline.

    ``feeds`` says which slots a topic's records of this pipeline fill, ``external_feeds`` the same for records of other
    pipelines (by topic and pipeline name), ``dependants`` which slots stay empty for ever when a rule never fires.
    Of other pipelines it reads what was written at ``since_ms`` (milliseconds since the epoch) or later. ``naming`` is
    pipeline and version as headers.
    """

    pipeline: str
    version: int
    naming: Headers
    rules: tuple[FiringRule, ...]
    feeds: Mapping[TopicName, tuple[Feed, ...]]
    external_feeds: Mapping[tuple[TopicName, str], tuple[Feed, ...]]
    dependants: tuple[tuple[Feed, ...], ...]
    cyclic: bool
    max_step_revisits: int
    models: tuple[str, ...]
    since_ms: int

    @property
    def name(self) -> str:
        """Pipeline and version, for messages."""
        return f"{self.pipeline} v{self.version}"

    def is_read(self, topic: TopicName) -> bool:
        """Whether a record of this pipeline on the topic has a reader: a rule, the model gateway or the caller."""
        return topic in self.feeds or any(rule.sink == topic for rule in self.rules)

    def rule_of(self, step: str) -> FiringRule | None:
        """Return the rule that calls this step's model."""
        return next((rule for rule in self.rules if rule.step == step and step != OUTPUT), None)

    def output_rule(self) -> FiringRule | None:
        """Return the rule that writes the pipeline's outputs, if it has any."""
        return next((rule for rule in self.rules if rule.step == OUTPUT and rule.sink_port == "outputs"), None)


def compile_pipeline(pipeline: Pipeline, version: int, topics: Topics, since_ms: int = 0) -> Topology:
    """Compile a validated pipeline into its topology."""
    rules = tuple(_rules(pipeline, topics))
    successors = [[feed.rule for feed in _feeds_from(rules, rule, pipeline.name)] for rule in rules]
    back = _back_edges(successors, _entries(rules, pipeline.name))
    own, external = _feeds(rules, pipeline.name, back)
    return Topology(
        pipeline=pipeline.name,
        version=version,
        naming=((h.PIPELINE, pipeline.name.encode()), (h.VERSION, b"%d" % version)),
        rules=rules,
        feeds=own,
        external_feeds=external,
        dependants=tuple(tuple(_dependants(rules, rule, pipeline.name)) for rule in rules),
        cyclic=bool(back),
        max_step_revisits=pipeline.spec.max_step_revisits,
        models=tuple(step.name for step in pipeline.spec.steps),
        since_ms=since_ms,
    )


def _rules(pipeline: Pipeline, topics: Topics) -> Iterable[FiringRule]:
    index = 0
    for step in pipeline.spec.steps:
        yield _step_rule(index, step, pipeline.name, topics)
        index += 1
    if pipeline.spec.output is not None and pipeline.spec.output.steps:
        yield _output_rule(index, pipeline, topics)
        index += 1
    if pipeline.spec.input is not None and (
        pipeline.spec.input.external_inputs or pipeline.spec.input.external_triggers
    ):
        yield _input_rule(index, pipeline, topics)


def _step_rule(index: int, step: Step, name: str, topics: Topics) -> FiringRule:
    inputs = [parse_reference(text, name) for text in step.inputs] or [Reference(name, None, "inputs", None)]
    renames = _renames(step.tensor_map, name)
    return FiringRule(
        index=index,
        step=StepName(step.name),
        sources=_sources(inputs, renames, topics),
        triggers=_sources([parse_reference(text, name) for text in step.triggers], {}, topics),
        join=step.inputs_join_type,
        triggers_join=step.triggers_join_type,
        window_ms=step.join_window_ms,
        sink=topics.model_inputs(step.name),
        sink_port="inputs",
        batch=step.batch if step.batch is not None and (step.batch.size > 1 or step.batch.window_ms) else None,
        pieces=_pieces(inputs),
    )


def _output_rule(index: int, pipeline: Pipeline, topics: Topics) -> FiringRule:
    output = pipeline.spec.output
    assert output is not None
    answers = [parse_reference(text, pipeline.name) for text in output.steps]
    return FiringRule(
        index=index,
        step=OUTPUT,
        sources=_sources(answers, _renames(output.tensor_map, pipeline.name), topics),
        triggers=(),
        join=output.steps_join,
        triggers_join=Join.INNER,
        window_ms=output.join_window_ms,
        sink=topics.pipeline_outputs(pipeline.name),
        sink_port="outputs",
        pieces=_pieces(answers),
    )


def _input_rule(index: int, pipeline: Pipeline, topics: Topics) -> FiringRule:
    entry = pipeline.spec.input
    assert entry is not None
    renames = {parse_external(text): new for text, new in entry.tensor_map.items()}
    inputs = [parse_external(text) for text in entry.external_inputs]
    return FiringRule(
        index=index,
        step=OUTPUT,
        sources=_sources(inputs, renames, topics),
        triggers=_sources([parse_external(text) for text in entry.external_triggers], {}, topics),
        join=entry.join_type,
        triggers_join=entry.triggers_join_type,
        window_ms=entry.join_window_ms,
        sink=topics.pipeline_inputs(pipeline.name),
        sink_port="inputs",
        pieces=_pieces(inputs),
    )


def _renames(tensor_map: Mapping[str, str], name: str) -> dict[Reference, str]:
    return {parse_reference(text, name): new for text, new in tensor_map.items()}


def _sources(references: Sequence[Reference], renames: Mapping[Reference, str], topics: Topics) -> tuple[Source, ...]:
    """Group references by topic, in the order of first mention; a bare reference wants all tensors."""
    grouped: dict[tuple[TopicName, str], list[Reference]] = {}
    for reference in references:
        grouped.setdefault((reference.topic(topics), reference.pipeline), []).append(reference)
    return tuple(_source(topic, group, renames) for (topic, _), group in grouped.items())


def _pieces(references: Sequence[Reference]) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Return (slot, tensors) for each run of references to one source; empty when every source is named in one run."""
    places = list(dict.fromkeys(reference.whole for reference in references))
    runs = [(places.index(whole), list(run)) for whole, run in groupby(references, key=lambda each: each.whole)]
    if len(runs) == len(places):
        return ()
    return tuple((slot, tuple(each.tensor for each in run if each.tensor is not None)) for slot, run in runs)


def _source(topic: TopicName, group: Sequence[Reference], renames: Mapping[Reference, str]) -> Source:
    first = group[0]
    whole = any(reference.tensor is None for reference in group)
    new_names = {
        reference.tensor: new
        for reference, new in renames.items()
        if reference.tensor is not None
        and (reference.pipeline, reference.step, reference.port) == (first.pipeline, first.step, first.port)
    }
    return Source(
        topic=topic,
        pipeline=first.pipeline,
        producer=first.step,
        port=first.port,
        wanted=() if whole else tuple(reference.tensor for reference in group if reference.tensor is not None),
        renames=new_names,
    )


def _feeds(
    rules: Sequence[FiringRule], name: str, back: set[tuple[int, int]]
) -> tuple[dict[TopicName, tuple[Feed, ...]], dict[tuple[TopicName, str], tuple[Feed, ...]]]:
    own: dict[TopicName, tuple[Feed, ...]] = {}
    external: dict[tuple[TopicName, str], tuple[Feed, ...]] = {}
    steps = {rule.step: rule.index for rule in rules if rule.step != OUTPUT}
    for rule in rules:
        for slot, source in enumerate(rule.slots):
            if source.pipeline == name:
                turn = int((steps.get(StepName(source.producer or ""), -1), rule.index) in back)
                own[source.topic] = (*own.get(source.topic, ()), Feed(rule.index, slot, turn))
            else:
                key = (source.topic, source.pipeline)
                external[key] = (*external.get(key, ()), Feed(rule.index, slot))
    return own, external


def _feeds_from(rules: Sequence[FiringRule], producer: FiringRule, name: str) -> Iterable[Feed]:
    """Yield the slots that only this rule's firing can fill."""
    for rule in rules:
        for slot, source in enumerate(rule.slots):
            if source.pipeline == name and source.producer == producer.step and producer.step != OUTPUT:
                yield Feed(rule.index, slot)


def _dependants(rules: Sequence[FiringRule], producer: FiringRule, name: str) -> Iterable[Feed]:
    """Yield the slots that stay empty for ever when this rule never fires."""
    yield from _feeds_from(rules, producer, name)
    for rule in rules if producer.step == OUTPUT and producer.sink_port == "outputs" else ():
        for slot, source in enumerate(rule.slots):
            if source.pipeline == name and source.producer is None and source.port == "outputs":
                yield Feed(rule.index, slot)


def _entries(rules: Sequence[FiringRule], name: str) -> list[int]:
    """Return the rules that the pipeline's own inputs reach directly, in order."""
    return [
        rule.index
        for rule in rules
        if any(source.producer is None and source.pipeline == name for source in rule.slots)
    ]


def _back_edges(successors: Sequence[Sequence[int]], entries: Sequence[int]) -> set[tuple[int, int]]:
    """Return the edges that close a cycle in a depth-first walk from the entries, in the order of the spec."""
    back: set[tuple[int, int]] = set()
    done: set[int] = set()
    for root in [*entries, *range(len(successors))]:
        if root in done:
            continue
        path, trail = {root}, [(root, iter(successors[root]))]
        while trail:
            rule, following = trail[-1]
            for successor in following:
                if successor in path:
                    back.add((rule, successor))
                elif successor not in done:
                    path.add(successor)
                    trail.append((successor, iter(successors[successor])))
                    break
            else:
                trail.pop()
                path.discard(rule)
                done.add(rule)
    return back
