"""docs/pipelines.md: each of its pipelines does what the page says, through a whole stack."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dfml.spec import parse_resources
from dfml.spec.schema import Model, Pipeline

PAGE = (Path(__file__).parents[2] / "docs" / "pipelines.md").read_text(encoding="utf-8")
DOCUMENTS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
RESOURCES = [each for text in DOCUMENTS for each in parse_resources(text, source="docs/pipelines.md")]
PIPELINES = {each.name: each for each in RESOURCES if isinstance(each, Pipeline)}
BUILTIN = {"try": "try_"}


def pipelines(texts: Any, *names: str) -> list[Any]:
    """Return pipelines of the page and a model for each of their steps."""
    chosen = [PIPELINES[name] for name in names]
    steps = {
        step.name: f"python:page_models:{BUILTIN.get(step.name, step.name)}"
        for each in chosen
        for step in each.spec.steps
    }
    models = [texts.model(step, "", storageUri=uri, inline=step != "classify") for step, uri in steps.items()]
    return [*texts.documents(*models), *chosen]


@pytest.mark.parametrize(
    ("pipeline", "inputs", "answer"),
    [
        ("orders", {"AMOUNT": [50]}, {"SCORE": [5]}),
        ("requests", {"TEXT": [-4]}, {"VECTOR": [8]}),
        ("photos", {"PIXELS": [1, 2]}, {"TAG": [11, 22]}),
        ("offers", {"X": [2]}, {"OFFER": [6]}),
        ("offers", {"X": [-2]}, {"OFFER": [-2]}),
        ("tickets", {"LEVEL": [9]}, {"PAGED": [9]}),
        ("tickets", {"LEVEL": [1]}, {"FILED": [1]}),
        ("meters", {"READING": [100]}, {"NEXT": [101]}),
        ("quotes", {"X": [7, -7]}, {"FIRST": [7, -7], "LABEL": [1, -1], "ROWS": [2]}),
        ("puzzles", {"BOARD": [5]}, {"done": [0]}),
    ],
)
async def test_a_pipeline_of_the_page_answers(stack: Callable, texts: Any, pipeline: str, inputs: dict, answer: dict):
    async with stack() as calls:
        calls.stack.load(pipelines(texts, pipeline))
        assert await calls.ask(pipeline, inputs) == answer


async def test_a_batch_of_the_page_is_cut_back_and_its_aggregate_given_to_all(stack: Callable, texts: Any):
    async with stack() as calls:
        calls.stack.load(pipelines(texts, "labels"))
        answers = await asyncio.gather(*(calls.ask("labels", {"X": [1, -1] * number}) for number in (15, 1)))
        assert answers == [{"LABEL": [1, -1] * number, "ROWS": [32]} for number in (15, 1)]


@pytest.mark.parametrize(
    ("pipeline", "inputs", "status", "says"),
    [
        ("meters", {"READING": [300]}, 500, "plausible.outputs.ok never came"),
        ("puzzles", {"BOARD": [30]}, 500, "20"),
        ("requests", {"TEXTS": [1]}, 400, "model 'clean' needs tensor 'TEXT'"),
    ],
)
async def test_a_pipeline_of_the_page_says_why_it_has_no_answer(
    stack: Callable, texts: Any, pipeline: str, inputs: dict, status: int, says: str
):
    async with stack() as calls:
        calls.stack.load(pipelines(texts, pipeline))
        told = await calls.ask(pipeline, inputs)
        assert told[0] == status
        assert says in told[1]


async def test_a_pipeline_of_the_page_reads_anothers_answers_and_steps(stack: Callable, texts: Any, wait: Callable):
    async with stack() as calls:
        calls.stack.load(pipelines(texts, "photos", "archive"))
        await calls.ask("photos", {"PIXELS": [1]}, "r1")
        await wait(lambda: calls.records("model.store.outputs"))
        assert calls.tensors(calls.records("model.store.outputs")[0]) == {"TAG": [11], "SHADE": [1]}


def test_every_pipeline_of_the_page_is_run_here():
    source = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in PIPELINES if f'"{name}"' not in source] == []
    assert {each.name for each in RESOURCES if isinstance(each, Model)} == {"score", "plausible", "forecast"}
