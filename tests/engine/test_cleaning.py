"""Topics go with what asked for it, after its last requests have had their time, unless it is loaded again."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dfml.log import Log, open_log
from dfml.settings import Settings
from dfml.topics import Topics
from dfml_engine.cleaning import Cleaning
from dfml_engine.control import Control
from dfml_engine.flows import FLOW_AGE_MS
from dfml_engine.registry import LoadedSpec

CLEANED = "{steps: [{name: m}], dataflow: {cleanTopicsOnDelete: true}}"


@pytest.fixture
def log(log_url: str) -> Iterator[Log]:
    with open_log(Settings(log=log_url)) as opened:
        yield opened


@pytest.fixture
def load(log: Log, topics: Topics, texts: Any) -> Callable[..., list[LoadedSpec]]:
    return lambda *documents: Control(log, topics).load(texts.documents(*documents))


def data_topics(log: Log, topics: Topics) -> list[str]:
    return sorted(name for topic in log.topics() if (name := topics.shorten(topic)).startswith(("model.", "pipeline.")))


def test_topics_of_a_pipeline_go_with_it_and_those_of_its_model_stay(
    log: Log, topics: Topics, texts: Any, load: Callable
):
    cleaning = Cleaning(log, topics, lambda: 0, deletes=True)
    for spec in load(
        texts.model("m", "add1"), texts.pipeline("p", CLEANED), texts.pipeline("q", "{steps: [{name: m}]}")
    ):
        cleaning.loaded(spec)
    for name in "pq":
        cleaning.unloaded("Pipeline", name)
    cleaning.tick(FLOW_AGE_MS - 1)
    assert len(data_topics(log, topics)) == 6
    assert cleaning.wake_ms() == FLOW_AGE_MS
    cleaning.tick(FLOW_AGE_MS)
    assert data_topics(log, topics) == [
        f"{of}.{port}" for of in ("model.m", "pipeline.q") for port in ("inputs", "outputs")
    ]
    assert cleaning.wake_ms() is None


def test_topics_of_a_model_go_with_it(log: Log, topics: Topics, texts: Any, load: Callable):
    cleaning = Cleaning(log, topics, lambda: 0, deletes=True)
    [spec] = load(texts.model("m", "add1", dataflow={"cleanTopicsOnDelete": True}))
    cleaning.loaded(spec)
    cleaning.unloaded("Model", "m")
    cleaning.tick(FLOW_AGE_MS)
    assert data_topics(log, topics) == []
    assert cleaning.loaded(spec) == {topics.model_inputs("m"), topics.model_outputs("m")}


def test_what_is_loaded_again_in_time_keeps_its_topics(log: Log, topics: Topics, texts: Any, load: Callable):
    cleaning = Cleaning(log, topics, lambda: 0, deletes=True)
    [spec] = load(texts.pipeline("p", CLEANED))
    cleaning.loaded(spec)
    cleaning.unloaded("Pipeline", "p")
    assert cleaning.loaded(spec) == frozenset()
    cleaning.tick(FLOW_AGE_MS)
    assert "pipeline.p.inputs" in data_topics(log, topics)
