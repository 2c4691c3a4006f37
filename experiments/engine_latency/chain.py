"""The pipeline that is measured: N steps in a row, each adds 10 to 16 numbers."""

import orjson

from experiments.engine_latency.models import NUMBERS

PIPELINE = "chain"


def chain_yaml(n_steps: int, *, inline: bool) -> str:
    """Return the documents of a chain of ``n_steps`` steps, each with a model of its own."""
    documents = [_model(number, inline=inline) for number in range(n_steps)]
    return "---\n".join([*documents, _pipeline(n_steps)])


def _model(number: int, *, inline: bool) -> str:
    return (
        "apiVersion: mlops.seldon.io/v1alpha1\n"
        "kind: Model\n"
        f"metadata: {{name: add10-{number}}}\n"
        f"spec: {{storageUri: 'python:experiments.engine_latency.models:add10', inline: {str(inline).lower()}}}\n"
    )


def _pipeline(n_steps: int) -> str:
    steps = ["    - name: add10-0\n"]
    steps += [f"    - name: add10-{number}\n      inputs: [add10-{number - 1}]\n" for number in range(1, n_steps)]
    return (
        "apiVersion: mlops.seldon.io/v1alpha1\n"
        "kind: Pipeline\n"
        f"metadata: {{name: {PIPELINE}}}\n"
        "spec:\n"
        "  steps:\n"
        f"{''.join(steps)}"
        "  output:\n"
        f"    steps: [add10-{n_steps - 1}]\n"
    )


def request_body() -> bytes:
    """Return the body of one request: 16 numbers as FP32."""
    tensor = {"name": "x", "shape": [NUMBERS], "datatype": "FP32", "data": [float(number) for number in range(NUMBERS)]}
    return orjson.dumps({"inputs": [tensor]})


def is_right(answer: bytes, n_steps: int) -> bool:
    """Whether the answer is the request's numbers plus 10 for each step."""
    expected = [float(number + 10 * n_steps) for number in range(NUMBERS)]
    outputs = orjson.loads(answer).get("outputs", [])
    return len(outputs) == 1 and outputs[0]["data"] == expected
