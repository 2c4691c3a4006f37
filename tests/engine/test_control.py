from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dfml.errors import ConflictError, NotFoundError
from dfml.log import Log, open_log
from dfml.log.base import TopicConfig
from dfml.record import Append, TopicPartition
from dfml.settings import Settings
from dfml.topics import Topics
from dfml_engine.control import Control

ONE = "{steps: [{name: m}], output: {steps: [m]}}"


@pytest.fixture
def log(log_url: str) -> Iterator[Log]:
    with open_log(Settings(log=log_url)) as opened:
        yield opened


@pytest.fixture
def control(log: Log, topics: Topics) -> Control:
    return Control(log, topics, partitions=2, clock=lambda: 1_000)


def versions(loaded: list[Any]) -> list[tuple[str, int]]:
    return [(spec.key.rpartition("/")[0], spec.version) for spec in loaded]


def test_loading_makes_the_topics_of_the_resources(control: Control, log: Log, topics: Topics, texts: Any):
    control.load(texts.documents(texts.pipeline("p", ONE)))
    made = {topics.shorten(name): config.partitions for name, config in log.topics().items()}
    data = ("pipeline.p.inputs", "pipeline.p.outputs", "model.m.inputs", "model.m.outputs", "errors.errors")
    assert {name: made[name] for name in data} == dict.fromkeys(data, 2)
    assert made["control.specs"] == 1


def test_data_topics_keep_their_records_for_the_retention_and_control_topics_for_ever(
    log: Log, topics: Topics, texts: Any
):
    Control(log, topics, partitions=2, retention_ms=60_000).load(texts.documents(texts.pipeline("p", ONE)))
    kept = {topics.shorten(name): config.retention_ms for name, config in log.topics().items()}
    data = ("pipeline.p.inputs", "pipeline.p.outputs", "model.m.inputs", "model.m.outputs", "errors.errors")
    assert {name: kept[name] for name in data} == dict.fromkeys(data, 60_000)
    assert kept["control.specs"] is None


def test_a_first_load_is_version_1_and_a_change_the_next(control: Control, texts: Any):
    before = control.load(texts.documents(texts.model("m", "add1"), texts.pipeline("p", ONE)))
    after = control.load(texts.documents(texts.model("m", "add100")))
    assert versions(before + after) == [("Model/m", 1), ("Pipeline/p", 1), ("Model/m", 2)]


def test_an_unchanged_resource_keeps_its_version_and_writes_nothing(control: Control, log: Log, texts: Any):
    documents = texts.documents(texts.model("m", "add1"), texts.pipeline("p", ONE))
    before = control.load(documents)
    positions = log.end(control_places(log))
    assert control.load(documents) == before
    assert log.end(control_places(log)) == positions


def control_places(log: Log) -> list[Any]:
    return [TopicPartition(name, 0) for name in log.topics() if ".control." in name]


def test_what_is_loaded_with_no_engine_running_waits_for_one(control: Control, texts: Any):
    control.load(texts.documents(texts.model("m", "add1"), texts.pipeline("p", ONE)))
    reasons = {status.name: status.reason for status in control.status()}
    assert reasons["m"] == "no model-gateway has taken it up yet"
    assert reasons["p"].startswith("no engine has taken it up yet")


def test_what_holds_of_several_models_is_said_once_and_names_them(control: Control, texts: Any):
    two = "{steps: [{name: a}, {name: b, inputs: [a]}], output: {steps: [b]}}"
    control.load(texts.documents(texts.model("a", "add1"), texts.model("b", "add1"), texts.pipeline("p", two)))
    [status] = control.status("p")
    assert status.reason.endswith("; no model-gateway has taken it up yet (models a, b)")


def test_unloading_takes_every_version(control: Control, texts: Any):
    control.load(texts.documents(texts.model("m", "add1")))
    control.load(texts.documents(texts.model("m", "add100")))
    control.unload("Model", "m")
    assert control.specs() == []


