"""Two pipelines that share models: a chain with a batch, and branches that meet in an inner and an any join.

The answer to a request is a function of its number, which the checker knows.
"""

from typing import Any

import numpy as np

Tensors = dict[str, np.ndarray[Any, Any]]
API = "apiVersion: mlops.seldon.io/v1alpha1\n"
MODELS = {"double": True, "plus-one": False, "parity": True, "total": True, "negate": False}
"""The models, and whether they are called inline."""

PIPELINES = {
    "chain": """
  steps:
    - name: double
    - name: plus-one
      inputs: [double]
      batch: {size: 8, windowMs: 20}
  output: {steps: [plus-one]}
""",
    "branches": """
  steps:
    - name: double
    - name: parity
    - name: negate
      inputs: [parity.outputs.odd]
      tensorMap: {parity.outputs.odd: x}
    - name: plus-one
      inputs: [parity.outputs.even]
      tensorMap: {parity.outputs.even: x}
    - name: total
      inputs: [double.outputs.x, parity.outputs.whole]
  output: {steps: [total, negate, plus-one], stepsJoin: any}
""",
}
NAMES = tuple(PIPELINES)


def documents() -> str:
    """Return the documents of the models and pipelines."""
    models = [
        f"{API}kind: Model\nmetadata: {{name: {name}}}\nspec:\n"
        f"  storageUri: 'python:experiments.crash_campaign.pipelines:{name.replace('-', '_')}'\n"
        f"  inline: {str(inline).lower()}\n"
        for name, inline in MODELS.items()
    ]
    pipelines = [f"{API}kind: Pipeline\nmetadata: {{name: {name}}}\nspec:{spec}" for name, spec in PIPELINES.items()]
    return "---\n".join(models + pipelines)


def expected(pipeline: str, number: int) -> float:
    """Return what the pipeline answers to a number."""
    if pipeline == "chain":
        return 2.0 * number + 1
    if number % 3 == 0:
        return 3.0 * number
    return -float(number) if number % 2 else number + 1.0


def double(inputs: Tensors) -> Tensors:
    """Double the number."""
    return {"x": inputs["x"] * 2}


def plus_one(inputs: Tensors) -> Tensors:
    """Add one."""
    return {"x": inputs["x"] + 1}


def negate(inputs: Tensors) -> Tensors:
    """Turn the sign."""
    return {"x": -inputs["x"]}


def total(inputs: Tensors) -> Tensors:
    """Add the doubled number and the number itself."""
    return {"x": inputs["x"] + inputs["whole"]}


def parity(inputs: Tensors) -> Tensors:
    """Send multiples of three to the join, the others to the branch of their parity."""
    number = int(inputs["x"].flat[0])
    branch = "whole" if number % 3 == 0 else "odd" if number % 2 else "even"
    return {branch: inputs["x"]}
