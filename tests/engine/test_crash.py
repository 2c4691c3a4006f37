"""A stack that is killed under load, again and again: what the log says afterwards."""

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from dfml import headers as h
from dfml.clock import wall_clock_ms
from dfml.headers import decode_parents, identity
from dfml.inference.codec import decode_tensors
from dfml.inference.oip_pb2 import InferResponse
from dfml.lineage.audit import audit
from dfml.lineage.store import LineageStore
from dfml.lineage.tap import Tap
from dfml.log import Log, open_log
from dfml.record import Position, Record, TopicPartition
from dfml.settings import Settings
from dfml.topics import Topics

ROOT = Path(__file__).parents[2]
TOPICS = Topics()
PIPELINES = {
    "chain": "{steps: [{name: first}, {name: second, inputs: [first]}], output: {steps: [second]}}",
    "either": "{steps: [{name: quick}, {name: pooled}], output: {steps: [quick, pooled], stepsJoin: any}}",
    "both": """{steps: [{name: first}, {name: pooled}, {name: sum, inputs: [first, pooled],
        tensorMap: {first.outputs.OUT: A, pooled.outputs.OUT: B}}], output: {steps: [sum.outputs.OUT]}}""",
    "branches": """{steps: [{name: sign}, {name: first, inputs: [sign.outputs.POS]},
        {name: second, inputs: [sign.outputs.NEG]}], output: {steps: [first, second], stepsJoin: any}}""",
    "loop": """{allowCycles: true, maxStepRevisits: 9, output: {steps: [down.outputs.DONE]}, steps: [
        {name: down, inputs: [loop.inputs.N, again.outputs.OUT], inputsJoinType: any},
        {name: again, inputs: [down.outputs.AGAIN]}]}""",
    "batch": """{steps: [{name: pooled, inputs: [batch.inputs.X], batch: {size: 4, windowMs: 5}}],
        output: {steps: [pooled]}}""",
}
EXPECTED: dict[str, Callable[[int], int]] = {
    "chain": lambda value: (value + 1) * 2,
    "either": lambda value: value + 1,
    "both": lambda value: 2 * (value + 1),
    "branches": lambda value: value + 1 if value >= 0 else value * 2,
    "loop": lambda _: 0,
    "batch": lambda value: value + 1,
}


def specs(texts: object) -> list[str]:
    models = {"first": "add1", "second": "double", "quick": "add1", "pooled": "add1", "sum": "total"}
    models |= {"sign": "sign", "down": "countdown", "again": "same"}
    documents = [texts.model(name, code, inline=name != "pooled") for name, code in models.items()]
    return documents + [texts.pipeline(name, spec) for name, spec in PIPELINES.items()]


def kill_under_load(log_url: str, first: int, partitions: int, answers: int) -> None:
    """Start the process, wait until it has answered so many requests, and kill it in the middle of its work."""
    paths = os.pathsep.join(str(ROOT / part) for part in (".", "engine", "tests/engine"))
    command = [sys.executable, str(ROOT / "tests/engine/run_under_load.py"), log_url, str(first), str(partitions)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths}) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if line.strip() != "ready" and int(line) >= answers:
                break
        run.send_signal(signal.SIGKILL)


# -- the checker: it knows the log, and nothing of the engine's insides ------------------------------------------------


def read_all(log: Log) -> dict[str, list[Record]]:
    known = log.topics()
    places = [TopicPartition(topic, number) for topic in known for number in range(known[topic].partitions)]
    ends, found = log.end(places), {TOPICS.shorten(topic): [] for topic in known}
    reader = log.reader()
    reader.assign(log.beginning(places))
    while any(at < ends[place] for place, at in reader.positions().items()):
        for record in reader.poll(5_000, 1.0):
            found[TOPICS.shorten(record.topic)].append(record)
    reader.close()
    return found


