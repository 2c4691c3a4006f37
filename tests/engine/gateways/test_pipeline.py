import asyncio
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from dfml import headers as h
from dfml.errors import ConflictError, DeadlineError, NotFoundError, OverloadedError
from dfml_engine.gateways.api import Answer, Pending

ONE = "{steps: [{name: m}], output: {steps: [m]}}"
LATE = "{steps: [{name: quick}, {name: m}], output: {steps: [quick, m]}}"


async def hold(calls: Any, models: ModuleType, wait: Callable, request_id: str, **options: Any) -> Any:
    """Send a request whose model does not return before the gate opens; wait until it is called."""
    submission = calls.submit("p", {"X": [1]}, request_id, **options)
    await wait(lambda: models.CALLED.acquire(blocking=False))
    return submission


@pytest.fixture
def held(stack: Callable, texts: Any) -> Callable:
    """Start a stack with a pipeline ``p`` whose model waits for the gate, beside one that does not."""

    def start(**settings: Any) -> Any:
        return _Started(stack(**settings), texts)

    return start


class _Started:
    def __init__(self, stack: Any, texts: Any) -> None:
        self._stack, self._texts = stack, texts

    async def __aenter__(self) -> Any:
        calls = await self._stack.__aenter__()
        texts = self._texts
        calls.load(texts.model("m", "hold"), texts.model("quick", "add1", inline=True), texts.pipeline("p", LATE))
        return calls

    async def __aexit__(self, *error: object) -> None:
        await self._stack.__aexit__(*error)


# -- deadlines --------------------------------------------------------------------------------------------------------


async def test_a_late_request_is_told_what_it_waits_for(held: Callable, models: ModuleType, wait: Callable):
    async with held(model_timeout_ms=60_000) as calls:
        submission = calls.submit("p", {"X": [1]}, "r1", timeout_ms=None)
        await wait(lambda: models.CALLED.acquire(blocking=False))
        pending = await calls.stack.gateway.lookup("p", submission.request_id)
        models.GATE.set()
        await calls.stack.gateway.result(submission)
    assert pending == Pending("r1", ("model 'm' to answer", "the output to get m.outputs"))


async def test_the_deadline_error_names_the_request_its_limit_and_what_it_waits_for(
    held: Callable, models: ModuleType, wait: Callable
):
    # The default deadline is the gateway's alone: the model may take longer.
    async with held(request_timeout_ms=150) as calls:
        submission = await hold(calls, models, wait, "r1")
        with pytest.raises(DeadlineError, match=r"request 'r1' did not finish within \d+ ms; .*model 'm' to answer"):
            await calls.stack.gateway.result(submission)
        models.GATE.set()
        await wait(lambda: calls.records("pipeline.p.outputs"))


async def test_many_requests_that_are_late_together_are_told_so_in_time(
    held: Callable, models: ModuleType, wait: Callable
):
    async with held(request_timeout_ms=300) as calls:
        late = [calls.submit("p", {"X": [1]}, f"r{number}") for number in range(1_000)]
        began = asyncio.get_running_loop().time()
        told = await asyncio.gather(*(calls.stack.gateway.result(each) for each in late), return_exceptions=True)
        # Far below what a reading of the log for each of them takes, far above what one for all does.
        assert asyncio.get_running_loop().time() - began < 8
        assert {type(each) for each in told} == {DeadlineError}
        assert all("model 'm' to answer" in str(each) for each in told)
        models.GATE.set()


async def test_an_answer_after_the_deadline_is_found_by_its_id(held: Callable, models: ModuleType, wait: Callable):
    async with held(request_timeout_ms=100) as calls:
        submission = await hold(calls, models, wait, "r1")
        with pytest.raises(DeadlineError):
            await calls.stack.gateway.result(submission)
        models.GATE.set()
        await wait(lambda: not calls.stack.gateway.outstanding)
        found = await calls.stack.gateway.lookup("p", "r1")
    assert isinstance(found, Answer)
    assert found.status == 200


async def test_a_second_try_after_a_deadline_waits_for_its_own(held: Callable, models: ModuleType, wait: Callable):
    async with held(model_timeout_ms=60_000, request_timeout_ms=100) as calls:
        submission = await hold(calls, models, wait, "r1")
        with pytest.raises(DeadlineError):
            await calls.stack.gateway.result(submission)
        again = asyncio.create_task(calls.infer("p", {"X": [1]}, "r1", timeout_ms=30_000))
        await asyncio.sleep(0)
        models.GATE.set()
        assert (await again).status == 200


