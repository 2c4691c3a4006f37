from collections.abc import Callable

import pytest

from dfml import headers as h
from dfml.inference.oip_pb2 import InferResponse
from dfml.record import Record
from dfml_engine.recovery import Sent

CHAIN = "{steps: [{name: a}, {name: b, inputs: [a]}], output: {steps: [b]}}"
JOIN = """{steps: [{name: a}, {name: b}, {name: c, inputs: [a.outputs.X, b.outputs.Y], joinWindowMs: 1000%s}],
    output: {steps: [c]}}"""
INNER, OUTER, ANY = JOIN % "", JOIN % ", inputsJoinType: outer", JOIN % ", inputsJoinType: any"
ANY_OUTPUT = "{steps: [{name: a}, {name: b}], output: {steps: [a, b], stepsJoin: any}}"
LATE = "join window closed"


# -- firing -----------------------------------------------------------------------------------------------------------


def test_a_chain_hands_the_tensors_on_from_step_to_step(desk: Callable):
    chain = desk(CHAIN)
    assert chain.send("pipeline.p.inputs", {"X": [1]}).fired == [("model.a.inputs", {"X": [1]})]
    assert chain.send("model.a.outputs", {"Y": [2]}).fired == [("model.b.inputs", {"Y": [2]})]
    assert chain.send("model.b.outputs", {"Z": [3]}).fired == [("pipeline.p.outputs", {"Z": [3]})]


def test_a_step_gets_only_the_tensors_it_wants_under_their_new_names(desk: Callable):
    spec = """{steps: [{name: a, inputs: [p.inputs.X, p.inputs.Y], tensorMap: {p.inputs.Y: NEW}}],
        output: {steps: [a]}}"""
    written = desk(spec).send("pipeline.p.inputs", {"Y": [2], "W": [9], "X": [1]})
    assert written.fired == [("model.a.inputs", {"X": [1], "NEW": [2]})]


def test_a_rename_applies_where_the_whole_topic_is_wanted(desk: Callable):
    spec = "{steps: [{name: a, tensorMap: {p.inputs.X: NEW}}], output: {steps: [a]}}"
    written = desk(spec).send("pipeline.p.inputs", {"X": [1], "Y": [2]})
    assert written.fired == [("model.a.inputs", {"NEW": [1], "Y": [2]})]


def test_a_firing_names_its_parents_step_and_request(desk: Callable):
    inner = desk(INNER)
    inner.send("model.a.outputs", {"X": [1]}, headers=(("x-caller", b"me"),))
    inner.send("model.b.outputs", {"Y": [2]})
    headers = dict(inner.appends[0].headers)
    assert headers[h.PARENTS] == b"model.a.outputs@0,model.b.outputs@0"
    assert (headers[h.STEP], headers[h.PIPELINE], headers[h.VERSION]) == (b"c", b"p", b"1")
    assert (headers["x-caller"], inner.appends[0].key) == (b"me", b"r1")


def test_a_record_is_sent_on_to_the_partition_number_it_came_from(desk: Callable):
    chain = desk(CHAIN)
    chain.partition = 3
    chain.send("pipeline.p.inputs", {"X": [1]})
    assert [append.partition for append in chain.appends] == [3]


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_an_inner_join_fires_when_both_are_there_in_either_order(desk: Callable, order: tuple[str, str]):
    inner, tensors = desk(INNER), {"a": {"X": [1]}, "b": {"Y": [2]}}
    assert not inner.send(f"model.{order[0]}.outputs", tensors[order[0]])
    written = inner.send(f"model.{order[1]}.outputs", tensors[order[1]])
    assert written.fired == [("model.c.inputs", {"X": [1], "Y": [2]})]


def test_a_join_never_mixes_two_requests(desk: Callable):
    inner = desk(INNER)
    assert not inner.send("model.a.outputs", {"X": [1]}, "r1")
    assert not inner.send("model.b.outputs", {"Y": [2]}, "r2")


def test_two_tensors_of_one_name_are_an_error_unless_renamed(desk: Callable):
    spec = "{steps: [{name: a}, {name: b}, {name: c, inputs: [a, b]}], output: {steps: [c]}}"
    clash = desk(spec)
    clash.send("model.a.outputs", {"X": [1]})
    [(step, kind, text)] = clash.send("model.b.outputs", {"X": [2]}).errors
    assert (step, kind) == ("c", "undecodable")
    assert "'X'" in text
    assert "tensorMap" in text


