"""The worked examples of the documentation, through a whole stack on a real log."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dfml.spec import load_files

APPS = Path(__file__).parents[2] / "experiments" / "apps" / "examples"
V, X = [1, 2, 3, 4], list(range(1, 17))
TIMES10, PLUS10 = [10, 20, 30, 40], [11, 12, 13, 14]


@pytest.mark.parametrize(
    ("file", "pipeline", "inputs", "answer"),
    [
        ("chain", "chain", {"INPUT0": X, "INPUT1": X}, {name: [2 * x for x in X] for name in ("OUTPUT0", "OUTPUT1")}),
        ("join", "join", {"INPUT0": X, "INPUT1": X}, {name: [2 * x for x in X] for name in ("OUTPUT0", "OUTPUT1")}),
        ("branches", "branches", {"CHOICE": [0], "INPUT0": V, "INPUT1": V}, {"OUTPUT": TIMES10}),
        ("branches", "branches", {"CHOICE": [1], "INPUT0": V, "INPUT1": V}, {"OUTPUT": PLUS10}),
        ("triggers", "triggers", {"INPUT": V, "ok1": [0]}, {"OUTPUT": TIMES10}),
        ("triggers", "triggers", {"INPUT": V, "ok2": [0]}, {"OUTPUT": TIMES10}),
        ("triggers", "triggers", {"INPUT": V, "ok3": [0]}, {"OUTPUT": PLUS10}),
        ("guard", "strict", {"INPUT": V}, {"OUTPUT": TIMES10}),
        ("guard", "lenient", {"INPUT": V}, {"OUTPUT": TIMES10}),
        ("guard", "lenient", {"INPUT": [-1, 5]}, {"OUTPUT": [9, 15]}),
        ("batch", "batch", {"INPUT": [[1, 2], [90, 95]]}, {"LABEL": [0, 2]}),
    ],
)
async def test_an_example_answers_as_documented(stack: Callable, file: str, pipeline: str, inputs: dict, answer: dict):
    async with stack() as calls:
        calls.stack.load(load_files([APPS / "models.yaml", APPS / f"{file}.yaml"]))
        assert await calls.ask(pipeline, inputs) == answer


async def test_a_step_that_fails_on_a_value_answers_with_its_error(stack: Callable):
    async with stack() as calls:
        calls.stack.load(load_files([APPS / "models.yaml", APPS / "guard.yaml"]))
        status, text = await calls.ask("strict", {"INPUT": [-1]})
    assert status == 500
    assert "ValueError: INPUT has negative values, the smallest is -1" in text


async def test_a_pipeline_reads_anothers_answers_and_steps_without_touching_it(stack: Callable, wait: Callable):
    async with stack() as calls:
        calls.stack.load(load_files([APPS / "models.yaml", APPS / "chain.yaml", APPS / "extend.yaml"]))
        await calls.ask("chain", {"INPUT0": [1], "INPUT1": [2]}, "r1")
        await wait(lambda: calls.records("model.add10.outputs") and calls.records("pipeline.extend-answer.outputs"))
        [answer] = calls.records("pipeline.extend-answer.outputs")
        [step] = calls.records("model.add10.outputs")
        assert calls.tensors(answer) == {"OUTPUT": [20]}
        assert calls.tensors(step) == {"OUTPUT": [13]}
        assert calls.records("errors.errors") == []
