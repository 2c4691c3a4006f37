"""One measurement: fill the topics, let the worker read, fire, write and commit until they are empty."""

import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from dfml import headers as h
from dfml.clock import wall_clock_ms
from dfml.inference.codec import encode_request, encode_response
from dfml.log import open_log
from dfml.log.base import Commit, Log
from dfml.record import Append, TopicPartition
from dfml.settings import Settings
from dfml.spec import parse_resources
from dfml.topics import Topics
from dfml_engine.control import Control
from dfml_engine.gateways.model import ModelGateway, ModelGatewayOptions
from dfml_engine.outcome import Outcome
from dfml_engine.registry import LoadedSpec
from dfml_engine.runtimes.base import RuntimeOptions
from dfml_engine.worker import EngineWorker, Worker
from experiments.engine_throughput.operators import NAME, Operator

BATCH = 500
NUMBERS = 16
TOPICS = Topics()


@dataclass(frozen=True, slots=True)
class Throughput:
    """What came of it: records read and results written a second, CPU seconds for 100,000 records read."""

    records_per_second: float
    results_per_second: float
    cpu_seconds_per_100k: float


def measure(operator: Operator, n_requests: int) -> Throughput:
    """Measure an operator on a log of its own.

    Raises
    ------
    RuntimeError
        If not every request has its result.
    """
    with (
        TemporaryDirectory(prefix="dfml-throughput-") as folder,
        open_log(Settings(log=f"sqlite:///{Path(folder) / 'log.db'}")) as log,
    ):
        loaded = Control(log, TOPICS).load(parse_resources(operator.document, source=operator.name))
        worker = _worker(operator, loaded)
        _fill(log, operator, n_requests)
        began, began_cpu = time.perf_counter(), _cpu_seconds()
        _run(log, operator, worker, n_requests)
        seconds, cpu = time.perf_counter() - began, _cpu_seconds() - began_cpu
        _check(log, operator, n_requests)
    n_records = n_requests * len(operator.sources)
    return Throughput(n_records / seconds, n_requests / seconds, cpu / n_records * 100_000)


def _worker(operator: Operator, loaded: Sequence[LoadedSpec]) -> Worker:
    engine = EngineWorker(TOPICS)
    topology = next(engine.load(spec) for spec in loaded if spec.kind == "Pipeline")
    if not operator.batch:
        return engine
    gateway = ModelGateway(TOPICS, ModelGatewayOptions(RuntimeOptions()), lambda make: None, wall_clock_ms)
    for spec in loaded:
        if spec.kind == "Model":
            gateway.load(spec)
    gateway.load_pipeline(topology)
    return gateway


def _fill(log: Log, operator: Operator, n_requests: int) -> None:
    tensors = {"x": np.zeros((1, NUMBERS), np.float32)}
    for short in operator.sources:
        encode = encode_request if short.endswith(".inputs") else encode_response
        value = encode(tensors, model_name="m", request_id="").SerializeToString()
        for begin in range(0, n_requests, BATCH):
            numbers = range(begin, min(begin + BATCH, n_requests))
            log.append([_record(short, b"%016d" % number, value) for number in numbers])


def _record(short: str, request: bytes, value: bytes) -> Append:
    headers = ((h.PIPELINE, NAME.encode()), (h.VERSION, b"1"), (h.REQUEST, request))
    return Append(TOPICS.expand(short), 0, request, value, headers)


def _run(log: Log, operator: Operator, worker: Worker, n_requests: int) -> None:
    reader, left = log.reader(), n_requests * len(operator.sources)
    reader.assign({TopicPartition(TOPICS.expand(short), 0): 0 for short in operator.sources})
    while left:
        records = reader.poll(BATCH, 1.0)
        _write(log, worker, worker.handle(records))
        left -= len(records)
    _write(log, worker, worker.tick(wall_clock_ms() + 10_000))
    reader.close()


def _write(log: Log, worker: Worker, outcome: Outcome) -> None:
    log.append(outcome.appends, [Commit(worker.group, outcome.offsets)])


def _check(log: Log, operator: Operator, n_requests: int) -> None:
    sink = TopicPartition(TOPICS.expand(operator.sink), 0)
    n_results = log.end([sink])[sink]
    if n_results != n_requests:
        msg = f"{operator.name}: {n_requests} requests gave {n_results} results on {sink}"
        raise RuntimeError(msg)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
