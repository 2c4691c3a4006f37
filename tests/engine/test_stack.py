import asyncio
import json
import os
import socket
from collections.abc import Callable
from types import ModuleType
from typing import Any

import httpx
import pytest

from dfml import headers as h
from dfml.errors import ConflictError, NotFoundError, OverloadedError, SettingsError
from dfml.topics import Topics

ONE = "{steps: [{name: m}], output: {steps: [m]}}"
TWO = "{steps: [{name: m}, {name: n, inputs: [m]}], output: {steps: [n]}}"
OTHER = "{steps: [{name: m}, {name: o, inputs: [m]}], output: {steps: [o]}}"


# -- starting and stopping --------------------------------------------------------------------------------------------


async def test_a_second_stack_on_one_log_is_told_who_holds_it(stack: Callable):
    async with stack() as calls:
        with pytest.raises(ConflictError, match=f"held by process {os.getpid()}, which answers at {calls.stack.url}"):
            async with stack():
                pass


async def test_a_stopped_stack_leaves_its_log_to_the_next(stack: Callable, texts: Any):
    async with stack() as calls:
        calls.load(texts.model("m", "add1"), texts.pipeline("p", ONE))
    async with stack() as calls:
        assert await calls.ask("p", {"X": [1]}) == {"OUT": [2]}


async def test_a_stack_that_cannot_start_holds_nothing(stack: Callable):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(SettingsError, match="cannot listen"):
            async with stack(rest_port=taken.getsockname()[1]):
                pass
    async with stack() as calls:
        assert calls.stack.gateway.ready()


async def test_another_partition_count_is_refused_at_the_start(stack: Callable):
    async with stack(partitions=2):
        pass
    with pytest.raises(ConflictError, match="set partitions to 2"):
        async with stack(partitions=4):
            pass


async def test_a_stop_finishes_the_requests_under_way(stack: Callable, texts: Any, models: ModuleType, wait: Callable):
    async with stack() as calls:
        calls.load(texts.model("m", "hold"), texts.pipeline("p", ONE))
        answer = asyncio.create_task(calls.ask("p", {"X": [1]}))
        await wait(lambda: models.CALLED.acquire(blocking=False))
        asyncio.get_running_loop().call_later(0.05, models.GATE.set)
    assert await answer == {"OUT": [2]}


async def test_requests_under_way_at_a_stop_are_answered_by_the_next_stack(
    stack: Callable, texts: Any, models: ModuleType, wait: Callable
):
    async with stack(drain_timeout_ms=0) as calls:
        calls.load(texts.model("m", "hold"), texts.pipeline("p", ONE))
        calls.submit("p", {"X": [1]}, "r1")
        await wait(lambda: models.CALLED.acquire(blocking=False))
    models.GATE.set()
    async with stack() as calls:
        await wait(lambda: not calls.stack.gateway.outstanding)
        assert await calls.ask("p", {"X": [1]}, "r1") == {"OUT": [2]}
        assert len(calls.records("model.m.inputs")) == 1


async def test_the_stack_answers_over_rest(stack: Callable, texts: Any):
    async with stack() as calls, httpx.AsyncClient(base_url=calls.stack.url) as client:
        calls.load(texts.model("m", "add1"), texts.pipeline("p", ONE))
        body = {"inputs": [{"name": "X", "shape": [2], "datatype": "FP32", "data": [1, 2]}]}
        answer = await client.post("/v2/pipelines/p/infer", content=json.dumps(body))
        assert answer.status_code == 200
        assert answer.json()["outputs"][0]["data"] == [2, 3]


# -- loading while it runs --------------------------------------------------------------------------------------------


async def test_pipelines_are_loaded_and_unloaded_while_others_answer(stack: Callable, texts: Any, wait: Callable):
    async with stack() as calls:
        calls.load(texts.model("m", "add1"), texts.model("n", "double"), texts.pipeline("p", ONE))
        stop = asyncio.Event()

        async def keep_asking() -> int:
            answers = 0
            while not stop.is_set():
                assert await calls.ask("p", {"X": [answers]}) == {"OUT": [answers + 1]}
                answers += 1
            return answers

        asking = asyncio.create_task(keep_asking())
        for number in range(5):
            calls.load(texts.pipeline(f"q{number}", TWO))
            assert await calls.ask(f"q{number}", {"X": [1]}) == {"OUT": [4]}
            calls.stack.control.unload("Pipeline", f"q{number}")
            await wait(lambda name=f"q{number}": name not in calls.stack.gateway.pipelines())
            with pytest.raises(NotFoundError):
                calls.submit(f"q{number}", {"X": [1]})
        stop.set()
        assert await asking > 5


