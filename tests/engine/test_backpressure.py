"""Slow models, full logs, large requests: all has a bound, nothing accepted is lost, and it recovers by itself."""

import httpx
import pytest

from dfml.errors import OverloadedError

SLOW = "{steps: [{name: slow}], output: {steps: [slow]}}"
QUICK = "{steps: [{name: quick}], output: {steps: [quick]}}"
BODY = {"inputs": [{"name": "X", "shape": [1], "datatype": "FP32", "data": [1]}]}


def load(calls, texts) -> None:
    models = [texts.model("slow", "hold"), texts.model("quick", "add1")]
    calls.load(*models, texts.pipeline("p", SLOW), texts.pipeline("q", QUICK))


def send(calls, count: int) -> list:
    """Submit one by one, each on the log before the next: what one batch brings may exceed a bound."""
    sent = []
    for number in range(count):
        sent.append(calls.submit("p", {"X": [number]}))
        calls.stack.loop.write_now()
    return sent


async def test_the_topic_of_a_model_whose_calls_hold_too_much_waits_and_other_models_go_on(
    stack, texts, models, wait
) -> None:
    async with stack(max_held_records=4, pool_threads=1) as calls:
        load(calls, texts)
        sent = send(calls, 20)
        assert calls.stack.models.calls_in_flight() == {"slow": 4}
        assert {topic.split(".", 2)[2] for topic in calls.stack.loop.paused} == {
            "model.slow.inputs",
            "pipeline.p.inputs",
        }
        assert await calls.ask("q", {"X": [1]}) == {"OUT": [2]}
        models.GATE.set()
        answers = [await calls.stack.gateway.result(each) for each in sent]
        assert [answer.status for answer in answers] == [200] * 20
        await wait(lambda: not calls.stack.loop.paused)


async def test_calls_that_hold_too_many_bytes_let_every_pooled_model_wait(stack, texts, models, wait) -> None:
    async with stack(max_held_bytes=1000, pool_threads=1) as calls:
        load(calls, texts)
        sent = [calls.submit("p", {"X": [0] * 500})]
        calls.stack.loop.write_now()
        assert {topic.split(".")[3] for topic in calls.stack.loop.paused} == {"slow", "quick"}
        sent.append(calls.submit("q", {"X": [1]}))
        models.GATE.set()
        assert [(await calls.stack.gateway.result(each)).status for each in sent] == [200, 200]


async def test_a_pipelines_inputs_wait_while_too_many_of_its_requests_are_under_way(stack, texts, models) -> None:
    async with stack(max_held_records=4) as calls:
        load(calls, texts)
        sent = send(calls, 20)
        assert len(calls.records("model.slow.inputs")) == 4
        models.GATE.set()
        answers = [await calls.stack.gateway.result(each) for each in sent]
        assert [answer.status for answer in answers] == [200] * 20


async def test_records_of_an_unknown_version_do_not_gather_without_end(stack, texts, wait) -> None:
    async with stack(max_held_records=4) as calls:
        load(calls, texts)
        named = (("pipeline", b"p"), ("x-pipeline-version", b"9"))
        for number in range(20):
            calls.append("model.quick.outputs", b"", b"r%d" % number, named)
            calls.stack.loop.catch_up()
        assert len(calls.stack.parts.engine._unclaimed) == 4
        assert await calls.ask("p", {"X": [-1]}) == {"OUT": [0]}


async def test_what_waits_for_room_is_read_by_the_next_stack(stack, texts, models) -> None:
    async with stack(max_held_records=2, drain_timeout_ms=0) as calls:
        load(calls, texts)
        ids = [each.request_id for each in send(calls, 10)]
    models.GATE.set()
    async with stack() as calls:
        answers = [await calls.ask("p", {"X": [number]}, each) for number, each in enumerate(ids)]
        assert answers == [{"OUT": [number + 1]} for number in range(10)]
        assert len(calls.records("model.slow.outputs")) == 10


@pytest.mark.parametrize("bound", [{"max_outstanding_requests": 2}, {"max_outstanding_bytes": 1000}])
async def test_beyond_the_bound_the_gateway_answers_503_with_retry_after_and_recovers_by_itself(
    stack, texts, models, bound
) -> None:
    async with stack(**bound) as calls, httpx.AsyncClient(base_url=calls.stack.url, trust_env=False) as client:
        load(calls, texts)
        first = [calls.submit("p", {"X": [0] * 200}), calls.submit("p", {"X": [1] * 100})]
        refused = await client.post("/v2/pipelines/q/infer", json=BODY)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        models.GATE.set()
        assert [(await calls.stack.gateway.result(each)).status for each in first] == [200, 200]
        assert (await client.post("/v2/pipelines/q/infer", json=BODY)).status_code == 200
        assert calls.stack.gateway.outstanding_bytes == 0


async def test_a_log_that_is_full_holds_no_more_than_what_was_read_and_loses_nothing(
    stack, texts, models, small_files, wait
) -> None:
    async with stack(pool_threads=2) as calls:
        load(calls, texts)
        sent = send(calls, 20)
        with small_files():
            models.GATE.set()
            await wait(lambda: calls.stack.loop.n_unwritten == 20)
            with pytest.raises(OverloadedError, match="could not be written to the log"):
                await calls.infer("q", {"X": [0] * 100_000})
            assert calls.stack.loop.n_unwritten == 20
        assert [(await calls.stack.gateway.result(each)).status for each in sent] == [200] * 20
