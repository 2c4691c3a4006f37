"""Drawn pipelines through the whole stack: every caller gets the oracle's answer, every record has its fate."""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from bench import API, TOPICS, uri_of
from comparing import differences
from hypothesis import given, settings
from interpreter import interpret
from oracle_models import model_of
from profiles import STACK_PROFILE
from strategies import Case, cases
from values import Evaluation, Name
from written import Written, read_all, same_tensors

from dfml.inference.codec import encode_request, iterate_tensors
from dfml.inference.oip_pb2 import InferResponse
from dfml.lineage.audit import audit
from dfml.lineage.store import LineageStore
from dfml.lineage.tap import Tap
from dfml.record import TopicPartition
from dfml.settings import Settings
from dfml.spec import parse_resources
from dfml_engine.gateways.api import Answer, SubmitOptions
from dfml_engine.stack import Stack

HERE = Path(__file__).parent
ROW_BY_ROW = ("mix", "fussy", "same", "again")
Spec = Mapping[str, Any]
Use = Callable[[Stack], Coroutine[Any, Any, None]]


def settled(spec: Spec) -> dict[str, Any]:
    """Return the spec without what leaves its records to the order of arrival or to the company in a batch.

    A loop is entered through ``any`` alone: each visit would wait for an ``outer`` join's window.
    """
    steps = []
    taken, instead = ("outer", "any") if spec.get("allowCycles") else ("any", "outer")
    for step in spec["steps"]:
        kept = {key: value for key, value in step.items() if key != "batch"}
        kept |= {key: instead for key in ("inputsJoinType", "triggersJoinType") if kept.get(key) == taken}
        steps.append(kept)
    output = dict(spec["output"]) if "output" in spec else None
    if output is not None and output.get("stepsJoin") == "any":
        output["stepsJoin"] = "outer"
    return {**spec, "steps": steps} | ({} if output is None else {"output": output})


def load(stack: Stack, name: str, spec: Spec, *, inline: bool = True) -> None:
    steps = [step["name"] for step in spec["steps"]]
    documents = [
        {"kind": "Model", "metadata": {"name": step}, "spec": {"storageUri": uri_of(step), "inline": inline}}
        for step in steps
    ]
    documents.append({"kind": "Pipeline", "metadata": {"name": name}, "spec": spec})
    text = "\n---\n".join(orjson.dumps({"apiVersion": API, **each}).decode() for each in documents)
    stack.load(parse_resources(text, source="drawn"))


async def ask(stack: Stack, name: Name, tensors: Any) -> Answer:
    request = encode_request(dict(tensors), model_name="", request_id="")
    submission = stack.gateway.submit(name.pipeline, request, SubmitOptions(name.request))
    return await stack.gateway.result(submission)


def run(folder: Path, use: Use, *, loops: bool = False) -> tuple[Written, int]:
    """Use a stack until it is at rest; return what stands on its log, and how many of its records have no fate.

    The entry of a loop is needed until its window closes: there, the callers' answers are the end.
    """
    settings = Settings(log=f"sqlite:///{folder}/log.db", rest_port=0, tap=False, python_paths=(HERE,))

    async def live() -> Written:
        async with Stack(settings) as stack:
            await use(stack)
            async with asyncio.timeout(20):
                while not (loops or at_rest(stack)):  # noqa: ASYNC110 - a condition over the log has no event
                    await asyncio.sleep(0.002)
            return written(stack)

    def written(stack: Stack) -> Written:
        known = {topic: config for topic, config in stack.log.topics().items() if is_read(topic)}
        places = [
            TopicPartition(topic, number) for topic, config in known.items() for number in range(config.partitions)
        ]
        with LineageStore(folder / "lineage.db", topics=TOPICS) as store:
            tap = Tap(stack.log, store, TOPICS)
            while tap.step(0.0):
                pass
            tap.close()
            unaccounted.append(audit(store, now_ms=10**14).unaccounted)
        return Written.of(list(read_all(stack.log, places)))

    unaccounted: list[int] = []
    return asyncio.run(live()), unaccounted[0]


def at_rest(stack: Stack) -> bool:
    """Whether engine and models need no record any more of those that they read."""
    ports = {("model", "inputs"): "model-gateway", ("model", "outputs"): "engine", ("pipeline", "inputs"): "engine"}
    for topic, config in stack.log.topics().items():
        ref = TOPICS.parse(topic)
        group = ports.get((ref.kind, ref.port)) if ref is not None else None
        if group is not None:
            places = [TopicPartition(topic, number) for number in range(config.partitions)]
            ends = {place: end for place, end in stack.log.end(places).items() if end}
            if stack.log.committed(group, list(ends)) != ends:
                return False
    return True


def is_read(topic: str) -> bool:
    ref = TOPICS.parse(topic)
    return ref is not None and (ref.is_data or topic == TOPICS.fates)


