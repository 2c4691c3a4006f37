"""Engines and model gateways that have selected some names: beside one another, and what nobody has selected."""

from contextlib import AsyncExitStack

import numpy as np
import pytest

from dfml.errors import ConflictError
from dfml.inference.codec import decode_tensors, encode_request
from dfml.inference.oip_pb2 import InferResponse
from dfml.operations.owners import Owner
from dfml.record import TopicPartition
from dfml.settings import Settings
from dfml_engine.gateways.api import SubmitOptions
from dfml_engine.parts import Part
from dfml_engine.selection import Selection
from dfml_engine.stack import Stack

DOUBLE = "{steps: [{name: double}], output: {steps: [double]}}"
CHAIN = "{steps: [{name: double}, {name: add1, inputs: [double]}], output: {steps: [add1]}}"


@pytest.fixture
def settings(log_url, models) -> Settings:
    return Settings(log=log_url, rest_port=0, partitions=2, python_paths=())


@pytest.fixture
async def begin(settings):
    """Start a part with a selection; all are stopped at the end."""
    async with AsyncExitStack() as exits:

        async def start(part: Part, *patterns: str) -> Stack:
            return await exits.enter_async_context(Stack(settings, part=part, selection=Selection(patterns)))

        yield start


@pytest.fixture
def load(texts, wait):
    """Load two models and pipelines ``a-chain`` and ``b-one`` that share one; wait for those named to be ready."""

    async def into(gateway: Stack, *ready: str) -> None:
        models = [texts.model(name, name, inline=True) for name in ("double", "add1")]
        pipelines = [texts.pipeline("a-chain", CHAIN), texts.pipeline("b-one", DOUBLE)]
        gateway.control.load(texts.documents(*models, *pipelines))
        known = gateway.gateway.pipelines
        await wait(lambda: all(name in known() and known()[name].ready for name in ready), timeout_s=20)

    return into


async def ask(gateway: Stack, pipeline: str, value: float) -> list[float]:
    request = encode_request({"x": np.array([value], np.float32)}, model_name=pipeline, request_id="")
    submission = gateway.gateway.submit(pipeline, request, SubmitOptions(timeout_ms=20_000))
    answer = await gateway.gateway.result(submission)
    (tensor,) = decode_tensors(InferResponse.FromString(answer.value)).values()
    return tensor.tolist()


def records(stack: Stack, short: str) -> int:
    return sum(stack.log.end([place]).get(place, 0) for place in places(stack, short))


def places(stack: Stack, short: str):
    return [TopicPartition(stack.topics.expand(short), number) for number in range(2)]


async def test_each_pipeline_runs_on_the_engine_that_has_selected_it_and_nothing_is_done_twice(begin, load) -> None:
    engines = [await begin(Part.ENGINE, "a-*"), await begin(Part.ENGINE, "b-*")]
    await begin(Part.MODEL_GATEWAY, "double")
    await begin(Part.MODEL_GATEWAY, "add1")
    gateway = await begin(Part.PIPELINE_GATEWAY)
    await load(gateway, "a-chain", "b-one")
    for value in range(8):
        assert await ask(gateway, "a-chain", value) == [2 * value + 1]
        assert await ask(gateway, "b-one", value) == [2 * value]
    assert [list(engine.parts.share.among(2)) for engine in engines] == [[0, 1], [0, 1]]
    assert records(gateway, "model.double.inputs") == records(gateway, "model.double.outputs") == 16
    assert records(gateway, "lineage.fates") == records(gateway, "errors.errors") == 0


async def test_what_no_selection_has_is_not_ready_and_says_so(begin, load, wait) -> None:
    await begin(Part.ENGINE, "b-*")
    await begin(Part.MODEL_GATEWAY, "double")
    gateway = await begin(Part.PIPELINE_GATEWAY)
    await load(gateway, "b-one")
    reason = gateway.gateway.pipelines()["a-chain"].reason
    assert "no engine has taken it up: those that run have selected b-*" in reason
    assert "no model-gateway has taken it up: those that run have selected double" in reason
    assert await ask(gateway, "b-one", 3) == [6]


async def test_what_an_earlier_engine_had_taken_up_is_not_ready_when_nobody_has_selected_it(
    begin, load, settings, wait
):
    await begin(Part.MODEL_GATEWAY)
    gateway = await begin(Part.PIPELINE_GATEWAY)
    async with Stack(settings, part=Part.ENGINE):
        await load(gateway, "a-chain", "b-one")
    await begin(Part.ENGINE, "b-*")
    await wait(lambda: not gateway.gateway.pipelines()["a-chain"].ready, timeout_s=20)
    assert gateway.gateway.pipelines()["b-one"].ready


async def test_a_selection_goes_on_where_the_engine_without_one_stood(begin, load, settings, wait) -> None:
    await begin(Part.MODEL_GATEWAY)
    gateway = await begin(Part.PIPELINE_GATEWAY)
    async with Stack(settings, part=Part.ENGINE):
        await load(gateway, "b-one")
        for value in range(4):
            await ask(gateway, "b-one", value)
    selected = await begin(Part.ENGINE, "b-*")
    assert await ask(gateway, "b-one", 5) == [10]
    read = selected.loop.counts.read["engine[b-*]"]
    assert read == 2  # the new request and its model's answer: nothing of the four before
    assert records(gateway, "model.double.inputs") == 5


@pytest.mark.parametrize("patterns", [("a-chain",), ("*",), ("b-*", "?-chain")])
async def test_a_selection_that_meets_one_that_runs_does_not_start_and_says_which(begin, settings, patterns) -> None:
    await begin(Part.ENGINE, "a-*")
    second = Stack(settings, part=Part.ENGINE, selection=Selection(patterns))
    with pytest.raises(ConflictError, match=r"has selected a-\*.* would be done twice"):
        await second.start()


async def test_selections_that_met_by_starting_at_the_same_time_are_told_of(begin, wait, caplog) -> None:
    engine = await begin(Part.ENGINE, "a-*")
    other = Owner("engine", "host-1", "host", 1, (), 0, ("a-chain",))
    engine.log.append([other.to_append(engine.topics)])
    await wait(lambda: "host-1 has selected a-chain" in caplog.text, timeout_s=20)
    assert engine.parts.problems() == []


async def test_processes_of_one_selection_share_its_partition_numbers(begin, wait) -> None:
    engines = [await begin(Part.ENGINE, "a-*") for _ in range(2)]
    await wait(lambda: [len(engine.parts.share.among(2)) for engine in engines] == [1, 1], timeout_s=20)
    assert {number for engine in engines for number in engine.parts.share.among(2)} == {0, 1}
