"""A wall clock that jumps, forwards or back, while requests are on their way."""

import asyncio
import time
from contextlib import AsyncExitStack

import numpy as np
import pytest

from dfml.clock import SetBack
from dfml.inference.codec import decode_tensors, encode_request
from dfml.inference.oip_pb2 import InferResponse
from dfml.lineage.audit import audit
from dfml.lineage.store import LineageStore
from dfml.lineage.tap import Tap
from dfml.settings import Settings
from dfml_engine.gateways.api import SubmitOptions
from dfml_engine.parts import Part
from dfml_engine.stack import Stack

HOUR_MS = 3_600_000
ONE = "{steps: [{name: m}], output: {steps: [m]}}"
JOIN = "{steps: [{name: m}, {name: n, inputs: [p.inputs, m]}], output: {steps: [n]}}"
BATCH = "{steps: [{name: m, batch: {size: 10, windowMs: 200}}], output: {steps: [m]}}"


@pytest.fixture
def jump(monkeypatch):
    """Give a function that sets the wall clock of this process on or back; nothing else of time changes."""
    real, ahead_ns = time.time_ns, 0

    def set_by(milliseconds: int) -> None:
        nonlocal ahead_ns
        ahead_ns += milliseconds * 1_000_000

    monkeypatch.setattr(time, "time_ns", lambda: real() + ahead_ns)
    return set_by


def test_a_clock_that_was_set_back_is_noticed_once():
    clock = SetBack()
    assert [clock.by(now_ms) for now_ms in (5, 9, 9, 2, 2, 4)] == [0, 0, 0, 7, 0, 0]


@pytest.mark.parametrize("by_ms", [HOUR_MS, -HOUR_MS])
async def test_after_a_jump_requests_are_answered_as_before_and_every_record_has_its_fate(
    stack, texts, jump, by_ms, tmp_path
) -> None:
    async with stack() as calls:
        calls.load(texts.model("m", "add1"), texts.model("n", "total"), texts.pipeline("p", JOIN))
        before = await calls.ask("p", {"X": [1]})
        jump(by_ms)
        assert [await calls.ask("p", {"X": [1]}) for _ in range(3)] == [before] * 3
        jump(-by_ms)
        assert await calls.ask("p", {"X": [1]}) == before
        with LineageStore(tmp_path / "lineage.db", topics=calls.stack.topics) as store:
            tap = Tap(calls.stack.log, store, calls.stack.topics)
            while tap.step(0.0):
                pass
            tap.close()
            assert audit(store, until_ms=2 * HOUR_MS + time.time_ns() // 1_000_000).unaccounted == 0


@pytest.mark.parametrize("by_ms", [HOUR_MS, -HOUR_MS])
async def test_a_batch_that_was_gathered_before_a_jump_is_called_in_its_time(stack, texts, jump, by_ms) -> None:
    async with stack() as calls:
        calls.load(texts.model("m", "add1"), texts.pipeline("p", BATCH))
        answer = asyncio.create_task(calls.infer("p", {"X": [1]}))
        await asyncio.sleep(0)
        calls.stack.loop.write_now()
        jump(by_ms)
        assert (await answer).status == 200


async def test_a_call_that_hangs_is_given_up_although_the_clock_was_set_back(stack, texts, models, jump) -> None:
    async with stack(model_timeout_ms=1500) as calls:
        calls.load(texts.model("m", "hold"), texts.pipeline("p", ONE))
        sent = calls.submit("p", {"X": [1]})
        calls.stack.loop.write_now()
        jump(-HOUR_MS)
        answer = await calls.stack.gateway.result(sent)
        assert (answer.status, b"did not return before" in answer.value) == (504, True)
        models.GATE.set()


async def ask(gateway: Stack) -> list[float]:
    request = encode_request({"x": np.array([2], np.float32)}, model_name="p", request_id="")
    answer = await gateway.gateway.result(gateway.gateway.submit("p", request, SubmitOptions(timeout_ms=20_000)))
    (tensor,) = decode_tensors(InferResponse.FromString(answer.value)).values()
    return tensor.tolist()


@pytest.mark.parametrize("by_ms", [HOUR_MS, -HOUR_MS])
async def test_parts_that_share_partition_numbers_go_on_after_a_jump(texts, models, jump, by_ms, log_url, wait):
    async with AsyncExitStack() as exits:
        parts = [
            await exits.enter_async_context(
                Stack(Settings(log=log_url, rest_port=0, partitions=2, python_paths=()), part=part)
            )
            for part in Part
        ]
        gateway = next(part for part in parts if part.parts.gateway)
        gateway.control.load(texts.documents(texts.model("m", "add1", inline=True), texts.pipeline("p", ONE)))
        await wait(lambda: (known := gateway.gateway.pipelines().get("p")) and known.ready, timeout_s=20)
        jump(by_ms)
        await wait(lambda: all(len(part.parts.share.among(2)) == 2 for part in parts), timeout_s=20)
        assert await ask(gateway) == [3]
        jump(-by_ms)
        await wait(lambda: all(len(part.parts.share.among(2)) == 2 for part in parts), timeout_s=20)
        assert await ask(gateway) == [3]
        assert [part.parts.problems() for part in parts] == [[], [], []]
