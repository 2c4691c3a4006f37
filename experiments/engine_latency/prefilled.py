"""Records through the engine alone: a topic filled beforehand, read, fired and committed as fast as it goes."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from dfml import headers as h
from dfml.inference.codec import encode_request
from dfml.log import open_log
from dfml.log.base import Commit, Log
from dfml.record import Append, TopicPartition
from dfml.spec import parse_resources
from dfml.spec.schema import Pipeline
from dfml.topics import Topics
from dfml_engine.control import Control
from dfml_engine.registry import LoadedSpec
from dfml_engine.worker import EngineWorker
from experiments.engine_latency.chain import PIPELINE, chain_yaml
from experiments.engine_latency.models import NUMBERS

BATCH = 500


def engine_records_per_second(n_records: int) -> float:
    """Return how many records a second one hop of a chain takes: read, fire, write, commit, on the SQLite log."""
    topics = Topics()
    with (
        TemporaryDirectory(prefix="dfml-prefilled-") as folder,
        open_log(f"sqlite:///{Path(folder) / 'log.db'}") as log,
    ):
        resources = parse_resources(chain_yaml(1, inline=True), source="chain")
        Control(log, topics).load(resources)
        pipeline = next(resource for resource in resources if isinstance(resource, Pipeline))
        worker = EngineWorker(topics)
        worker.load(LoadedSpec("Pipeline", pipeline.name, 1, pipeline, 0))
        _fill(log, topics, n_records)
        return n_records / _run(log, topics, worker, n_records)


def _fill(log: Log, topics: Topics, n_records: int) -> None:
    value = encode_request({"x": np.zeros(NUMBERS, np.float32)}, model_name=PIPELINE, request_id="").SerializeToString()
    named = ((h.PIPELINE, PIPELINE.encode()), (h.VERSION, b"1"))
    appends = [
        Append(topics.pipeline_inputs(PIPELINE), 0, b"%016d" % number, value, (*named, (h.REQUEST, b"%016d" % number)))
        for number in range(n_records)
    ]
    for begin in range(0, n_records, BATCH):
        log.append(appends[begin : begin + BATCH])


def _run(log: Log, topics: Topics, worker: EngineWorker, n_records: int) -> float:
    reader = log.reader()
    reader.assign({TopicPartition(topics.pipeline_inputs(PIPELINE), 0): 0})
    began, done = time.perf_counter(), 0
    while done < n_records:
        batch = reader.poll(BATCH, 1.0)
        outcome = worker.handle(batch)
        log.append(outcome.appends, [Commit(worker.group, outcome.offsets)])
        done += len(batch)
    return time.perf_counter() - began
