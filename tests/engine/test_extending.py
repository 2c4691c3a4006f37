"""A pipeline that is added to a running one: it reads from now on, or all that the other has written."""

from collections.abc import Callable
from typing import Any

import pytest

from dfml.clock import wall_clock_ms

ONE = "{steps: [{name: m}], output: {steps: [m]}}"
MODELS = (("m", "add1"), ("n", "double"))


def reads(reference: str) -> str:
    return f"{{input: {{externalInputs: [{reference}]}}, steps: [{{name: n}}], output: {{steps: [n]}}}}"


@pytest.fixture
def documents(texts: Any) -> list[str]:
    return [*(texts.model(*each) for each in MODELS), texts.pipeline("p", ONE)]


async def ask_p(calls: Any, wait: Callable, *numbers: int) -> None:
    """Ask for each number, and wait until the clock goes on: what is loaded next is loaded after the answers."""
    for number in numbers:
        await calls.ask("p", {"X": [number]}, f"r{number}")
    now_ms = wall_clock_ms()
    await wait(lambda: wall_clock_ms() > now_ms)


def answers(calls: Any, pipeline: str) -> dict[str, list[Any]]:
    """Return what a pipeline answered to each request, every time that it did."""
    found: dict[str, list[Any]] = {}
    for record in calls.records(f"pipeline.{pipeline}.outputs"):
        found.setdefault(record.key.decode(), []).append(calls.tensors(record)["OUT"])
    return found


ALL = {"r0": [[2]], "r1": [[4]], "r2": [[6]]}


async def test_it_reads_from_now_on(stack: Callable, texts: Any, wait: Callable, documents: list[str]):
    async with stack() as calls:
        calls.load(*documents)
        await ask_p(calls, wait, 0, 1)
        calls.load(texts.pipeline("q", reads("p.outputs")))
        await ask_p(calls, wait, 2)
        assert await wait(lambda: answers(calls, "q")) == {"r2": [[6]]}


@pytest.mark.parametrize("reference", ["p.outputs", "p.step.m.outputs"])
async def test_it_reads_all_that_was_written_where_that_is_asked_for(
    stack: Callable, texts: Any, wait: Callable, documents: list[str], reference: str
):
    async with stack() as calls:
        calls.load(*documents, texts.pipeline("other", reads(reference)))
        await ask_p(calls, wait, 0, 1)
        calls.load(texts.pipeline("q", reads(reference)), from_beginning=True)
        await ask_p(calls, wait, 2)
        await wait(lambda: answers(calls, "q") == ALL)
        assert answers(calls, "other") == ALL
        assert {key: len(found) for key, found in answers(calls, "p").items()} == {"r0": 1, "r1": 1, "r2": 1}
        assert [record.value for record in calls.records("lineage.fates")] == []


async def test_loaded_while_nothing_runs_it_reads_all_at_the_next_start_and_only_then(
    stack: Callable, texts: Any, wait: Callable, documents: list[str]
):
    async with stack() as calls:
        calls.load(*documents)
        await ask_p(calls, wait, 0, 1, 2)
        calls.stack.control.load(texts.documents(texts.pipeline("q", reads("p.outputs"))), from_beginning=True)
    async with stack() as calls:
        await wait(lambda: answers(calls, "q") == ALL)
    async with stack() as calls:
        end = calls.stack.log.end([calls.place("pipeline.p.outputs")])
        begun = calls.stack.log.committed("engine", end)
        assert begun == end
        await ask_p(calls, wait, 3)
        await wait(lambda: answers(calls, "q") == {**ALL, "r3": [[8]]})


async def test_a_new_version_goes_on_where_the_last_one_was(
    stack: Callable, texts: Any, wait: Callable, documents: list[str]
):
    async with stack() as calls:
        calls.load(*documents)
        await ask_p(calls, wait, 0)
        calls.load(texts.pipeline("q", reads("p.outputs")), from_beginning=True)
        await ask_p(calls, wait, 1)
        await wait(lambda: len(answers(calls, "q")) == 2)
        calls.load(texts.pipeline("q", reads("p.outputs.OUT")), from_beginning=True)
        await ask_p(calls, wait, 2)
        assert await wait(lambda: len(found := answers(calls, "q")) == 3 and found) == ALL