# -- ids --------------------------------------------------------------------------------------------------------------


async def test_the_same_request_under_the_same_id_gets_the_same_answer_and_runs_once(
    stack: Callable, texts: Any, models: ModuleType
):
    async with stack() as calls:
        calls.load(texts.model("m", "count"), texts.pipeline("p", ONE))
        answers = await asyncio.gather(*(calls.infer("p", {"X": [1]}, "r1") for _ in range(5)))
        answers.append(await calls.infer("p", {"X": [1]}, "r1"))
        assert {answer.value for answer in answers} == {answers[0].value}
        assert models.COUNTS == {"r1": 1}


async def test_another_request_under_a_used_id_is_refused(stack: Callable, texts: Any):
    async with stack() as calls:
        calls.load(texts.model("m", "add1"), texts.pipeline("p", ONE), texts.pipeline("q", ONE))
        await calls.infer("p", {"X": [1]}, "r1")
        with pytest.raises(ConflictError, match="request id 'r1' was used before for another request"):
            calls.submit("p", {"X": [2]}, "r1")
        assert await calls.ask("q", {"X": [2]}, "r1") == {"OUT": [3]}


async def test_a_caller_that_goes_away_leaves_the_others_of_the_same_request_their_answer(
    held: Callable, models: ModuleType, wait: Callable
):
    async with held() as calls:
        gateway = calls.stack.gateway
        submission = await hold(calls, models, wait, "r1")
        leaving, staying = (asyncio.create_task(gateway.result(submission)) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        gateway.cancel(submission)
        models.GATE.set()
        assert (await staying).status == 200
        await asyncio.gather(leaving, return_exceptions=True)


async def test_an_unknown_pipeline_is_not_found_and_the_loaded_ones_are_named(stack: Callable, texts: Any):
    async with stack() as calls:
        calls.load(texts.model("m", "add1"), texts.pipeline("p", ONE))
        with pytest.raises(NotFoundError, match="there is no pipeline 'x'; loaded are: p"):
            calls.submit("x", {"X": [1]})


async def test_an_unknown_request_is_not_found(stack: Callable, texts: Any):
    async with stack() as calls:
        calls.load(texts.model("m", "add1"), texts.pipeline("p", ONE))
        with pytest.raises(NotFoundError, match="pipeline 'p' has had no request 'r1'"):
            await calls.stack.gateway.lookup("p", "r1")


# -- asynchronous use and restarts ------------------------------------------------------------------------------------


async def test_an_accepted_request_is_on_the_log(held: Callable, models: ModuleType):
    async with held() as calls:
        submission = calls.submit("p", {"X": [1]}, "r1")
        await calls.stack.gateway.accepted(submission)
        assert [record.key for record in calls.records("pipeline.p.inputs")] == [b"r1"]
        models.GATE.set()


async def test_an_answer_is_found_by_its_id_after_a_restart(stack: Callable, texts: Any):
    async with stack() as calls:
        calls.load(texts.model("m", "add1"), texts.pipeline("p", ONE))
        before = await calls.infer("p", {"X": [1]}, "r1")
    async with stack() as calls:
        assert await calls.stack.gateway.lookup("p", "r1") == before
        assert await calls.infer("p", {"X": [1]}, "r1") == before
        with pytest.raises(ConflictError):
            calls.submit("p", {"X": [2]}, "r1")
        assert len(calls.records("model.m.inputs")) == 1


async def test_an_answer_that_memory_has_lost_is_searched_for_in_the_log(
    stack: Callable, texts: Any, monkeypatch: pytest.MonkeyPatch
):
    async with stack() as calls:
        calls.load(texts.model("m", "add1"), texts.model("f", "fail"), texts.pipeline("p", ONE))
        calls.load(texts.pipeline("q", "{steps: [{name: f}], output: {steps: [f]}}"))
        before = [await calls.infer(name, {"X": [1]}, "r1") for name in ("p", "q")]
    monkeypatch.setattr("dfml_engine.gateways.pipeline.REMEMBER_MS", -1_000_000)
    async with stack() as calls:
        assert [await calls.stack.gateway.lookup(name, "r1") for name in ("p", "q")] == before


async def test_requests_of_an_asynchronous_pipeline_are_not_awaited_after_a_restart(stack: Callable, texts: Any):
    async with stack() as calls:
        calls.load(texts.model("m", "add1"), texts.pipeline("p", "{steps: [{name: m}]}"))
        await calls.stack.gateway.accepted(calls.submit("p", {"X": [1]}, "r1"))
    async with stack() as calls:
        assert calls.stack.gateway.outstanding == 0


# -- refusals ---------------------------------------------------------------------------------------------------------


async def test_one_request_too_many_is_refused_until_another_has_ended(
    held: Callable, models: ModuleType, wait: Callable
):
    async with held(max_outstanding_requests=2) as calls:
        ids = [await hold(calls, models, wait, request_id) for request_id in ("r1", "r2")]
        with pytest.raises(OverloadedError, match="2 requests are on their way"):
            calls.submit("p", {"X": [1]}, "r3")
        models.GATE.set()
        await asyncio.gather(*(calls.stack.gateway.result(each) for each in ids))
        assert (await calls.infer("p", {"X": [1]}, "r3")).status == 200


async def test_a_draining_gateway_takes_nothing_new_and_finishes_what_is_on_its_way(
    held: Callable, models: ModuleType, wait: Callable
):
    async with held() as calls:
        submission = await hold(calls, models, wait, "r1")
        calls.stack.gateway.drain()
        assert not calls.stack.gateway.ready()
        with pytest.raises(OverloadedError, match="shutting down"):
            calls.submit("p", {"X": [1]}, "r2")
        models.GATE.set()
        assert (await calls.stack.gateway.result(submission)).status == 200


async def test_a_pipeline_whose_models_are_not_loaded_is_refused_with_the_reason(stack: Callable, texts: Any):
    async with stack() as calls:
        calls.load(texts.pipeline("p", ONE))
        with pytest.raises(OverloadedError, match="pipeline 'p' is not ready: model 'm' is not loaded"):
            calls.submit("p", {"X": [1]})


async def test_requests_are_refused_while_the_disk_is_full_and_taken_again_afterwards(
    stack: Callable, texts: Any, small_files: Callable, wait: Callable
):
    async with stack() as calls:
        calls.load(texts.model("m", "add1"), texts.pipeline("p", ONE))
        assert await calls.ask("p", {"X": [1]}, "r1") == {"OUT": [2]}
        with small_files():
            told = await asyncio.gather(
                *(calls.infer("p", {"X": list(range(200_000))}, f"full-{n}") for n in range(3)), return_exceptions=True
            )
        assert [type(each) for each in told] == [OverloadedError] * 3
        assert "the request could not be written to the log" in str(told[0])
        await wait(lambda: calls.stack.loop.idle)
        assert await calls.ask("p", {"X": [1]}, "r2") == {"OUT": [2]}
        assert await calls.ask("p", {"X": [3]}, "full-0") == {"OUT": [4]}
        assert {record.key for record in calls.records("pipeline.p.inputs")} == {b"r1", b"r2", b"full-0"}


async def test_results_that_a_full_disk_refused_are_written_once_it_has_room(
    held: Callable, models: ModuleType, wait: Callable, small_files: Callable
):
    async with held() as calls:
        held_back = await hold(calls, models, wait, "r1")
        with small_files():
            models.GATE.set()
            await wait(lambda: calls.stack.loop.refusal is not None)
            assert calls.records("pipeline.p.outputs") == []
        assert (await calls.stack.gateway.result(held_back)).status == 200
        assert len(calls.records("model.m.outputs")) == 1


# -- partitions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("partitions", [2, 4])
async def test_a_request_stays_on_its_partition_number(stack: Callable, texts: Any, partitions: int):
    async with stack(partitions=partitions) as calls:
        calls.load(texts.model("m", "add1"), texts.model("quick", "add1", inline=True), texts.pipeline("p", LATE))
        await asyncio.gather(*(calls.infer("p", {"X": [number]}, f"r{number}") for number in range(40)))
        places: dict[bytes, set[int]] = {}
        for topic in ("pipeline.p.inputs", "model.m.inputs", "model.m.outputs", "pipeline.p.outputs"):
            for record in calls.records(topic):
                places.setdefault(record.key, set()).add(record.partition)
    assert all(len(numbers) == 1 for numbers in places.values())
    assert {next(iter(numbers)) for numbers in places.values()} == set(range(partitions))


async def test_a_callers_headers_travel_to_the_answer(stack: Callable, texts: Any):
    async with stack() as calls:
        calls.load(texts.model("m", "add1"), texts.pipeline("p", ONE))
        await calls.infer("p", {"X": [1]}, "r1", headers=(("traceparent", b"00-1"), (h.PIPELINE, b"forged")))
        headers = dict(calls.records("pipeline.p.outputs")[0].headers)
    assert (headers["traceparent"], headers[h.PIPELINE]) == (b"00-1", b"p")
