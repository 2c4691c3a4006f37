"""Each part as a process of its own would run: on a shared log, with a share of the partition numbers."""

from contextlib import AsyncExitStack

import numpy as np
import pytest

from dfml.errors import ConflictError
from dfml.inference.codec import decode_tensors, encode_request
from dfml.inference.oip_pb2 import InferResponse
from dfml.settings import Settings
from dfml_engine.gateways.api import SubmitOptions
from dfml_engine.parts import Part
from dfml_engine.stack import Stack

DOUBLE = "{steps: [{name: double}], output: {steps: [double]}}"


@pytest.fixture
def settings(log_url, models) -> Settings:
    return Settings(log=log_url, rest_port=0, partitions=4, python_paths=())


async def start(exits: AsyncExitStack, settings: Settings, part: Part) -> Stack:
    return await exits.enter_async_context(Stack(settings, part=part))


async def ask(gateway: Stack, value: float = 2) -> list[float]:
    request = encode_request({"x": np.array([value], np.float32)}, model_name="p", request_id="")
    answer = await gateway.gateway.result(gateway.gateway.submit("p", request, SubmitOptions(timeout_ms=20_000)))
    return decode_tensors(InferResponse.FromString(answer.value))["OUT"].tolist()


async def load(gateway: Stack, texts, wait) -> None:
    """Load where all partition numbers have an owner; the gateway knows the pipeline once the engine says so."""
    gateway.control.load(texts.documents(texts.model("double", "double", inline=True), texts.pipeline("p", DOUBLE)))
    await wait(lambda: (status := gateway.gateway.pipelines().get("p")) and status.ready, timeout_s=20)


async def test_three_parts_answer_as_one_stack_does(settings, texts, wait) -> None:
    async with AsyncExitStack() as exits:
        for part in (Part.ENGINE, Part.MODEL_GATEWAY):
            await start(exits, settings, part)
        gateway = await start(exits, settings, Part.PIPELINE_GATEWAY)
        await load(gateway, texts, wait)
        assert await ask(gateway) == [4]


async def test_a_second_engine_takes_over_what_the_first_leaves(settings, texts, wait) -> None:
    async with AsyncExitStack() as exits:
        await start(exits, settings, Part.MODEL_GATEWAY)
        gateway = await start(exits, settings, Part.PIPELINE_GATEWAY)
        first = Stack(settings, part=Part.ENGINE)
        await first.start()
        await load(gateway, texts, wait)
        second = await start(exits, settings, Part.ENGINE)
        assert await ask(gateway) == [4]
        await first.stop()
        answers = [await ask(gateway, value) for value in range(8)]
        assert answers == [[2 * value] for value in range(8)]
        assert list(second.parts.share.among(4)) == [0, 1, 2, 3]


async def test_two_engines_share_the_partition_numbers(settings, wait) -> None:
    async with AsyncExitStack() as exits:
        engines = [await start(exits, settings, Part.ENGINE) for _ in range(2)]

        def shares() -> list[int]:
            return sorted(len(engine.parts.share.among(4)) for engine in engines)

        assert await wait(lambda: shares() == [2, 2], timeout_s=20)


async def test_a_whole_stack_and_a_part_do_not_share_a_log(settings) -> None:
    async with Stack(settings, part=Part.ENGINE):
        with pytest.raises(ConflictError, match="is held by process"):
            await Stack(settings).start()