async def test_requests_of_an_unloaded_pipeline_finish(stack: Callable, texts: Any, models: ModuleType, wait: Callable):
    async with stack() as calls:
        calls.load(texts.model("m", "hold"), texts.model("n", "double"), texts.pipeline("p", TWO))
        answer = asyncio.create_task(calls.ask("p", {"X": [1]}))
        await wait(lambda: models.CALLED.acquire(blocking=False))
        calls.stack.control.unload("Pipeline", "p")
        await wait(lambda: "p" not in calls.stack.gateway.pipelines())
        models.GATE.set()
        assert await answer == {"OUT": [4]}


async def test_a_request_is_answered_on_the_version_it_entered_on(
    stack: Callable, texts: Any, models: ModuleType, wait: Callable
):
    async with stack() as calls:
        steps = texts.model("m", "hold"), texts.model("n", "double"), texts.model("o", "add100")
        calls.load(*steps, texts.pipeline("p", TWO))
        old = asyncio.create_task(calls.ask("p", {"X": [1]}, "old"))
        await wait(lambda: models.CALLED.acquire(blocking=False))
        [loaded] = calls.load(texts.pipeline("p", OTHER))
        new = asyncio.create_task(calls.ask("p", {"X": [1]}, "new"))
        await wait(lambda: models.CALLED.acquire(blocking=False))
        models.GATE.set()
        assert loaded.version == 2
        assert (await old, await new) == ({"OUT": [4]}, {"OUT": [102]})
        versions = {record.key: record.header(h.VERSION) for record in calls.records("pipeline.p.outputs")}
        assert versions == {b"old": b"1", b"new": b"2"}


async def test_no_request_is_lost_or_run_twice_while_versions_change_under_load(stack: Callable, texts: Any):
    async with stack() as calls:
        calls.load(texts.model("m", "add1"), texts.model("n", "double"), texts.model("o", "add100"))
        calls.load(texts.pipeline("p", TWO))
        answers = []
        for number in range(6):
            answers += [asyncio.create_task(calls.ask("p", {"X": [1]}, f"{number}-{n}")) for n in range(20)]
            await asyncio.sleep(0)
            calls.load(texts.pipeline("p", OTHER if number % 2 == 0 else TWO))
        given = await asyncio.gather(*answers)
        assert [list(answer.values())[0][0] for answer in given] == ([4] * 20 + [102] * 20) * 3
        assert len(calls.records("pipeline.p.outputs")) == 120
        assert len(calls.records("model.m.inputs")) == 120


async def test_an_external_reader_that_changes_between_two_arrivals_still_joins_them(
    stack: Callable, texts: Any, models: ModuleType, wait: Callable
):
    source = "{steps: [{name: m}, {name: slow}], output: {steps: [m]}}"
    both = """{steps: [{name: s}]%s, input: {externalInputs: [p.step.m.outputs.OUT, p.step.slow.outputs.OUT],
        tensorMap: {p.step.m.outputs.OUT: A}}}"""
    async with stack() as calls:
        calls.load(texts.model("m", "add1"), texts.model("slow", "hold"), texts.model("s", "total"))
        calls.load(texts.pipeline("p", source), texts.pipeline("q", both % ""))
        await calls.ask("p", {"X": [1]}, "r1")
        await wait(lambda: models.CALLED.acquire(blocking=False))
        calls.load(texts.pipeline("q", both % ", output: {steps: [s]}"))
        models.GATE.set()
        [joined] = await wait(lambda: calls.records("pipeline.q.inputs"))
        assert joined.header(h.VERSION) == b"1"


