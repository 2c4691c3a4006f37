"""A task that dies at any moment and is made anew from what it had committed and written."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfml import headers as h
from dfml.headers import decode_parents, identity
from dfml.inference.codec import encode_request, encode_response
from dfml.log import Log, TopicConfig, open_log
from dfml.log.sqlite import SqliteLog
from dfml.record import Append, Record, TopicName, TopicPartition
from dfml.settings import Settings
from dfml.topics import Topics
from dfml_engine.recovery import Sent, already_written
from dfml_engine.task import Task
from dfml_engine.topology import Topology
from dfml_engine.writing import Writer

TOPICS = Topics()
FOR_EVER_MS = 10**9
SPECS = {
    join: f"""{{steps: [{{name: a}}, {{name: b}}, {{name: e}}, {{name: c, inputs: [a.outputs.X, b.outputs.Y, e],
        inputsJoinType: {join}, joinWindowMs: 1000}}], output: {{steps: [c]}}}}"""
    for join in ("inner", "outer", "any")
} | {
    "branches": """{steps: [{name: a}, {name: b, inputs: [a.outputs.X]}, {name: e, inputs: [a.outputs.Y]}],
        output: {steps: [b, e], stepsJoin: any}}""",
    "output": "{steps: [{name: a}, {name: b}, {name: e}], output: {steps: [a.outputs.X, b.outputs.Y, e]}}",
    "triggered": """{steps: [{name: a}, {name: b}, {name: e}, {name: c, inputs: [a.outputs.X, b.outputs.Y],
        inputsJoinType: outer, triggers: [e], joinWindowMs: 1000}], output: {steps: [c]}}""",
}


@dataclass
class House:
    """One partition number's topics in memory, and the task that reads them; :meth:`die` loses all but these."""

    topology: Topology
    records: dict[TopicName, list[Record]] = field(default_factory=dict)
    committed: dict[TopicName, int] = field(default_factory=dict)
    read: dict[TopicName, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.task = Task(Writer(TOPICS))

    def put(self, append: Append) -> Record:
        topic = self.records.setdefault(append.topic, [])
        record = Record(append.topic, 0, len(topic), append.key, append.value, append.headers, append.timestamp_ms or 0)
        topic.append(record)
        return record

    def step(self, topic: TopicName) -> bool:
        """Handle the topic's next record and write what comes of it, as one unit."""
        at = self.read.get(topic, self.committed.get(topic, 0))
        if at >= len(self.records.get(topic, ())):
            return False
        record = self.records[topic][at]
        if topic == TOPICS.errors:
            self.task.fail(self.topology, (record.header(h.STEP) or b"").decode(), record)
        elif topic in self.topology.feeds:
            self.task.arrive(self.topology, self.topology.feeds[topic], record)
        self.task.read(record)
        self.read[topic] = at + 1
        self.write()
        return True

    def write(self) -> None:
        appends, self.task.appends = self.task.appends, []
        for append in appends:
            self.put(append)
        self.committed |= {topic: self.task.committable(topic) for topic in self.task.touched}

    def die(self) -> None:
        sent = Sent()
        for topic in (*(rule.sink for rule in self.topology.rules), TOPICS.errors, TOPICS.fates):
            for record in self.records.get(topic, ()):
                sent.add(record)
        self.task, self.read = Task(Writer(TOPICS), sent), {}

    def close(self) -> None:
        self.task.close_windows(FOR_EVER_MS)
        self.write()

    # -- what came of it ----------------------------------------------------------------------------------------------

    def results(self) -> Counter[tuple[str, ...]]:
        """Count the results by topic, step and request."""
        sinks = {rule.sink for rule in self.topology.rules}
        made = [record for topic in sinks for record in self.records.get(topic, ())]
        return Counter((record.topic, *identity(record)[2:4]) for record in made)

    def errors(self) -> Counter[tuple[str, ...]]:
        """Count the errors by step and request."""
        return Counter(identity(record)[2:4] for record in self.records.get(TOPICS.errors, ()))

    def failed(self) -> set[str]:
        """Return the requests with an error: which one comes first is a matter of order."""
        return {request for _, request in self.errors()}

    def fates(self) -> Counter[tuple[str, ...]]:
        """Count by topic, request and rule how often a record was used by the rule or dropped."""
        topics = {rule.sink for rule in self.topology.rules} | {TOPICS.fates}
        return Counter(
            (parent.topic, identity(record).request, identity(record).step)
            for topic in topics
            for record in self.records.get(topic, ())
            for parent in decode_parents(record.header(h.PARENTS) or b"", 0, TOPICS)
        )

    def outputs(self) -> dict[str, bytes]:
        return {identity(record).request: record.value for record in self.records.get(TOPICS.pipeline_outputs("p"), ())}


@dataclass
class Play:
    """Requests, models and a reader that take turns as they are told; the reader may die between any two."""

    house: House
    kinds: dict[tuple[str, str], str]
    values: dict[str, bytes]
    answered: set[tuple[str, str]] = field(default_factory=set)
    waiting: list[str] = field(default_factory=lambda: ["r1", "r2", "r3"])

    def enter(self) -> bool:
        if self.waiting:
            self.house.put(message(TOPICS.pipeline_inputs("p"), self.waiting.pop(0), "", ENTRY))
            return True
        return False

    def answer(self, number: int) -> bool:
        """Let one of the models that were called answer: with the tensor X, Y or Z, or an error."""
        called = [
            (step, record.key.decode())
            for step in "abe"
            for record in self.house.records.get(TOPICS.model_inputs(step), ())
            if (step, record.key.decode()) not in self.answered
        ]
        if not called:
            return False
        step, request = called[number % len(called)]
        self.answered.add((step, request))
        kind = self.kinds[step, request]
        topic = TOPICS.errors if kind == "error" else TOPICS.model_outputs(step)
        self.house.put(message(topic, request, step, self.values[kind]))
        return True

    def act(self, action: str, number: int, order: Sequence[TopicName]) -> None:
        match action:
            case "enter":
                self.enter()
            case "answer":
                self.answer(number)
            case "read":
                # The first topic, in an order that rotates, which has something to be read.
                any(self.house.step(order[(number + more) % len(order)]) for more in range(len(order)))
            case "die":
                self.house.die()

    def finish(self, order: Sequence[TopicName]) -> None:
        """Let everything go its way to the end, then close the windows."""
        while any([self.enter(), self.answer(0), *(self.house.step(topic) for topic in order)]):
            pass
        self.house.close()
        while any([self.answer(0), *(self.house.step(topic) for topic in order)]):
            pass
        self.house.close()


ENTRY = encode_request({"X": np.ones(1)}, model_name="p", request_id="r").SerializeToString()


def message(topic: TopicName, request: str, step: str, value: bytes) -> Append:
    named = ((h.PIPELINE, b"p"), (h.VERSION, b"1"), (h.REQUEST, request.encode()))
    named += ((h.STEP, step.encode()),) if step else ()
    named += ((h.ERROR_KIND, b"raised"),) if topic == TOPICS.errors else ()
    return Append(topic, 0, request.encode(), value, named)


@pytest.fixture(scope="module")
def play(compile_spec: Callable) -> Callable[..., Play]:
    def encoded(name: str) -> bytes:
        return encode_response({name: np.ones(1)}, model_name="m", request_id="r").SerializeToString()

    values = {kind: encoded(kind) for kind in "XYZ"} | {"error": b"boom"}
    topologies = {name: compile_spec("p", spec) for name, spec in SPECS.items()}
    return lambda name, kinds: Play(House(topologies[name]), kinds, values)


READ = [TOPICS.pipeline_inputs("p"), *(TOPICS.model_outputs(step) for step in "abec"), TOPICS.errors]
orders = st.permutations(READ)
each_answer = [(step, request) for step in "abe" for request in ("r1", "r2", "r3")]
answers = st.fixed_dictionaries({each: st.sampled_from(["X", "X", "Y", "Y", "Z", "error"]) for each in each_answer})
ACTIONS = ("read", "read", "answer", "enter")
turns = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 5)), max_size=40)
mortal_turns = st.lists(st.tuples(st.sampled_from((*ACTIONS, "die")), st.integers(0, 5)), max_size=40)


