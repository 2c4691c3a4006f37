import asyncio
from collections.abc import Callable
from itertools import product
from types import ModuleType

import pytest

from dfml import headers as h

ONE = "{steps: [{name: m}], output: {steps: [m]}}"
TWO = "{steps: [{name: m}, {name: n, inputs: [m]}], output: {steps: [n]}}"


@pytest.mark.parametrize("inline", [True, False])
async def test_a_model_answers_inline_and_from_the_pool(stack: Callable, texts: object, inline: bool):
    async with stack() as calls:
        calls.load(texts.model("m", "add1", inline=inline), texts.pipeline("p", ONE))
        answers = await asyncio.gather(*(calls.ask("p", {"X": [number]}) for number in range(50)))
        assert answers == [{"OUT": [number + 1]} for number in range(50)]


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("fail", "model 'm' raised ValueError: no such luck"),
        ("leave", "model 'm' raised SystemExit: 3"),
        ("nothing", "model 'm' returned NoneType, expected a dict"),
        ("words", "model 'm' returned tensor 'OUT' of type dict"),
    ],
)
async def test_a_model_that_fails_fails_its_request_alone(
    stack: Callable, texts: object, function: str, text: str, inline: bool
):
    async with stack() as calls:
        calls.load(texts.model("m", function, inline=inline), texts.pipeline("p", ONE))
        calls.load(texts.model("ok", "add1"), texts.pipeline("q", "{steps: [{name: ok}], output: {steps: [ok]}}"))
        status, told = await calls.ask("p", {"X": [1]}, timeout_ms=10_000)
        assert status == 500
        assert text in told
        assert await calls.ask("q", {"X": [1]}) == {"OUT": [2]}


async def test_an_error_says_step_kind_and_request_on_the_errors_topic(stack: Callable, texts: object):
    async with stack() as calls:
        calls.load(texts.model("m", "fail"), texts.pipeline("p", ONE))
        await calls.ask("p", {"X": [1]}, "r1")
        [record] = calls.records("errors.errors")
    assert (record.header(h.STEP), record.header(h.ERROR_KIND), record.key) == (b"m", b"raised", b"r1")
    assert record.header(h.PARENTS) == b"model.m.inputs@0"


async def test_a_call_past_its_deadline_fails_and_says_which_model_did_not_return(
    stack: Callable, texts: object, wait: Callable
):
    async with stack() as calls:
        calls.load(texts.model("m", "hold"), texts.pipeline("p", ONE))
        answer = asyncio.create_task(calls.ask("p", {"X": [1]}, timeout_ms=150))
        [record] = await wait(lambda: calls.records("errors.errors"))
        assert (record.header(h.ERROR_KIND), record.header(h.ERROR_STATUS)) == (b"timeout", b"504")
        assert record.value == b"model 'm' did not return before the request's deadline"
        # The gateway's own clock and the error race for the caller; both name the model.
        [told] = await asyncio.gather(answer, return_exceptions=True)
        assert "model 'm'" in str(told)


async def test_hanging_calls_do_not_keep_the_gateway_from_answering_others(
    stack: Callable, texts: object, models: ModuleType
):
    async with stack(pool_threads=1) as calls:
        calls.load(texts.model("m", "hold"), texts.pipeline("p", ONE))
        hung = [calls.submit("p", {"X": [1]}, timeout_ms=100) for _ in range(3)]
        ended = await asyncio.gather(*(calls.stack.gateway.result(each) for each in hung), return_exceptions=True)
        assert len(ended) == 3
        assert await calls.ask("p", {"X": [-1]}, timeout_ms=10_000) == {"OUT": [0]}
        models.GATE.set()
        assert await calls.ask("p", {"X": [5]}, timeout_ms=10_000) == {"OUT": [6]}


async def test_a_call_that_returns_after_the_stack_has_stopped_is_nobodys(
    stack: Callable, texts: object, models: ModuleType, wait: Callable
):
    async with stack() as calls:
        calls.load(texts.model("m", "hold"), texts.pipeline("p", ONE))
        calls.submit("p", {"X": [1]}, timeout_ms=50)
        await wait(lambda: calls.records("errors.errors"))
    threads = [thread for thread in models.threading.enumerate() if thread.name.startswith("m-")]
    models.GATE.set()
    await asyncio.gather(*(asyncio.to_thread(thread.join, 5) for thread in threads))
    assert not any(thread.is_alive() for thread in threads)
    await asyncio.sleep(0)
    assert calls.stack.loop.idle


async def test_an_unloaded_model_fails_the_requests_that_come_for_it(stack: Callable, texts: object):
    async with stack() as calls:
        calls.load(texts.model("m", "add1"), texts.model("n", "add1"), texts.pipeline("p", TWO))
        assert await calls.ask("p", {"X": [1]}) == {"OUT": [3]}
        calls.stack.models.unload("n")
        status, text = await calls.ask("p", {"X": [1]})
    assert (status, text) == (503, "model 'n' was unloaded")