def unlike(told: Evaluation, name: Name, answer: Answer) -> bool:
    """Whether the caller was told something else than the oracle says."""
    outputs = [tensors for made, tensors in told.records.items() if made[:5] == (*name[:4], "outputs")]
    failed = any(error[:2] == name[:2] for error in told.errors)
    if answer.status != 200:
        return not (failed or (name[:2] in told.hopeless))
    tensors = tuple(iterate_tensors(InferResponse.FromString(answer.value)))
    return not any(same_tensors(tensors, output) for output in outputs)


@pytest.mark.timeout(3_600)
@settings(STACK_PROFILE)
@given(case=cases())
def test_every_caller_gets_the_answer_that_the_rules_give(case: Case):
    spec = settled(case.specs["p", 1])
    entries = {name: tensors for name, tensors in case.entries.items() if name[1:3] == ("p", 1)}
    answers: dict[Name, Answer] = {}
    loops = bool(spec.get("allowCycles"))

    async def use(stack: Stack) -> None:
        load(stack, "p", spec, inline=len(spec["steps"]) % 2 == 0)
        if "output" in spec:
            found = await asyncio.gather(*(ask(stack, name, tensors) for name, tensors in entries.items()))
            answers.update(zip(entries, found, strict=True))

    with tempfile.TemporaryDirectory() as folder:
        seen, unaccounted = run(Path(folder), use, loops=loops)
    told = interpret({("p", 1): spec}, {s["name"]: model_of(s["name"]) for s in spec["steps"]}, entries)
    assert [name for name, answer in answers.items() if unlike(told, name, answer)] == []
    if answers and not loops:
        assert differences(told, seen) == []
        assert unaccounted == 0


# -- what is known to go wrong elsewhere ------------------------------------------------------------------------------


def numbers(*values: int) -> Any:
    return (("X", np.array(values)),)


def test_a_model_error_in_one_pipeline_never_reaches_one_that_reads_its_outputs(tmp_path: Path):
    first = {"steps": [{"name": "fussy0"}], "output": {"steps": ["fussy0"]}}
    second = {"input": {"externalInputs": ["p.outputs", "p.step.fussy0.outputs"], "joinType": "any"}}
    second |= {"steps": [{"name": "mix1"}], "output": {"steps": ["mix1"]}}
    statuses: list[int] = []

    async def use(stack: Stack) -> None:
        load(stack, "p", first)
        load(stack, "q", second)
        for value in range(3):
            answer = await ask(stack, Name(f"r{value}", "p", 1, "", "inputs"), numbers(value))
            statuses.append(answer.status)

    seen, unaccounted = run(tmp_path, use)
    assert sorted(statuses) == [200, 200, 500]
    assert {name.pipeline for name in seen.errors} == {"p"}
    assert sum(name[1:5] == ("q", 1, "", "outputs") for name in seen.records) == 2
    assert unaccounted == 0


def test_two_batched_steps_in_one_pipeline_answer_each_caller_with_its_own_rows(tmp_path: Path):
    batch = {"size": 4, "windowMs": 20}
    steps = [{"name": "mix0", "batch": batch}, {"name": "mix1", "inputs": ["mix0.outputs.A"], "batch": batch}]
    spec = {"steps": steps, "output": {"steps": ["mix1"]}}
    entries = {Name(f"r{at}", "p", 1, "", "inputs"): numbers(*range(at, 2 * at + 1)) for at in range(1, 6)}
    answers: dict[Name, Answer] = {}

    async def use(stack: Stack) -> None:
        load(stack, "p", spec)
        found = await asyncio.gather(*(ask(stack, name, tensors) for name, tensors in entries.items()))
        answers.update(zip(entries, found, strict=True))

    _, unaccounted = run(tmp_path, use)
    plain = {**spec, "steps": [{k: v for k, v in step.items() if k != "batch"} for step in steps]}
    told = interpret({("p", 1): plain}, {"mix0": model_of("mix0"), "mix1": model_of("mix1")}, entries)
    assert [name for name, answer in answers.items() if unlike(told, name, answer)] == []
    assert unaccounted == 0


def test_the_request_of_a_caller_that_went_away_goes_its_way(tmp_path: Path):
    spec = {"steps": [{"name": "mix0"}], "output": {"steps": ["mix0"]}}

    async def use(stack: Stack) -> None:
        load(stack, "p", spec, inline=False)
        request = encode_request(dict(numbers(1)), model_name="", request_id="")
        submission = stack.gateway.submit("p", request, SubmitOptions("gone"))
        waiting = asyncio.create_task(stack.gateway.result(submission))
        await stack.gateway.accepted(submission)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        stack.gateway.cancel(submission)

    seen, unaccounted = run(tmp_path, use)
    assert Name("gone", "p", 1, "", "outputs") in seen.records
    assert unaccounted == 0
