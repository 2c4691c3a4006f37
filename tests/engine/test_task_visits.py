from collections.abc import Callable

from dfml import headers as h

INNER = """{steps: [{name: a}, {name: b}, {name: c, inputs: [a.outputs.X, b.outputs.Y], joinWindowMs: 1000}],
    output: {steps: [c]}}"""


# -- cycles -----------------------------------------------------------------------------------------------------------

LOOP = """{allowCycles: true, maxStepRevisits: 2, output: {steps: [a.outputs.DONE]}, steps: [
    {name: a, inputs: [p.inputs.X, b.outputs.X], inputsJoinType: any}, {name: b, inputs: [a.outputs.AGAIN]}]}"""


def visit(number: int) -> h.Headers:
    return ((h.VISIT, b"%d" % number),)


def test_a_loop_counts_its_visits_in_the_records(desk: Callable):
    loop = desk(LOOP)
    loop.send("pipeline.p.inputs", {"X": [1]})
    assert loop.send("model.a.outputs", {"AGAIN": [1]}).fired == [("model.b.inputs", {"AGAIN": [1]})]
    assert loop.send("model.b.outputs", {"X": [1]}).fired == [("model.a.inputs", {"X": [1]})]
    assert dict(loop.appends[-1].headers)[h.VISIT] == b"1"


def test_a_loop_that_goes_on_is_no_request_without_output(desk: Callable):
    loop = desk(LOOP)
    loop.send("pipeline.p.inputs", {"X": [1]})
    assert loop.send("model.a.outputs", {"AGAIN": [1]}).errors == []


def test_a_loop_answers_when_it_is_done(desk: Callable):
    loop = desk(LOOP)
    loop.send("pipeline.p.inputs", {"X": [1]})
    loop.send("model.a.outputs", {"AGAIN": [1]})
    loop.send("model.b.outputs", {"X": [1]})
    written = loop.send("model.a.outputs", {"DONE": [7]}, headers=visit(1))
    assert written.fired == [("pipeline.p.outputs", {"DONE": [7]})]


def test_a_step_visited_too_often_fails_the_request_with_the_limit(desk: Callable):
    loop = desk(LOOP)
    loop.send("pipeline.p.inputs", {"X": [1]})
    for number in (0, 1):
        assert loop.send("model.b.outputs", {"X": [1]}, headers=visit(number)).fired
    [(step, kind, text)] = loop.send("model.b.outputs", {"X": [1]}, headers=visit(2)).errors
    assert (step, kind) == ("a", "too_many_revisits")
    assert "maxStepRevisits = 2" in text


def test_a_copy_of_what_came_too_often_is_a_duplicate(desk: Callable):
    loop = desk(LOOP)
    loop.send("pipeline.p.inputs", {"X": [1]})
    for number in (0, 1, 2):
        loop.send("model.b.outputs", {"X": [1]}, headers=visit(number))
    copied = loop.send("model.b.outputs", {"X": [1]}, headers=visit(2))
    assert [(step, reason) for step, _, reason in copied.drops] == [("a", "duplicate")]


def test_visits_of_requests_with_prefix_equal_ids_are_counted_apart(desk: Callable):
    loop = desk(LOOP)
    for request in ("r.1", "r.10"):
        loop.send("pipeline.p.inputs", {"X": [1]}, request)
        for number in (0, 1):
            assert loop.send("model.b.outputs", {"X": [1]}, request, headers=visit(number)).fired


def test_a_result_of_a_later_visit_never_meets_a_record_from_before_the_loop(desk: Callable):
    late = "{name: c, inputs: [p.inputs.Y, a.outputs.DONE], joinWindowMs: 1000}"
    loop = desk(LOOP.replace("{name: b,", f"{late}, {{name: b,"))
    loop.send("pipeline.p.inputs", {"X": [1], "Y": [1]})
    loop.send("model.a.outputs", {"DONE": [7]}, headers=visit(1))
    dropped = loop.close(1_000).drops
    assert [(step, record) for step, record, _ in dropped] == [("c", "pipeline.p.inputs@0"), ("c", "model.a.outputs@0")]
    assert {reason for _, _, reason in dropped} == {"join window closed"}


# -- sharing ----------------------------------------------------------------------------------------------------------


def test_two_pipelines_that_share_a_model_never_mix(desk: Callable):
    one, two = desk(INNER), desk(INNER, name="q")
    two.task = one.task
    one.send("model.a.outputs", {"X": [1]})
    assert not two.send("model.b.outputs", {"Y": [2]}, offset=0)
    assert two.send("model.a.outputs", {"X": [5]}, offset=1).fired == [("model.c.inputs", {"X": [5], "Y": [2]})]


def test_two_versions_of_a_pipeline_never_mix(desk: Callable):
    old, new = desk(INNER), desk(INNER, version=2)
    new.task = old.task
    old.send("model.a.outputs", {"X": [1]})
    assert not new.send("model.b.outputs", {"Y": [2]})
    assert old.send("model.b.outputs", {"Y": [3]}, offset=1).fired == [("model.c.inputs", {"X": [1], "Y": [3]})]