async def test_a_pipeline_whose_model_is_gone_is_not_ready_until_it_is_loaded_again(
    stack: Callable, texts: object, wait: Callable
):
    async with stack() as calls:
        calls.load(texts.model("m", "add1"), texts.pipeline("p", ONE))
        calls.stack.control.unload("Model", "m")
        status = await wait(lambda: (found := calls.stack.gateway.pipelines()["p"]) and not found.ready and found)
        assert status.reason == "model 'm' is not loaded"
        calls.load(texts.model("m", "add100"))
        assert await calls.ask("p", {"X": [1]}) == {"OUT": [101]}


async def test_a_reloaded_model_runs_its_new_code_and_calls_under_way_finish(
    stack: Callable, texts: object, models: ModuleType, wait: Callable
):
    async with stack() as calls:
        calls.load(texts.model("m", "hold"), texts.pipeline("p", ONE))
        held = asyncio.create_task(calls.ask("p", {"X": [1]}))
        await wait(lambda: models.CALLED.acquire(blocking=False))
        calls.load(texts.model("m", "add100"))
        assert await calls.ask("p", {"X": [1]}) == {"OUT": [101]}
        models.GATE.set()
        assert await held == {"OUT": [2]}


@pytest.mark.parametrize(
    ("function", "text"),
    [
        ("absent", "module 'engine_models' has no 'absent'"),
        ("GATE.nothing", "has no 'GATE.nothing'"),
        ("HERE_IS_NO_CODE", "expected a function, or a class"),
    ],
)
async def test_a_model_that_cannot_be_loaded_says_why(stack: Callable, texts: object, function: str, text: str):
    async with stack() as calls:
        calls.load(texts.model("m", function), texts.pipeline("p", ONE))
        assert text in calls.stack.control.status("m")[0].reason
        assert text in calls.stack.gateway.pipelines()["p"].reason


async def test_a_module_that_leaves_when_imported_takes_nothing_with_it(stack: Callable, texts: object):
    text = texts.model("m", "x").replace("engine_models:x", "engine_leaves:x")
    async with stack() as calls:
        calls.load(text, texts.pipeline("p", ONE))
        assert "SystemExit" in calls.stack.control.status("m")[0].reason


# -- garbage ----------------------------------------------------------------------------------------------------------

OF_P = ((h.PIPELINE, b"p"), (h.VERSION, b"1"), (h.STEP, b"m"))


@pytest.mark.parametrize("inline", [True, False])
async def test_garbage_on_a_models_inputs_is_an_error_record_and_the_gateway_goes_on(
    stack: Callable, texts: object, wait: Callable, inline: bool
):
    async with stack() as calls:
        calls.load(texts.model("m", "add1", inline=inline), texts.pipeline("p", ONE))
        calls.append("model.m.inputs", b"\xff\xfe garbage", b"r9", OF_P)
        [record] = await wait(lambda: calls.records("errors.errors"))
        assert (record.header(h.ERROR_KIND), record.key) == (b"undecodable", b"r9")
        assert await calls.ask("p", {"X": [1]}) == {"OUT": [2]}


VALUES = [b'{"inputs": []}', b"plain text \xff", b""]
HEADERS = [
    (),
    (*OF_P, (h.VISIT, b"x"), (h.DEADLINE, b"soon"), (h.PARENTS, b"?")),
    ((h.PIPELINE, b"\xff"), (h.VERSION, b"-1")),
]


@pytest.mark.parametrize(
    "topic", ["pipeline.p.inputs", "model.m.outputs", "model.m.inputs", "pipeline.p.outputs", "errors.errors"]
)
async def test_no_record_on_any_data_topic_stops_the_stack(stack: Callable, texts: object, topic: str):
    async with stack() as calls:
        calls.load(texts.model("m", "add1", inline=True), texts.pipeline("p", ONE))
        for number, (value, headers) in enumerate(product(VALUES, HEADERS)):
            calls.append(topic, value, b"\xff%d" % number, headers)
            assert await calls.ask("p", {"X": [number]}) == {"OUT": [number + 1]}


async def test_text_on_a_protobuf_topic_is_an_error_of_its_pipeline_and_never_of_another(
    stack: Callable, texts: object, wait: Callable
):
    reader = "{input: {externalInputs: [p.outputs]}, steps: [{name: n}], output: {steps: [n]}}"
    async with stack() as calls:
        calls.load(texts.model("m", "fail"), texts.model("n", "add1"), texts.pipeline("p", ONE))
        calls.load(texts.pipeline("q", reader))
        await calls.ask("p", {"X": [1]}, "r1")
        calls.append("pipeline.p.outputs", b"plain text", b"r2", OF_P[:2])
        errors = await wait(lambda: len(found := calls.records("errors.errors")) == 2 and found)
        assert [(error.header(h.PIPELINE), error.key) for error in errors] == [(b"p", b"r1"), (b"q", b"r2")]
        assert await calls.ask("q", {"X": [1]}) == {"OUT": [2]}
