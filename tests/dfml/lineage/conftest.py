"""Writes records on a real log as engine and gateways do, so that every fact about them is known to the test."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from dfml import headers as h
from dfml.inference.codec import encode_request, encode_response
from dfml.lineage.store import LineageStore
from dfml.lineage.tap import Tap
from dfml.log import Log, TopicConfig, open_log
from dfml.record import Append, Headers, Position, TopicName
from dfml.settings import Settings
from dfml.spec import parse_resources
from dfml.spec.dump import dump_resource
from dfml.topics import Topics

STARTED_MS = 1_700_000_000_000
CLAIMS = """
apiVersion: mlops.seldon.io/v1alpha1
kind: Pipeline
metadata: {name: claims}
spec:
  steps:
    - name: value
    - name: split
      inputs: [value]
    - name: low
      inputs: [split.outputs.low]
    - name: high
      inputs: [split.outputs.high, value.outputs]
  output:
    steps: [low, high]
    stepsJoin: any
"""


class Pen:
    """Writes one namespace's records; every write takes a millisecond of the pen's own clock."""

    def __init__(self, log: Log, topics: Topics, pipeline: str = "claims", partitions: int = 1) -> None:
        self.log, self.topics, self.pipeline, self.partitions = log, topics, pipeline, partitions
        self.now_ms = STARTED_MS
        self.extra: Headers = ()
        self._made: set[TopicName] = set()

    def write(
        self,
        topic: TopicName,
        request: str,
        value: bytes,
        own: Headers = (),
        parents: Sequence[Position] = (),
        **where: int,
    ) -> Position:
        if topic not in self._made:
            self.log.create_topics([TopicConfig(topic, partitions=self.partitions)])
            self._made.add(topic)
        partition = where.get("partition", parents[0].partition if parents else 0)
        found: list[tuple[str, bytes]] = [
            (h.PIPELINE, self.pipeline.encode()),
            (h.VERSION, b"1"),
            (h.REQUEST, request.encode()),
            *self.extra,
            *own,
        ]
        if parents:
            found.append((h.PARENTS, h.encode_parents(parents, partition, self.topics)))
        self.now_ms += 1
        append = Append(topic, partition, request.encode(), value, tuple(found), self.now_ms)
        return self.log.append([append])[0]

    def enter(self, request: str, tensors: Mapping[str, object], partition: int = 0) -> Position:
        value = encode_request(_arrays(tensors), model_name=self.pipeline, request_id=request).SerializeToString()
        return self.write(self.topics.pipeline_inputs(self.pipeline), request, value, partition=partition)

    def call(self, step: str, request: str, parents: Sequence[Position], tensors: Mapping[str, object]) -> Position:
        value = encode_request(_arrays(tensors), model_name=step, request_id=request).SerializeToString()
        return self.write(self.topics.model_inputs(step), request, value, ((h.STEP, step.encode()),), parents)

    def give(self, step: str, request: str, parents: Sequence[Position], tensors: Mapping[str, object]) -> Position:
        value = encode_response(_arrays(tensors), model_name=step, request_id=request).SerializeToString()
        own: Headers = ((h.STEP, step.encode()), (h.QUEUE_US, b"40"), (h.SERVICE_US, b"250"))
        return self.write(self.topics.model_outputs(step), request, value, own, parents)

    def reply(self, request: str, parents: Sequence[Position], tensors: Mapping[str, object]) -> Position:
        value = encode_response(_arrays(tensors), model_name=self.pipeline, request_id=request).SerializeToString()
        return self.write(self.topics.pipeline_outputs(self.pipeline), request, value, (), parents)

    def fail(self, step: str, request: str, parents: Sequence[Position], text: str) -> Position:
        own = ((h.STEP, step.encode()), (h.ERROR_KIND, b"raised"), (h.ERROR_STATUS, b"500"))
        return self.write(self.topics.errors, request, text.encode(), own, parents)

    def drop(self, step: str, request: str, dropped: Position, reason: str, missing: Sequence[str] = ()) -> Position:
        value = json.dumps({"fate": "dropped", "reason": reason, "missing": list(missing)}).encode()
        return self.write(self.topics.fates, request, value, ((h.STEP, step.encode()),), [dropped])

    def load(self, text: str = CLAIMS, version: int = 1) -> None:
        for resource in parse_resources(text, source="test"):
            said = {
                "kind": resource.kind,
                "name": resource.name,
                "version": version,
                "resource": dump_resource(resource),
            }
            self.log.create_topics([TopicConfig(self.topics.specs)])
            value = json.dumps({**said, "loaded_ms": self.now_ms}).encode()
            self.log.append(
                [Append(self.topics.specs, 0, f"{resource.kind}/{resource.name}/{version}".encode(), value)]
            )

    def claim(self, request: str, amount: float, partition: int = 0) -> dict[str, Position]:
        """One request through the claims pipeline: amounts under 60 go to low, others are joined in high."""
        at = {"in": self.enter(request, {"amount": [amount], "kind": [b"car"]}, partition)}
        at["value.in"] = self.call("value", request, [at["in"]], {"amount": [amount]})
        at["value"] = self.give(
            "value", request, [at["value.in"]], {"value": [amount * 1.05], "parts": [amount, 1.0, 2.0]}
        )
        at["split.in"] = self.call("split", request, [at["value"]], {"value": [amount * 1.05]})
        branch, other = ("low", "high") if amount < 60 else ("high", "low")
        at["split"] = self.give("split", request, [at["split.in"]], {branch: [amount * 1.05]})
        self.drop(other, request, at["split"], "filtered", [f"split.outputs.{other}"])
        parents = [at["split"]] if branch == "low" else [at["split"], at["value"]]
        if branch == "low":
            self.drop("high", request, at["value"], "join window closed", ["split.outputs.high"])
        at["call"] = self.call(branch, request, parents, {branch: [amount * 1.05]})
        at["branch"] = self.give(branch, request, [at["call"]], {"payout": [amount * 0.8]})
        at["out"] = self.reply(request, [at["branch"]], {"payout": [amount * 0.8]})
        return at


def _arrays(tensors: Mapping[str, object]) -> dict[str, np.ndarray]:
    return {name: _array(value) for name, value in tensors.items()}


def _array(value: object) -> np.ndarray:
    array = np.asarray(value)
    return array.astype(object) if array.dtype.kind == "S" else array


@pytest.fixture
def topics() -> Topics:
    return Topics("seldon", "default")


@pytest.fixture
def log_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'log.db'}"


@pytest.fixture
def log(log_url: str) -> Iterator[Log]:
    with open_log(Settings(log=log_url)) as opened:
        yield opened


@pytest.fixture
def pen(log: Log, topics: Topics) -> Pen:
    return Pen(log, topics)


@pytest.fixture
def store(tmp_path: Path, topics: Topics) -> Iterator[LineageStore]:
    with LineageStore(tmp_path / "lineage.db", topics=topics) as opened:
        yield opened


class Tapped:
    """A tap on the test's log, stepped by hand."""

    def __init__(self, log: Log, store: LineageStore, topics: Topics) -> None:
        self._parts = (log, store, topics)

    def __call__(self) -> int:
        """Read all that is on the log now with a fresh tap, as after a restart; return how many records came."""
        tap = Tap(*self._parts)
        n_records = 0
        while n_new := tap.step(0.0):
            n_records += n_new
        tap.close()
        return n_records


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Wait for a condition, at most 20 s."""

    def wait(condition: Callable[[], bool]) -> None:
        end_s = time.monotonic() + 20
        pause = Event()
        while not condition():
            assert time.monotonic() < end_s, "waited 20 s in vain"
            pause.wait(0.01)

    return wait


@pytest.fixture
def tap_all(log: Log, store: LineageStore, topics: Topics) -> Tapped:
    return Tapped(log, store, topics)