@pytest.mark.parametrize("port", ["inputs", "outputs"])
async def test_a_topic_that_is_gone_fails_its_own_requests_and_holds_up_no_others(
    stack: Callable, texts: Any, topics: Topics, port: str
):
    async with stack() as calls:
        calls.load(texts.model("m", "add1"), texts.model("n", "double"), texts.model("o", "add100"))
        calls.load(texts.pipeline("p", TWO), texts.pipeline("q", "{steps: [{name: o}], output: {steps: [o]}}"))
        calls.stack.log.delete_topics([topics.expand(f"model.n.{port}")])
        told, other = await asyncio.gather(calls.ask("p", {"X": [1]}), calls.ask("q", {"X": [1]}))
        assert other == {"OUT": [101]}
        assert told[0] == 503
        assert f"topic 'seldon.default.model.n.{port}'[0] does not exist any more" in told[1]
        assert await calls.ask("q", {"X": [2]}) == {"OUT": [102]}


async def test_topics_that_go_with_their_pipeline_are_there_again_when_it_is(
    stack: Callable, texts: Any, wait: Callable
):
    cleaned = texts.pipeline("p", "{steps: [{name: m}], output: {steps: [m]}, dataflow: {cleanTopicsOnDelete: true}}")
    async with stack() as calls:
        calls.load(texts.model("m", "add1"), cleaned)
        for number in range(3):
            await calls.ask("p", {"X": [number]}, f"r{number}")
        calls.stack.control.unload("Pipeline", "p")
        await wait(calls.stack.parts.cleaning.wake_ms)
        calls.stack.parts.cleaning.tick(calls.stack.parts.cleaning.wake_ms())
        assert [topic for topic in calls.stack.log.topics() if ".pipeline." in topic] == []
        calls.load(cleaned)
        assert await calls.ask("p", {"X": [5]}, "after") == {"OUT": [6]}
        with pytest.raises(NotFoundError, match="made again"):
            await calls.infer("p", {"X": [0]}, "r0")


# -- kinds of pipelines, whole ----------------------------------------------------------------------------------------


async def test_a_loop_goes_round_until_it_is_done(stack: Callable, texts: Any):
    loop = """{allowCycles: true, maxStepRevisits: %d, output: {steps: [down.outputs.DONE]}, steps: [
        {name: down, inputs: [p.inputs.X, again.outputs.OUT], inputsJoinType: any},
        {name: again, inputs: [down.outputs.AGAIN]}]}"""
    async with stack() as calls:
        calls.load(texts.model("down", "countdown", inline=True), texts.model("again", "same", inline=True))
        calls.load(texts.pipeline("p", loop % 10))
        assert await calls.ask("p", {"X": [5]}) == {"DONE": [0]}
        status, text = await calls.ask("p", {"X": [11]})
        assert status == 500
        assert "maxStepRevisits = 10" in text


async def test_an_outer_join_answers_when_its_window_closes_without_later_traffic(
    stack: Callable, texts: Any, models: ModuleType
):
    spec = """{steps: [{name: m}, {name: n, inputs: [p.inputs.Y]}], output:
        {steps: [m, n], stepsJoin: outer, joinWindowMs: 100, tensorMap: {n.outputs.OUT: LATE}}}"""
    async with stack() as calls:
        calls.load(texts.model("m", "add1"), texts.model("n", "hold"), texts.pipeline("p", spec))
        assert await calls.ask("p", {"X": [1], "Y": [1]}) == {"OUT": [2]}
        models.GATE.set()


async def test_a_request_that_can_have_no_output_is_answered_at_once(stack: Callable, texts: Any):
    spec = """{steps: [{name: m}, {name: n, inputs: [m.outputs.POS]}, {name: o, inputs: [n]}],
        output: {steps: [o]}}"""
    async with stack() as calls:
        calls.load(texts.model("m", "sign"), texts.model("n", "add1"), texts.model("o", "add1"))
        calls.load(texts.pipeline("p", spec))
        assert await calls.ask("p", {"X": [1]}) == {"OUT": [3]}
        status, text = await calls.ask("p", {"X": [-1]})
        assert (status, "m.outputs.POS" in text) == (500, True)


async def test_a_pipeline_whose_model_is_not_there_refuses_requests(stack: Callable, texts: Any):
    async with stack() as calls:
        with pytest.raises(OverloadedError, match="not ready"):
            calls.load(texts.pipeline("z", "{steps: [{name: none}]}"))
            calls.submit("z", {"X": [1]})
