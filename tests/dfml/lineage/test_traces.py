"""The trace of a request says exactly what an output came from."""

import io

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from dfml.errors import NotFoundError
from dfml.lineage.entry import Entry, Kind
from dfml.lineage.traces import order_for_waterfall, trace
from dfml.record import Position


def test_the_trace_holds_every_record_of_the_request_with_its_parents(pen, store, tap_all):
    at = pen.claim("r1", 100.0)
    pen.claim("r2", 10.0)
    tap_all()
    found = trace(store, "r1")
    assert {entry.position for entry in found.entries} == set(at.values())
    assert found.by_position[at["call"]].parents == (at["split"], at["value"])
    assert found.status == "answered"


def test_backwards_from_the_answer_is_exactly_what_it_was_made_from(pen, store, tap_all):
    at = pen.claim("r1", 10.0)
    tap_all()
    made_of = {entry.position for entry in trace(store, "r1").backwards(at["out"])}
    assert made_of == set(at.values())


def test_an_unknown_request_is_not_found(store):
    with pytest.raises(NotFoundError, match="request 'nobody'"):
        trace(store, "nobody")


def test_the_json_of_a_trace_names_drops_with_reason_and_what_was_missing(pen, store, tap_all):
    at = pen.claim("r1", 10.0)
    tap_all()
    said = orjson.loads(orjson.dumps(trace(store, "r1").to_dict()))
    assert said["drops"][0]["rule"] == "high"
    assert said["drops"][0]["reason"] == "filtered"
    assert said["drops"][0]["missing"] == ["split.outputs.high"]
    assert said["drops"][0]["position"] == str(at["split"])


def a_batch(pen):
    """Two requests whose records are one call of the model; its answer is cut back to them; gives the positions."""
    at = {f"in{n}": pen.enter(f"r{n}", {"x": [float(n)]}) for n in (1, 2)}
    at |= {f"call{n}": pen.call("m", f"r{n}", [at[f"in{n}"]], {"x": [float(n)]}) for n in (1, 2)}
    for n in (1, 2):
        at[f"y{n}"] = pen.give("m", f"r{n}", [at["call1"], at["call2"]], {"y": [10.0 * n]})
        at[f"out{n}"] = pen.reply(f"r{n}", [at[f"y{n}"]], {"y": [10.0 * n]})
    return at


def test_a_trace_holds_the_requests_own_records_and_counts_the_others_of_its_batch(pen, store, tap_all):
    at = a_batch(pen)
    tap_all()
    second = trace(store, "r2")
    assert {entry.position for entry in second.entries} == {at["in2"], at["call2"], at["y2"], at["out2"]}
    assert "1 +1 of others" in shown(second)


def test_forwards_goes_through_the_batch_to_all_that_the_input_touched(pen, store, tap_all):
    at = a_batch(pen)
    tap_all()
    touched = {entry.position for entry in trace(store, "r1").forwards(at["in1"])}
    assert touched == {at[name] for name in ("in1", "call1", "y1", "out1", "y2", "out2")}


def test_backwards_goes_through_the_batch_to_all_inputs(pen, store, tap_all):
    at = a_batch(pen)
    tap_all()
    made_of = {entry.position for entry in trace(store, "r2").backwards(at["out2"])}
    assert made_of == {at[name] for name in ("in1", "in2", "call1", "call2", "y2", "out2")}


def test_the_trace_goes_on_into_a_pipeline_that_reads_the_first(log, topics, pen, store, tap_all):
    at = pen.claim("r1", 10.0)
    other = type(pen)(log, topics, pipeline="audit")
    other.now_ms = pen.now_ms
    fed = other.write(topics.pipeline_inputs("audit"), "r1", b"", (), [at["value"]])
    tap_all()
    found = trace(store, "r1")
    assert fed in {entry.position for entry in found.forwards(at["value"])}
    assert found.to_dict()["pipelines"] == ["audit", "claims"]


def test_parents_stand_before_their_children_although_clocks_disagree(pen, store, tap_all):
    entered = pen.enter("r1", {"x": [1.0]})
    pen.now_ms -= 5000
    called = pen.call("value", "r1", [entered], {"x": [1.0]})
    given = pen.give("value", "r1", [called], {"y": [1.0]})
    tap_all()
    assert [entry.position for entry in trace(store, "r1").entries] == [entered, called, given]


