"""The code of the steps in docs/pipelines.md: one function a step, of its name where Python allows it."""

from typing import Any

import numpy as np

Tensors = dict[str, Any]


def score(inputs: Tensors) -> Tensors:
    return {"SCORE": inputs["AMOUNT"] / 10}


def clean(inputs: Tensors) -> Tensors:
    return {"TEXT": abs(inputs["TEXT"])}


def embed(inputs: Tensors) -> Tensors:
    return {"VECTOR": inputs["DOCUMENT"] * 2}


def colour(inputs: Tensors) -> Tensors:
    return {"HUE": inputs["PIXELS"]}


def shapes(inputs: Tensors) -> Tensors:
    return {"EDGES": inputs["PIXELS"] * 10}


def tag(inputs: Tensors) -> Tensors:
    return {"TAG": inputs["HUE"] + inputs["EDGES"]}


def sort(inputs: Tensors) -> Tensors:
    return {"urgent" if inputs["LEVEL"][0] > 5 else "later": inputs["LEVEL"]}


def page(inputs: Tensors) -> Tensors:
    return {"PAGED": inputs["urgent"]}


def file(inputs: Tensors) -> Tensors:
    return {"FILED": inputs["later"]}


def plausible(inputs: Tensors) -> Tensors:
    return {"ok" if inputs["READING"][0] < 250 else "odd": inputs["READING"]}


def forecast(inputs: Tensors) -> Tensors:
    return {"NEXT": inputs["READING"] + len(inputs)}


def quick(inputs: Tensors) -> Tensors:
    return {"GUESS": inputs["X"]}


def classify(inputs: Tensors) -> Tensors:
    return {"LABEL": np.sign(inputs["X"]), "ROWS": np.array([len(inputs["X"])], np.float32)}


def try_(inputs: Tensors) -> Tensors:
    return {"BOARD": inputs["BOARD"] - 1}


def judge(inputs: Tensors) -> Tensors:
    return {"again" if inputs["BOARD"][0] > 0 else "done": inputs["BOARD"]}


def store(inputs: Tensors) -> Tensors:
    return dict(inputs)


def careful(inputs: Tensors) -> Tensors:
    return {"PRICE": inputs["X"] * 3} if inputs["X"][0] > 0 else {}


def best(inputs: Tensors) -> Tensors:
    return {"OFFER": inputs.get("PRICE", inputs["GUESS"])}
