from collections.abc import Callable

from dfml import headers as h
from dfml.topics import Topics

INNER = """{steps: [{name: a}, {name: b}, {name: c, inputs: [a.outputs.X, b.outputs.Y]}],
    output: {steps: [c]}}"""


def test_the_committable_position_is_the_oldest_record_still_needed(desk: Callable):
    inner = desk(INNER)
    for request in ("r1", "r2", "r3"):
        inner.send("model.a.outputs", {"X": [1]}, request)
    inner.send("model.b.outputs", {"Y": [2]}, "r2")
    assert inner.committable("model.a.outputs") == 0
    inner.send("model.b.outputs", {"Y": [2]}, "r1")
    assert inner.committable("model.a.outputs") == 2
    assert inner.committable("model.b.outputs") == 2


def test_what_a_garbled_record_leaves_alone_in_a_join_is_dropped(desk: Callable):
    inner = desk(INNER)
    inner.send("model.b.outputs", {"Y": [2]})
    written = inner.send("model.a.outputs", b"plain text")
    assert written.drops == [("c", "model.b.outputs@0", "upstream dropped")]
    assert dict(inner.appends[-1].headers)[h.PARENTS] == b"model.a.outputs@0"


def test_a_request_of_another_pipeline_leaves_its_callers_deadline_behind(desk: Callable, topics: Topics):
    fed = desk("{input: {externalInputs: [q.outputs.X]}, steps: [{name: a}], output: {steps: [a]}}")
    named = ((h.PIPELINE, b"q"), (h.VERSION, b"7"), (h.DEADLINE, b"5000"), ("traceparent", b"00-1"))
    record = fed.record("pipeline.q.outputs", {"X": [1]})._replace(headers=named)
    fed.task.arrive(fed.topology, fed.topology.external_feeds[record.topic, "q"], record)
    [append] = fed.task.appends
    headers = dict(append.headers)
    assert (append.topic, headers[h.PIPELINE], headers[h.VERSION]) == (topics.pipeline_inputs("p"), b"p", b"1")
    assert headers["traceparent"] == b"00-1"
    assert h.DEADLINE not in headers