def test_the_pipelines_output_keeps_both_tensors_of_one_name_in_order(desk: Callable):
    both = desk("{steps: [{name: a}, {name: b}], output: {steps: [a, b]}}")
    both.send("model.b.outputs", {"X": [2]})
    both.send("model.a.outputs", {"X": [1]})
    response = InferResponse.FromString(both.appends[-1].value)
    assert [tensor.name for tensor in response.tensors] == ["X", "X"]
    assert list(response.raw_contents) == [b"\0\0\x80?", b"\0\0\0@"]


# -- any, outer, triggers ---------------------------------------------------------------------------------------------


def test_an_any_join_fires_once_and_drops_the_later_one_as_superseded(desk: Callable):
    first = desk(ANY)
    assert first.send("model.b.outputs", {"Y": [2]}).fired == [("model.c.inputs", {"Y": [2]})]
    written = first.send("model.a.outputs", {"X": [1]})
    assert (written.fired, written.drops) == ([], [("c", "model.a.outputs@0", "superseded")])


def test_an_any_join_holds_its_first_record_until_the_other_has_come(desk: Callable):
    first = desk(ANY)
    first.send("model.b.outputs", {"Y": [2]})
    assert first.committable("model.b.outputs") == 0
    first.send("model.a.outputs", {"X": [1]})
    assert (first.committable("model.b.outputs"), first.committable("model.a.outputs")) == (1, 1)


def test_an_any_join_holds_its_first_record_no_longer_than_its_window(desk: Callable):
    first = desk(ANY)
    first.send("model.b.outputs", {"Y": [2]}, at_ms=100)
    assert not first.close(1099)
    assert first.committable("model.b.outputs") == 0
    assert not first.close(1100)
    assert first.committable("model.b.outputs") == 1


def test_an_outer_join_fires_at_once_when_all_are_there(desk: Callable):
    outer = desk(OUTER)
    assert not outer.send("model.a.outputs", {"X": [1]})
    assert outer.send("model.b.outputs", {"Y": [2]}).fired == [("model.c.inputs", {"X": [1], "Y": [2]})]


def test_an_outer_join_fires_with_what_is_there_when_its_window_closes(desk: Callable):
    outer = desk(OUTER)
    outer.send("model.a.outputs", {"X": [1]}, at_ms=50)
    assert outer.task.next_close_ms() == 1050
    assert outer.close(1050).fired == [("model.c.inputs", {"X": [1]})]
    assert outer.committable("model.a.outputs") == 1


def test_an_outer_join_fires_at_once_when_the_other_can_never_come(desk: Callable):
    outer = desk(OUTER)
    outer.send("model.a.outputs", {"X": [1]})
    assert outer.fail("b").fired == [("model.c.inputs", {"X": [1]})]


def test_an_outer_joins_window_counts_from_the_first_record_that_came(desk: Callable):
    spec = """{steps: [{name: a}, {name: b}, {name: e}, {name: c, inputs: [a.outputs.X, b.outputs.Y, e],
        inputsJoinType: outer, joinWindowMs: 1000}], output: {steps: [c]}}"""
    outer = desk(spec)
    outer.send("model.a.outputs", {"OTHER": [1]}, at_ms=0)
    outer.send("model.b.outputs", {"Y": [2]}, at_ms=900)
    assert not outer.close(1899)
    assert outer.close(1900).fired == [("model.c.inputs", {"Y": [2]})]


def test_a_record_is_not_too_late_for_a_window_that_nothing_had_opened(desk: Callable):
    spec = """{steps: [{name: a}, {name: b}, {name: e}, {name: c, inputs: [a.outputs.X, b.outputs.Y, e],
        inputsJoinType: outer, joinWindowMs: 1000}], output: {steps: [c]}}"""
    outer = desk(spec)
    outer.send("model.a.outputs", {"OTHER": [1]}, at_ms=0)
    outer.close(1500)
    assert not outer.send("model.b.outputs", {"Y": [2]}, at_ms=2000)
    assert outer.close(3000).fired == [("model.c.inputs", {"Y": [2]})]


