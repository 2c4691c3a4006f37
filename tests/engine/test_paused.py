"""A process that stood still has records and closing windows before it at once: the records come first."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from dfml import headers as h
from dfml.inference.codec import encode_response
from dfml.log import open_log
from dfml.record import Append, Record
from dfml.topics import Topics

JOIN = """{steps: [{name: a}, {name: b},
    {name: c, inputs: [a.outputs.X, b.outputs.Y], inputsJoinType: %s, joinWindowMs: 400}], output: {steps: [c]}}"""
N_REQUESTS, N_BEFORE = 100, 3_000
"""The second answers lie behind more records than are read at once."""


def answers_of(topics: Topics, model: str, tensor: str, requests: range) -> list[Append]:
    """Return what a model has answered to requests."""
    value = encode_response({tensor: np.ones(1)}, model_name=model, request_id="").SerializeToString()
    named = ((h.PIPELINE, b"p"), (h.VERSION, b"1"))
    keys = [b"%04d" % number for number in requests]
    return [Append(topics.model_outputs(model), 0, key, value, (*named, (h.REQUEST, key))) for key in keys]


def joined(calls: Any) -> list[Record]:
    """Return what the step was given for the requests that both models have answered."""
    return [record for record in calls.records("model.c.inputs") if int(record.key) < N_REQUESTS]


async def test_a_paused_worker_closes_no_window_on_records_that_waited_in_the_log(
    stack: Callable, texts: Any, topics: Topics, wait: Callable
):
    async with stack() as calls:
        calls.load(texts.pipeline("p", JOIN % "outer"))
        waiting = [
            *answers_of(topics, "a", "X", range(N_REQUESTS)),
            *answers_of(topics, "b", "Y", range(N_REQUESTS, N_REQUESTS + N_BEFORE)),
            *answers_of(topics, "b", "Y", range(N_REQUESTS)),
        ]
        with open_log(calls.stack.settings) as other:
            other.append(waiting)
        time.sleep(0.6)  # noqa: ASYNC251 - nothing of the process runs: this is the pause
        fired = await wait(lambda: len(found := joined(calls)) >= N_REQUESTS and found, timeout_s=50)
        assert {tuple(calls.tensors(record)) for record in fired} == {("X", "Y")}