@settings(max_examples=200, deadline=None)
@given(st.data())
@pytest.mark.parametrize("name", SPECS)
def test_a_task_that_dies_loses_nothing_and_does_nothing_twice(play: Callable, name: str, data: st.DataObject):
    kinds, order = data.draw(answers), data.draw(orders)
    plain, mortal = play(name, kinds), play(name, kinds)
    plain.finish(order)
    for action, number in data.draw(mortal_turns):
        mortal.act(action, number, order)
    mortal.finish(order)
    assert mortal.house.results() == plain.house.results()
    assert mortal.house.fates() == plain.house.fates()
    assert mortal.house.failed() == plain.house.failed()
    counts = (mortal.house.results(), mortal.house.fates(), mortal.house.errors())
    assert {n for count in counts for n in count.values()} <= {1}
    assert mortal.house.committed == {
        topic: len(records) for topic, records in mortal.house.records.items() if topic in mortal.house.committed
    }
    if name != "any":
        assert mortal.house.outputs() == plain.house.outputs()


@settings(max_examples=100, deadline=None)
@given(answers, turns, orders)
@pytest.mark.parametrize("name", SPECS)
def test_the_order_of_arrival_changes_no_result(
    play: Callable, name: str, kinds: dict[Any, str], moves: list[Any], order: list[TopicName]
):
    one, other = play(name, kinds), play(name, kinds)
    one.finish(READ)
    for action, number in moves:
        other.act(action, number, order)
    other.finish(order)
    assert one.house.results() == other.house.results()
    assert one.house.failed() == other.house.failed()
    assert one.house.fates() == other.house.fates()