def test_triggers_let_data_through_but_do_not_flow(desk: Callable):
    spec = """{steps: [{name: a, inputs: [p.inputs.X], triggers: [p.inputs.ok1, p.inputs.ok2], triggersJoinType: any}],
        output: {steps: [a]}}"""
    written = desk(spec).send("pipeline.p.inputs", {"X": [1], "ok2": [0]})
    assert written.fired == [("model.a.inputs", {"X": [1]})]


def test_inner_triggers_are_all_needed(desk: Callable):
    spec = """{steps: [{name: t}, {name: u}, {name: a, inputs: [p.inputs.X], triggers: [t, u]}],
        output: {steps: [a]}}"""
    gated = desk(spec)
    gated.send("pipeline.p.inputs", {"X": [1]})
    assert not gated.send("model.t.outputs", {"ok": [1]})
    assert gated.send("model.u.outputs", {"ok": [1]}).fired == [("model.a.inputs", {"X": [1]})]


def test_data_that_an_any_join_did_not_use_while_it_waited_for_its_trigger_is_superseded(desk: Callable):
    spec = "{steps: [{name: a}, {name: b}, {name: t}, {name: c, inputs: [a, b], inputsJoinType: any, triggers: [t]}]}"
    gated = desk(spec)
    gated.send("model.b.outputs", {"Y": [2]})
    gated.send("model.a.outputs", {"X": [1]})
    written = gated.send("model.t.outputs", {"ok": [1]})
    assert written.fired == [("model.c.inputs", {"Y": [2]})]
    assert written.drops == [("c", "model.a.outputs@0", "superseded")]
    assert [gated.committable(f"model.{step}.outputs") for step in "abt"] == [1, 1, 1]


# -- drops ------------------------------------------------------------------------------------------------------------


def test_a_closed_inner_window_drops_what_it_held_and_names_what_was_missing(desk: Callable):
    inner = desk(INNER)
    inner.send("model.a.outputs", {"X": [1]}, at_ms=10)
    written = inner.close(1010)
    assert (written.drops, written.missing) == ([("c", "model.a.outputs@0", LATE)], [["b.outputs"]])
    assert inner.committable("model.a.outputs") == 1


def test_a_closed_window_tells_the_caller_what_did_not_come(desk: Callable):
    inner = desk(INNER)
    inner.send("model.a.outputs", {"X": [1]})
    [(step, kind, text)] = inner.close(1000).errors
    assert (step, kind) == ("", "no_output")
    assert "b.outputs did not come before the join window closed" in text or "b.outputs never came" in text


def test_a_record_after_the_window_is_dropped_as_late(desk: Callable):
    inner = desk(INNER)
    inner.send("model.a.outputs", {"X": [1]})
    inner.close(1000)
    assert inner.send("model.b.outputs", {"Y": [2]}, at_ms=1001).drops == [("c", "model.b.outputs@0", LATE)]


def test_a_late_record_closes_a_window_that_no_clock_has_closed(desk: Callable):
    inner = desk(INNER)
    inner.send("model.a.outputs", {"X": [1]})
    written = inner.send("model.b.outputs", {"Y": [2]}, at_ms=1001)
    assert written.fired == []
    assert written.drops == [("c", "model.a.outputs@0", LATE), ("c", "model.b.outputs@0", LATE)]


def test_a_request_is_remembered_from_the_last_that_happened_to_it(desk: Callable):
    outer = desk(OUTER)
    outer.send("pipeline.p.inputs", {"X": [1]})
    outer.send("model.a.outputs", {"X": [1]}, at_ms=119_500)
    assert outer.close(120_500).fired == [("model.c.inputs", {"X": [1]})]
    assert outer.send("model.b.outputs", {"Y": [2]}, at_ms=121_000).drops == [("c", "model.b.outputs@0", LATE)]


def test_a_record_at_the_windows_end_is_late_whether_or_not_the_clock_has_closed_it(desk: Callable):
    # It may come after the clock's look at that very millisecond, which a restart does not remember.
    late = ("c", "model.b.outputs@0", LATE)
    for is_closed in (True, False):
        inner = desk(INNER)
        inner.send("model.a.outputs", {"X": [1]})
        if is_closed:
            inner.close(1000)
        assert late in inner.send("model.b.outputs", {"Y": [2]}, at_ms=1000).drops
    assert not inner.send("model.b.outputs", {"Y": [2]}, at_ms=1000).fired


