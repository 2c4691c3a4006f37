"""The oracle itself, on the worked examples of the rules."""

from typing import Any

import numpy as np
from interpreter import interpret
from values import Name

V = np.array([1, 2, 3, 4], dtype=np.float32)
X = np.arange(1, 17, dtype=np.int32).reshape(1, 16)


def tfsimple(inputs: Any) -> Any:
    return {"OUTPUT0": inputs["INPUT0"] + inputs["INPUT1"], "OUTPUT1": inputs["INPUT0"] - inputs["INPUT1"]}


def conditional(inputs: Any) -> Any:
    return {"OUTPUT0" if inputs["CHOICE"][0] == 0 else "OUTPUT1": inputs["INPUT"]}


MODELS = {
    "tfsimple1": tfsimple,
    "tfsimple2": tfsimple,
    "tfsimple3": tfsimple,
    "mul10": lambda inputs: {"OUTPUT": inputs["INPUT"] * 10},
    "add10": lambda inputs: {"OUTPUT": inputs["INPUT"] + 10},
    "choose": conditional,
}


def answer(spec: dict[str, Any], **tensors: Any) -> dict[str, Any]:
    seen = interpret({("p", 1): spec}, MODELS, {Name("r", "p", 1, "", "inputs"): tuple(tensors.items())})
    return {tensor: array.tolist() for tensor, array in seen.records[Name("r", "p", 1, "", "outputs")]}


def test_a_chain_with_renamed_tensors():
    renamed = {"tfsimple1.outputs.OUTPUT0": "INPUT0", "tfsimple1.outputs.OUTPUT1": "INPUT1"}
    steps = [{"name": "tfsimple1"}, {"name": "tfsimple2", "inputs": ["tfsimple1"], "tensorMap": renamed}]
    got = answer({"steps": steps, "output": {"steps": ["tfsimple2"]}}, INPUT0=X, INPUT1=X)
    assert got == {"OUTPUT0": (2 * X).tolist(), "OUTPUT1": (2 * X).tolist()}


def test_a_join_of_two_parallel_steps():
    inputs = ["tfsimple1.outputs.OUTPUT0", "tfsimple2.outputs.OUTPUT1"]
    joined = {"name": "tfsimple3", "inputs": inputs, "tensorMap": dict(zip(inputs, ["INPUT0", "INPUT1"], strict=True))}
    steps = [{"name": "tfsimple1"}, {"name": "tfsimple2"}, joined]
    got = answer({"steps": steps, "output": {"steps": ["tfsimple3"]}}, INPUT0=X, INPUT1=X)
    assert got == {"OUTPUT0": (2 * X).tolist(), "OUTPUT1": (2 * X).tolist()}


def test_a_conditional_takes_one_branch():
    steps = [
        {"name": "choose"},
        {"name": "mul10", "inputs": ["choose.outputs.OUTPUT0"], "tensorMap": {"choose.outputs.OUTPUT0": "INPUT"}},
        {"name": "add10", "inputs": ["choose.outputs.OUTPUT1"], "tensorMap": {"choose.outputs.OUTPUT1": "INPUT"}},
    ]
    spec = {"steps": steps, "output": {"steps": ["mul10", "add10"], "stepsJoin": "any"}}
    assert answer(spec, CHOICE=np.array([0]), INPUT=V) == {"OUTPUT": [10, 20, 30, 40]}
    assert answer(spec, CHOICE=np.array([1]), INPUT=V) == {"OUTPUT": [11, 12, 13, 14]}


def test_triggers_let_one_step_fire():
    ok = ["p.inputs.ok1", "p.inputs.ok2"]
    steps = [
        {"name": "mul10", "inputs": ["p.inputs.INPUT"], "triggers": ok, "triggersJoinType": "any"},
        {"name": "add10", "inputs": ["p.inputs.INPUT"], "triggers": ["p.inputs.ok3"]},
    ]
    spec = {"steps": steps, "output": {"steps": ["mul10", "add10"], "stepsJoin": "any"}}
    assert answer(spec, INPUT=V, ok1=np.array([1])) == {"OUTPUT": [10, 20, 30, 40]}
    assert answer(spec, INPUT=V, ok3=np.array([1])) == {"OUTPUT": [11, 12, 13, 14]}
