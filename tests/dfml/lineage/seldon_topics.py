"""Topics as a Seldon Core 2 installation would leave them: no header of ours, its keys, text errors, any partitions.

The pipeline is ``claims``: ``value`` -> ``split`` -> ``low`` or ``high`` -> the answer of either.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from dfml.inference.codec import encode_request, encode_response
from dfml.topics import Topics

PARTITIONS = 3
"""Of every topic but the errors', which has one."""
BAD_AMOUNT = 13.0
"""The model ``value`` fails on it."""


@dataclass
class SeldonTopics:
    """Writes the records of whole requests; ``factor`` is what the model ``value`` multiplies by."""

    servers: str
    topics: Topics
    now_ms: int
    factor: float = 1.05
    _made: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._producer = Producer({"bootstrap.servers": self.servers})
        steps = ("value", "split", "low", "high")
        data = [self.topics.pipeline_inputs("claims"), self.topics.pipeline_outputs("claims")]
        data += [make(step) for step in steps for make in (self.topics.model_inputs, self.topics.model_outputs)]
        counts = {**dict.fromkeys(data, PARTITIONS), self.topics.errors: 1}
        new = [NewTopic(name, count, 1, config={"retention.ms": "-1"}) for name, count in counts.items()]
        admin = AdminClient({"bootstrap.servers": self.servers})
        for made in admin.create_topics(new).values():
            made.result(20)

    def claim(self, request: str, amount: float) -> None:
        """Write what one request leaves behind."""
        self._write(self.topics.pipeline_inputs("claims"), request, {"amount": amount})
        self._write(self.topics.model_inputs("value"), request, {"amount": amount})
        if amount == BAD_AMOUNT:
            self._send(
                self.topics.errors, request, b"value: 13 brings bad luck", [("seldon-pipeline-errors", b"model")]
            )
            return
        value = amount * self.factor
        self._write(self.topics.model_outputs("value"), request, {"value": value})
        self._write(self.topics.model_inputs("split"), request, {"value": value})
        branch = "high" if value > 100 else "low"
        self._write(self.topics.model_outputs("split"), request, {branch: value})
        self._write(self.topics.model_inputs(branch), request, {branch: value})
        payout = {"payout": value * (0.5 if branch == "high" else 0.9)}
        self._write(self.topics.model_outputs(branch), request, payout)
        self._write(self.topics.pipeline_outputs("claims"), request, payout)

    def _write(self, topic: str, request: str, tensors: Mapping[str, float]) -> None:
        arrays = {name: np.array([value]) for name, value in tensors.items()}
        encode = encode_request if topic.endswith("inputs") else encode_response
        self._send(topic, request, encode(arrays, model_name="", request_id=request).SerializeToString())

    def _send(self, topic: str, request: str, value: bytes, own: list[tuple[str, bytes]] | None = None) -> None:
        partition = 0 if topic == self.topics.errors else sum(request.encode()) % PARTITIONS
        key = f"{partition}.claims.{request}"
        headers = [("pipeline", b"claims"), ("x-request-id", request.encode()), *(own or [])]
        self._producer.produce(topic, value, key, partition, timestamp=self.now_ms, headers=headers)
        self.now_ms += 1

    def flush(self) -> None:
        """Wait until everything is on the log."""
        assert self._producer.flush(20) == 0