def test_a_record_just_before_the_windows_end_is_in_time(desk: Callable):
    inner = desk(INNER)
    inner.send("model.a.outputs", {"X": [1]})
    assert inner.send("model.b.outputs", {"Y": [2]}, at_ms=999).fired


def test_a_record_without_the_wanted_tensor_is_filtered(desk: Callable):
    routed = desk("{steps: [{name: a}, {name: b, inputs: [a.outputs.X]}]}")
    written = routed.send("model.a.outputs", {"OTHER": [1]})
    assert (written.drops, written.missing) == ([("b", "model.a.outputs@0", "filtered")], [["a.outputs.X"]])


def test_a_record_without_the_wanted_tensor_is_filtered_also_when_it_comes_too_late(desk: Callable):
    inner = desk(INNER)
    inner.send("model.b.outputs", {"Y": [1]})
    inner.close(1000)
    assert inner.send("model.a.outputs", {"Z": [1]}).drops[0] == ("c", "model.a.outputs@0", "filtered")


def test_an_inner_source_needs_all_its_tensors(desk: Callable):
    both = desk("{steps: [{name: a}, {name: b, inputs: [a.outputs.X, a.outputs.Y]}]}")
    assert both.send("model.a.outputs", {"X": [1]}).missing == [["a.outputs.Y"]]


def test_an_any_source_needs_one_of_its_tensors(desk: Callable):
    some = desk("{steps: [{name: a}, {name: b, inputs: [a.outputs.X, a.outputs.Y], inputsJoinType: any}]}")
    assert some.send("model.a.outputs", {"Y": [1]}).fired == [("model.b.inputs", {"Y": [1]})]


def test_the_branch_that_was_not_taken_is_told_to_the_output(desk: Callable):
    spec = """{steps: [{name: a}, {name: b, inputs: [a.outputs.X]}, {name: c, inputs: [a.outputs.Y]}],
        output: {steps: [b, c], stepsJoin: any}}"""
    routed = desk(spec)
    routed.send("model.a.outputs", {"Y": [1]})
    written = routed.send("model.c.outputs", {"Z": [5]})
    assert written.fired == [("pipeline.p.outputs", {"Z": [5]})]
    assert routed.committable("model.c.outputs") == 1


def test_a_duplicate_of_a_consumed_record_is_dropped_as_duplicate(desk: Callable):
    chain = desk(CHAIN)
    chain.send("pipeline.p.inputs", {"X": [1]})
    again = chain.send("pipeline.p.inputs", {"X": [1]})
    assert (again.fired, again.drops) == ([], [("a", "pipeline.p.inputs@1", "duplicate")])


def test_a_duplicate_in_an_open_join_is_dropped_as_duplicate(desk: Callable):
    inner = desk(INNER)
    inner.send("model.a.outputs", {"X": [1]})
    assert inner.send("model.a.outputs", {"X": [1]}).drops == [("c", "model.a.outputs@1", "duplicate")]
    assert inner.send("model.b.outputs", {"Y": [2]}).fired


def test_a_duplicate_for_a_finished_request_is_dropped_as_duplicate(desk: Callable):
    chain = desk(CHAIN)
    for topic in ("pipeline.p.inputs", "model.a.outputs", "model.b.outputs"):
        chain.send(topic, {"X": [1]})
    assert chain.send("model.a.outputs", {"X": [1]}).drops == [("b", "model.a.outputs@1", "duplicate")]


# -- telling the caller -----------------------------------------------------------------------------------------------


def test_after_a_restart_a_copy_is_a_duplicate_even_of_a_finished_request(desk: Callable):
    first, sent = desk("{steps: [{name: a}]}"), Sent()
    first.send("pipeline.p.inputs", {"X": [1]})
    [fired] = first.appends
    sent.add(Record(fired.topic, 0, 0, fired.key, fired.value, fired.headers, 0))
    second = desk("{steps: [{name: a}]}", already=sent)
    second.send("pipeline.p.inputs", {"X": [1]})
    assert second.send("pipeline.p.inputs", {"X": [1]}).drops == [("a", "pipeline.p.inputs@1", "duplicate")]