def test_a_version_number_is_never_given_twice(control: Control, texts: Any):
    control.load(texts.documents(texts.model("m", "add1")))
    control.unload("Model", "m")
    [again] = control.load(texts.documents(texts.model("m", "add1")))
    assert again.version == 2


def test_unloading_what_is_not_loaded_names_what_is(control: Control, texts: Any):
    control.load(texts.documents(texts.model("m", "add1"), texts.pipeline("p", ONE)))
    with pytest.raises(NotFoundError, match="Pipeline 'q' is not loaded; loaded are: Model m, Pipeline p"):
        control.unload("Pipeline", "q")


def test_unloading_from_an_empty_namespace_says_that_nothing_is_loaded(control: Control):
    with pytest.raises(NotFoundError, match="loaded are: nothing"):
        control.unload("Model", "m")


def test_another_partition_count_is_a_conflict_that_names_both(control: Control, log: Log, topics: Topics):
    control.prepare()
    with pytest.raises(ConflictError, match=r"errors.errors' has 2 partitions, but the setting partitions is 3"):
        Control(log, topics, partitions=3).prepare()


def test_a_topic_whose_partition_count_was_changed_by_hand_is_refused_with_both_numbers(
    control: Control, log: Log, topics: Topics
):
    control.prepare()
    log.create_topics([TopicConfig(topics.model_inputs("m"), 5)])
    with pytest.raises(
        ConflictError, match=r"one partition count, here 2, but not 'seldon.default.model.m.inputs' \(5\)"
    ):
        control.prepare()


def test_a_data_topic_with_another_partition_count_is_a_conflict(
    control: Control, log: Log, topics: Topics, texts: Any
):
    log.create_topics([TopicConfig(topics.model_outputs("m"), 5)])
    with pytest.raises(ConflictError, match=r"\(5\)"):
        control.load(texts.documents(texts.pipeline("p", ONE)))


GARBAGE = [
    (b"Model/m/1", b"not json"),
    (b"Model/m/1", b"[]"),
    (b"Model/m/1", b"null"),
    (b"Model/m/1", b"5"),
    (b"\xff", b"{}"),
    (b"Model/m/one", b"{}"),
    (b"nothing", b""),
    (b"Model/m/7", b'{"kind": "Model", "name": "m", "version": 7, "loaded_ms": 1, "resource": {}}'),
    (b"Model/m/7", b'{"kind": "Model", "name": "m", "version": 7, "loaded_ms": 1, "resource": 3}'),
    (b"Model/m/7", b'{"kind": "Model", "name": "m", "version": "x", "loaded_ms": 1, "resource": {"kind": "Model"}}'),
]


@pytest.mark.parametrize(("key", "value"), GARBAGE)
def test_garbage_among_the_specs_is_passed_over(
    control: Control, log: Log, topics: Topics, texts: Any, key: bytes, value: bytes
):
    control.prepare()
    log.append([Append(topics.specs, 0, key, value), Append(topics.status, 0, key, value)])
    control.load(texts.documents(texts.model("ok", "add1")))
    assert [spec.name for spec in control.specs()] == ["ok"]


async def test_a_stack_passes_over_garbage_on_its_control_topics(stack: Callable, texts: Any):
    swapped = texts.documents(texts.model("m", "add1"))[0]
    lie = texts.spec_record("Pipeline", "p", 9, swapped)
    async with stack() as calls:
        calls.load(texts.model("m", "add1"), texts.pipeline("p", ONE))
        for topic in ("control.specs", "control.status"):
            for key, value in [*GARBAGE, lie]:
                calls.append(topic, value, key)
        assert await calls.ask("p", {"X": [1]}) == {"OUT": [2]}
        calls.load(texts.model("m", "add100"))
        assert await calls.ask("p", {"X": [1]}) == {"OUT": [101]}
    async with stack() as calls:
        assert await calls.ask("p", {"X": [1]}) == {"OUT": [101]}
