"""One measurement: topics that are filled beforehand, processes that work on them, and the log that says how far."""

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from dfml import headers as h
from dfml.inference.codec import encode_request, encode_response
from dfml.log import TopicConfig, open_log
from dfml.log.base import Log
from dfml.record import Append, TopicName, TopicPartition
from dfml.settings import KAFKA_SCHEME, Settings
from dfml.spec import parse_resources
from dfml.topics import Topics
from dfml_engine.control import Control
from experiments.engine_throughput.operators import API, CHAIN, HOP_SPEC, NAME, Operator
from experiments.kafka_throughput.processes import Watched, bare_loop, workers

PARTITIONS = 4
BATCH = 1_000
NUMBERS = 16
LOOK_S = 0.02
PATIENCE_S = 300.0
SENT_S = 60.0


@dataclass(frozen=True, slots=True)
class Throughput:
    """What came of it, from the first result on: per second, CPU for 100,000 records read, memory of one process."""

    records_per_second: float
    results_per_second: float
    cpu_seconds_per_100k: float
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Bench:
    """A namespace of its own on a cluster.

    Attributes
    ----------
    settings
        The cluster and the namespace's prefix.
    log
        The cluster's log.
    """

    settings: Settings
    log: Log

    @property
    def topics(self) -> Topics:
        """The namespace's topics."""
        return Topics(self.settings.prefix, self.settings.namespace)

    def measure(self, operator: Operator, n_requests: int, n_workers: int, n_bystanders: int = 0) -> Throughput:
        """Measure an operator with that many worker processes.

        ``n_bystanders`` further pipelines are made of the models of ``HOP`` and read the same topic.
        """
        document = "---\n".join([operator.document, *map(_bystander, range(n_bystanders))])
        Control(self.log, self.topics, partitions=PARTITIONS).load(parse_resources(document, source=operator.name))
        self._fill(operator, n_requests)
        sink = self.topics.expand(operator.sink)
        part = "model-gateway" if operator.batch else "engine"
        with workers(self.settings, part, n_workers) as watched:
            return self._watch(watched, sink, n_requests, len(operator.sources))

    def measure_bare(self, n_requests: int) -> Throughput:
        """Measure the loop that copies the chain's records."""
        self.log.create_topics([TopicConfig(self.topics.expand(name), PARTITIONS) for name in CHAIN.sources])
        sink = self.topics.expand("model.bare.inputs")
        self.log.create_topics([TopicConfig(sink, PARTITIONS)])
        self._fill(CHAIN, n_requests)
        servers = self.settings.log.removeprefix(KAFKA_SCHEME)
        with bare_loop(servers, self.topics.expand(CHAIN.sources[0]), sink, PARTITIONS) as watched:
            return self._watch(watched, sink, n_requests, 1)

    def _fill(self, operator: Operator, n_requests: int) -> None:
        tensors = {"x": np.zeros((1, NUMBERS), np.float32)}
        for short in operator.sources:
            encode = encode_request if short.endswith(".inputs") else encode_response
            value = encode(tensors, model_name="m", request_id="").SerializeToString()
            for begin in range(0, n_requests, BATCH):
                numbers = range(begin, min(begin + BATCH, n_requests))
                appends = [self._record(short, number, value) for number in numbers]
                self.log.send(appends, (), _raise)
                self.log.pump()
            self.log.flush(SENT_S)

    def _record(self, short: str, number: int, value: bytes) -> Append:
        request = b"%016d" % number
        headers = ((h.PIPELINE, NAME.encode()), (h.VERSION, b"1"), (h.REQUEST, request))
        return Append(self.topics.expand(short), number % PARTITIONS, request, value, headers)

    def _watch(self, watched: Watched, sink: TopicName, n_results: int, n_sources: int) -> Throughput:
        """Look at the sink until everything is there, from its first result on."""
        places = [TopicPartition(sink, number) for number in range(PARTITIONS)]
        patience = time.monotonic() + PATIENCE_S
        first: tuple[float, float, int] | None = None
        while (n_there := sum(self.log.end(places).values())) < n_results:
            if first is None and n_there:
                first = (time.perf_counter(), watched.cpu_s(), n_there)
            if time.monotonic() > patience:
                msg = f"{sink}: {n_there} of {n_results} results after {PATIENCE_S:g} s"
                raise RuntimeError(msg)
            time.sleep(LOOK_S)
        if first is None:
            msg = f"{sink}: all {n_results} results came between two looks; measure with more --requests"
            raise RuntimeError(msg)
        began_s, began_cpu_s, n_before = first
        seconds, cpu_s = time.perf_counter() - began_s, watched.cpu_s() - began_cpu_s
        n_new = n_results - n_before
        n_records = n_new * n_sources
        memory_mb = watched.memory_bytes() / 1e6
        return Throughput(n_records / seconds, n_new / seconds, cpu_s / n_records * 100_000, memory_mb)


def _bystander(number: int) -> str:
    """Return a pipeline of the same models: it reads the same topic, whose records are another pipeline's."""
    return f"{API}kind: Pipeline\nmetadata: {{name: by{number}}}\nspec: {HOP_SPEC}\n"


def _raise(_records: Sequence[object], error: Exception | None) -> None:
    if error is not None:
        raise error


@contextmanager
def bench(address: str) -> Iterator[Bench]:
    """Give a namespace of its own on the cluster; its topics are deleted at the end."""
    prefix = f"throughput-{secrets.token_hex(4)}"
    # No model answers here, so every request stays under way: the bound on them must not end the measurement.
    settings = Settings(log=address, prefix=prefix, partitions=PARTITIONS, max_held_records=10_000_000)
    with open_log(settings) as log:
        try:
            yield Bench(settings, log)
        finally:
            log.delete_topics([name for name in log.topics() if name.startswith(f"{settings.prefix}.")])