def test_after_a_restart_a_join_that_was_given_up_does_not_fire_in_another_order_of_its_records(desk: Callable):
    first, sent = desk(INNER), Sent()
    first.send("model.a.outputs", {"X": [1]})
    first.close(1000)
    for fate in first.appends:
        sent.add(Record(fate.topic, 0, 0, fate.key, fate.value, fate.headers, 0))
    second = desk(INNER, already=sent)
    written = second.send("model.b.outputs", {"Y": [2]}, at_ms=1500)
    assert (written.fired, written.drops) == ([], [("c", "model.b.outputs@0", LATE)])
    written = second.send("model.a.outputs", {"X": [1]})
    assert (written.fired, written.drops) == ([], [])


def test_a_request_that_can_have_no_output_is_told_at_once(desk: Callable):
    routed = desk(
        "{steps: [{name: a}, {name: b, inputs: [a.outputs.X]}, {name: c, inputs: [b]}], output: {steps: [c]}}"
    )
    [(step, kind, text)] = routed.send("model.a.outputs", {"OTHER": [1]}).errors
    assert (step, kind) == ("", "no_output")
    assert "pipeline 'p' has no output for this request: a.outputs.X never came" in text


def test_what_the_caller_did_not_send_is_the_callers_mistake(desk: Callable):
    needs = desk("{steps: [{name: a, inputs: [p.inputs.X]}], output: {steps: [a]}}")
    [(_, _, text)] = needs.send("pipeline.p.inputs", {"OTHER": [1]}).errors
    assert "p.inputs.X" in text
    assert dict(needs.appends[-1].headers)[h.ERROR_STATUS] == b"400"


def test_a_model_error_drops_what_waited_for_that_model(desk: Callable):
    inner = desk(INNER)
    inner.send("model.a.outputs", {"X": [1]})
    written = inner.fail("b")
    assert (written.drops, written.missing) == ([("c", "model.a.outputs@0", "upstream dropped")], [["b.outputs"]])
    assert inner.committable("model.a.outputs") == 1


def test_a_model_error_that_was_told_is_not_told_twice(desk: Callable):
    assert desk(CHAIN).fail("a").errors == []


def test_what_arrives_for_a_step_that_cannot_fire_any_more_is_dropped(desk: Callable):
    inner = desk(INNER)
    inner.fail("b")
    assert inner.send("model.a.outputs", {"X": [1]}).drops == [("c", "model.a.outputs@0", "upstream dropped")]


def test_an_any_output_survives_the_failure_of_one_branch(desk: Callable):
    either = desk(ANY_OUTPUT)
    assert not either.fail("a")
    assert either.send("model.b.outputs", {"X": [1]}).fired == [("pipeline.p.outputs", {"X": [1]})]


def test_an_undecodable_record_is_an_error_of_the_step_that_read_it(desk: Callable):
    chain = desk(CHAIN)
    [(step, kind, text)] = chain.send("model.a.outputs", b"plain text").errors
    assert (step, kind) == ("b", "undecodable")
    assert "seldon.default.model.a.outputs[0]@0" in text
    assert "10 bytes" in text


def test_an_undecodable_record_holds_nothing(desk: Callable):
    inner = desk(INNER)
    inner.send("model.b.outputs", {"Y": [2]})
    inner.send("model.a.outputs", b"plain text")
    assert (inner.committable("model.a.outputs"), inner.committable("model.b.outputs")) == (1, 1)


def test_what_waits_for_the_pipelines_own_output_is_dropped_when_there_can_be_none(desk: Callable):
    spec = """{steps: [{name: a}, {name: b}, {name: audit, inputs: [p.outputs], triggers: [a.outputs]}],
        output: {steps: [a, b]}}"""
    watched = desk(spec)
    watched.send("pipeline.p.inputs", {"X": [1]})
    watched.send("model.a.outputs", {"Y": [1]})
    drops = watched.fail("b").drops
    assert ("audit", "model.a.outputs@0", "upstream dropped") in drops
    assert watched.committable("model.a.outputs") == 1


def test_a_copy_of_what_a_rule_fired_with_is_a_duplicate_also_when_its_window_is_over(desk: Callable):
    outer = desk(OUTER)
    outer.send("model.a.outputs", {"X": [1]})
    assert outer.close(1000).fired == [("model.c.inputs", {"X": [1]})]
    assert outer.send("model.a.outputs", {"X": [1]}).drops == [("c", "model.a.outputs@1", "duplicate")]
    assert outer.send("model.b.outputs", {"Y": [1]}).drops == [("c", "model.b.outputs@0", LATE)]