def wrong_answers(records: dict[str, list[Record]], pipeline: str) -> list[str]:
    """Return what is wrong: requests without an answer, with two, or with another than the right one."""
    answers: dict[bytes, list[Record]] = {record.key: [] for record in records[f"pipeline.{pipeline}.inputs"]}
    for record in (*records[f"pipeline.{pipeline}.outputs"], *records["errors.errors"]):
        if record.header(h.PIPELINE) == pipeline.encode():
            answers[record.key].append(record)
    return [
        f"{request.decode()}: {[str(answer.position) for answer in given]}"
        for request, given in answers.items()
        if len(given) != 1 or number_in(given[0]) != EXPECTED[pipeline](value_of(int(request)))
    ]


def value_of(number: int) -> int:
    """Return what the request of this number sends, as the process under load decides it."""
    return -number if number % 2 else number


def number_in(record: Record) -> float:
    if record.topic == TOPICS.errors:
        return float("nan")
    [array] = decode_tensors(InferResponse.FromString(record.value)).values()
    return float(array[0])


def repeated(records: dict[str, list[Record]]) -> list[object]:
    """Return the results that stand twice on one topic."""
    data = (record for short, found in records.items() if short.startswith(("model", "pipeline")) for record in found)
    counts = Counter((record.topic, identity(record)) for record in data)
    return [result for result, count in counts.items() if count > 1]


def unaccounted(records: dict[str, list[Record]]) -> list[Position]:
    """Return the records that nothing was made of and that nobody said to have dropped."""
    every = [record for short, found in records.items() if not short.startswith("control") for record in found]
    used = set(parents_of(every))
    ends = ("errors", "fates")
    return [
        record.position
        for record in every
        if record.position not in used and not record.topic.endswith(ends) and not is_answer(record)
    ]


def parents_of(records: Iterable[Record]) -> Iterable[Position]:
    for record in records:
        yield from decode_parents(record.header(h.PARENTS) or b"", record.partition, TOPICS)


def is_answer(record: Record) -> bool:
    ref = TOPICS.parse(record.topic)
    return ref is not None and (ref.kind, ref.port) == ("pipeline", "outputs")


def audited(log_url: str, store_path: Path) -> Mapping[str, int]:
    """Return how many records met each fate, as the lineage store tells it."""
    with open_log(Settings(log=log_url), read_only=True) as log, LineageStore(store_path, topics=TOPICS) as store:
        tap = Tap(log, store, TOPICS)
        while tap.step(0.0):
            pass
        tap.close()
        # An hour from now: what has no fate by then has none.
        return audit(store, now_ms=wall_clock_ms() + 3_600_000).counts


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("partitions", "kills"), [(1, 3), (4, 2)])
async def test_a_stack_killed_under_load_answers_every_request_once_and_rightly(
    stack: Callable, texts: object, wait: Callable, *, log_url: str, tmp_path: Path, partitions: int, kills: int
):
    async with stack(partitions=partitions) as calls:
        calls.load(*specs(texts))
    rng, first = random.Random(partitions), 0
    for _ in range(kills):
        kill_under_load(log_url, first, partitions, answers=rng.randrange(100, 900, 100))
        with open_log(Settings(log=log_url), read_only=True) as log:
            sent = [int(record.key) for name in PIPELINES for record in read_all(log)[f"pipeline.{name}.inputs"]]
        # The next process sends the last requests again, as callers do that were not answered.
        first = max(sent) - 60
    async with stack(partitions=partitions) as calls:
        await wait(lambda: not calls.stack.gateway.outstanding, 30)
        assert await calls.ask("chain", {"X": [-4]}, "-4") == {"OUT": [-6]}
    with open_log(Settings(log=log_url), read_only=True) as log:
        records = read_all(log)
    n_requests = sum(len(records[f"pipeline.{name}.inputs"]) for name in PIPELINES)
    assert n_requests > 200 * kills
    assert {name: wrong for name in PIPELINES if (wrong := wrong_answers(records, name))} == {}
    assert repeated(records) == []
    assert unaccounted(records) == []
    counts = audited(log_url, tmp_path / "lineage.db")
    assert {fate: counts[fate] for fate in ("unaccounted", "pending", "failed", "duplicate")} == {
        "unaccounted": 0,
        "pending": 0,
        "failed": 0,
        "duplicate": 0,
    }
    assert records["errors.errors"] == []