def test_a_result_written_twice_is_marked_on_its_second_writing(pen, store, tap_all):
    at = pen.claim("r1", 10.0)
    again = pen.give("value", "r1", [at["value.in"]], {"value": [10.5]})
    tap_all()
    assert trace(store, "r1").duplicates == {again}


def test_an_error_ends_the_trace_as_failed_with_its_text(pen, store, tap_all):
    called = pen.call("value", "r1", [pen.enter("r1", {"x": [1.0]})], {"x": [1.0]})
    pen.fail("value", "r1", [called], "no such car")
    tap_all()
    said = trace(store, "r1").to_dict()
    assert said["status"] == "failed"
    assert said["records"][-1]["error"] == {"kind": "raised", "text": "no such car"}


def test_an_errors_text_is_printed_in_full_below_the_rows(pen, store, tap_all):
    pen.fail("value", "r1", [pen.enter("r1", {"x": [1.0]})], "no such car " + "x" * 100)
    tap_all()
    assert "x" * 100 in shown(trace(store, "r1")).replace("\n", "")


def test_tensors_are_decoded_and_shortened_in_json(pen, store, tap_all):
    at = {"in": pen.enter("r1", {"x": np.arange(100.0), "t": [b"a" * 1000]})}
    tap_all()
    found = trace(store, "r1")
    assert found.tensors(at["in"])[0].array.tolist() == list(range(100))
    numbers, text = found.to_dict()["records"][0]["tensors"]
    assert (numbers["shape"], len(numbers["data"]), numbers["n_left_out"]) == ([100], 16, 84)
    assert text["data"][0].endswith("(800 more)")


def test_a_payload_that_is_no_message_is_shown_as_unreadable_not_raised(topics, pen, store, tap_all):
    pen.write(topics.model_inputs("value"), "r1", b"\xff\xff garbage")
    tap_all()
    found = trace(store, "r1")
    assert "expected a protobuf InferRequest" in found.to_dict()["records"][0]["unreadable"]
    assert "unreadable" in shown(found)


def shown(found):
    console = Console(width=160, file=io.StringIO())
    console.print(found.render())
    return console.file.getvalue()


def test_the_waterfall_shows_records_values_parents_and_drops(pen, store, tap_all):
    pen.claim("r1", 100.0)
    tap_all()
    lines = shown(trace(store, "r1")).splitlines()
    assert lines[0].startswith("r1  claims  answered")
    assert any("high.inputs" in line and "4 2" in line for line in lines)
    assert any("claims.outputs" in line and "payout 80" in line for line in lines)
    assert "low did not use 4 split.outputs: filtered (missing split.outputs.low)" in lines


def test_the_notebooks_table_escapes_what_callers_sent(pen, store, tap_all):
    pen.enter("r1", {"x": [b"<script>"]})
    tap_all()
    html = trace(store, "r1")._repr_html_()
    assert "&lt;script&gt;" in html
    assert "<script>" not in html


@given(st.lists(st.tuples(st.integers(0, 3), st.sets(st.integers(0, 11))), max_size=12))
def test_any_graph_of_parents_is_ordered_parents_first(drawn):
    entries = [
        an_entry(number, time_ms, [parent for parent in parents if parent < number])
        for number, (time_ms, parents) in enumerate(drawn)
    ]
    order = [entry.position for entry in order_for_waterfall(reversed(entries))]
    assert sorted(order) == [entry.position for entry in entries]
    assert all(order.index(parent) < order.index(each.position) for each in entries for parent in each.parents)


def an_entry(number, time_ms, parents):
    at = [Position("t", 0, each) for each in (number, *parents)]
    timing = {"queue_us": None, "service_us": None, "error_kind": None}
    return Entry(
        at[0],
        time_ms,
        "r",
        "p",
        1,
        "s",
        Kind.STEP_OUTPUTS,
        0,
        tuple(at[1:]),
        **timing,
        payload_bytes=0,
        payload=b"",
        headers=(),
    )