# -- what stands in the sinks -----------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "kafka"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    if request.param == "sqlite":
        with SqliteLog(tmp_path / "log.db") as opened:
            yield opened
        return
    with open_log(Settings(log=request.getfixturevalue("kafka_address"))) as opened:
        yield opened


@pytest.fixture
def own() -> Topics:
    """Name topics that no other test has: a broker is shared."""
    return Topics(f"recovery-{uuid4().hex[:8]}")


def test_a_late_copy_does_not_take_an_answer_back_that_an_earlier_owner_gave(compile_spec: Callable):
    spec = """{steps: [{name: a}, {name: b}, {name: c, inputs: [a.outputs.Z]}, {name: e, inputs: [a.outputs.X, b]}],
        output: {steps: [e, c], stepsJoin: any}}"""
    house, values = House(compile_spec("p", spec)), {}
    for step, name in (("a", "X"), ("b", "Y"), ("e", "X")):
        value = encode_response({name: np.ones(1)}, model_name="m", request_id="r").SerializeToString()
        values[step] = message(TOPICS.model_outputs(step), "r1", step, value)
        house.step(house.put(values[step]).topic)
    assert house.results()[TOPICS.pipeline_outputs("p"), "", "r1"] == 1
    sent = Sent()
    for record in house.records[TOPICS.pipeline_outputs("p")]:
        sent.add(record)
    house.task = Task(Writer(TOPICS), sent)
    house.step(house.put(values["a"]).topic)
    house.close()
    assert house.errors() == {}


def test_only_results_at_the_partition_numbers_that_are_read_again_are_looked_at(log: Log, own: Topics):
    source, sink = own.model_outputs("a"), own.model_inputs("b")
    named = ((h.PIPELINE, b"p"), (h.VERSION, b"1"), (h.STEP, b"b"), (h.PARENTS, b"model.a.outputs@0"))
    log.create_topics([TopicConfig(source, 2), TopicConfig(sink, 2)])
    log.append([Append(topic, number, b"r", b"", named) for topic in (source, sink) for number in (0, 1)])
    starts = {TopicPartition(source, 0): 0, TopicPartition(source, 1): 1}
    found = already_written(log, starts, lambda: [sink, own.errors])
    assert [number for number, sent in found.items() if sent] == [0]
    assert (sink, identity(Record(sink, 0, 0, b"r", b"", named, 0))) in found[0]


def test_results_older_than_what_is_read_again_are_not_looked_at(log: Log, own: Topics):
    source, sink = own.model_outputs("a"), own.model_inputs("b")
    log.create_topics([TopicConfig(source), TopicConfig(sink)])
    log.append([Append(sink, 0, b"old", b"", timestamp_ms=1_000), Append(sink, 0, b"new", b"", timestamp_ms=90_000)])
    log.append([Append(source, 0, b"r", b"", timestamp_ms=92_000)])
    found = already_written(log, {TopicPartition(source, 0): 0}, lambda: [sink])
    requests = {key for key in (b"old", b"new") if (sink, identity(Record(sink, 0, 0, key, b"", (), 0))) in found[0]}
    assert requests == {b"new"}


@pytest.mark.parametrize("value", [b"\xffgarbage", b"", b"[]", b'{"reason": ["x"]}'])
def test_a_fate_that_is_none_of_ours_says_nothing_of_its_rule(value: bytes):
    record, sent = Record(TOPICS.fates, 0, 0, b"r1", value, (), 0), Sent()
    sent.add(record)
    assert sent.given_up(identity(record)) is None
