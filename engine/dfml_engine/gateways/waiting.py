"""What a request is waiting for, told from the log alone.

The records of the request on the pipeline's topics say which rules have fired and which models have answered; the
topology says what is still to come. Nothing is asked of the engine, so it works when the engine is the one that hangs.
"""

from dataclasses import dataclass

from dfml import headers as h
from dfml.log.base import Log
from dfml.record import Record, TopicName, TopicPartition
from dfml.topics import Topics
from dfml_engine.gateways.lookup import read_range
from dfml_engine.topology import FiringRule, Topology


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a request is: its pipeline's topology, its partition number, its id, and when it began (ms)."""

    topology: Topology
    partition: int
    request: str
    since_ms: int


def request_records(log: Log, topics: Topics, where: Whereabouts) -> list[Record]:
    """Return every record of the request on its pipeline's topics and the errors topic; reads the log since then."""
    wanted = {rule.sink for rule in where.topology.rules} | {
        topics.errors,
        topics.pipeline_inputs(where.topology.pipeline),
    }
    wanted |= {topics.model_outputs(model) for model in where.topology.models}
    known = log.topics()
    places = [TopicPartition(topic, where.partition) for topic in sorted(wanted) if topic in known]
    return [
        record
        for record in read_range(log, log.offsets_at(places, where.since_ms))
        if record.key == where.request.encode()
        and (record.header(h.PIPELINE) or b"").decode(errors="replace") == where.topology.pipeline
    ]


def waiting_for(log: Log, topics: Topics, where: Whereabouts) -> tuple[str, ...]:
    """Say what the request waits for, one text for each thing, the models that have not answered first."""
    records = request_records(log, topics, where)
    here = {record.topic for record in records}
    failed = {(record.header(h.STEP) or b"").decode() for record in records if record.topic == topics.errors}
    called = [
        f"model '{rule.step}' to answer"
        for rule in where.topology.rules
        if rule.step and rule.sink in here and rule.step not in failed
        if topics.model_outputs(rule.step) not in here
    ]
    joins = [text for rule in where.topology.rules if rule.sink not in here and (text := _open_join(rule, here))]
    return tuple(called + joins) or ("the engine to take it up",)


def _open_join(rule: FiringRule, here: set[TopicName]) -> str:
    """Describe a rule that has some of its sources but not all; "" when it has none."""
    missing = [source.name for source in rule.slots if source.topic not in here]
    if not missing or len(missing) == len(rule.slots):
        return ""
    name = f"step '{rule.step}'" if rule.step else "the output"
    return f"{name} to get {', '.join(missing)}"
