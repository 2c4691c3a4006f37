"""The audit: every record has a fate, and one that has none is found."""

import io

import pytest
from rich.console import Console

from dfml import headers as h
from dfml.lineage.audit import audit
from dfml.lineage.entry import Loss
from dfml.record import Position

LATER_MS = 2**50


def counts(found):
    return {fate: n for fate, n in found.counts.items() if n}


def rendered(found):
    console = Console(file=io.StringIO(), width=120)
    console.print(found.render())
    return console.file.getvalue()


def test_answered_requests_leave_nothing_unaccounted(pen, store, tap_all):
    for number in range(20):
        pen.claim(f"r{number}", 10.0 * number)
    tap_all()
    found = audit(store, "claims", now_ms=LATER_MS)
    assert counts(found) == {"consumed": 140, "answered": 20}
    assert found.n_records == store.counts().n_records


def test_a_planted_record_that_nothing_was_made_of_is_named(pen, store, tap_all):
    pen.claim("r1", 10.0)
    lost = pen.call("high", "r1", [pen.claim("r2", 10.0)["split"]], {"x": [1.0]})
    tap_all()
    found = audit(store, "claims", now_ms=LATER_MS)
    assert found.unaccounted == 1
    assert found.positions == (lost,)


def test_what_the_log_removed_before_the_tap_read_it_is_named(store, topics):
    first = Position(topics.pipeline_inputs("claims"), 0, 3)
    store.write([], [Loss(first, 7, 1_000, "removed from the log by retention before the tap read it")])
    found = audit(store, now_ms=LATER_MS)
    assert found.to_dict()["lost"] == [{"first": str(first), "n_records": 4}]
    assert f"{first} to 6: removed from the log by retention" in " ".join(rendered(found).split())
    assert audit(store, until_ms=1_000, now_ms=LATER_MS).losses == ()


def test_a_dropped_record_is_counted_under_its_reason(pen, store, tap_all):
    entered = pen.enter("r1", {"x": [1.0]})
    pen.drop("value", "r1", entered, "filtered", ["claims.inputs.amount"])
    tap_all()
    found = audit(store, now_ms=LATER_MS)
    assert counts(found) == {"dropped": 1}
    assert found.reasons["dropped"] == {"filtered": 1}


def test_a_record_of_which_only_an_error_was_made_failed(pen, store, tap_all):
    called = pen.call("value", "r1", [pen.enter("r1", {"x": [1.0]})], {"x": [1.0]})
    pen.fail("value", "r1", [called], "boom")
    tap_all()
    found = audit(store, now_ms=LATER_MS)
    assert counts(found) == {"consumed": 1, "failed": 1, "answered": 1}
    assert found.reasons["failed"] == {"raised": 1}


def test_a_record_is_pending_until_its_deadline(pen, store, tap_all):
    deadline_ms = pen.now_ms + 5000
    pen.extra = ((h.DEADLINE, b"%d" % deadline_ms),)
    pen.enter("r1", {"x": [1.0]})
    tap_all()
    fates = [counts(audit(store, now_ms=now_ms, until_ms=LATER_MS)) for now_ms in (deadline_ms - 1, deadline_ms)]
    assert fates == [{"pending": 1}, {"unaccounted": 1}]


def test_a_record_without_a_deadline_is_pending_for_a_minute(pen, store, tap_all):
    pen.enter("r1", {"x": [1.0]})
    tap_all()
    ages_ms = (59_999, 60_000)
    fates = [counts(audit(store, now_ms=pen.now_ms + age, until_ms=LATER_MS)) for age in ages_ms]
    assert fates == [{"pending": 1}, {"unaccounted": 1}]


def test_a_record_that_one_of_its_rules_has_not_decided_on_is_unaccounted(pen, store, tap_all):
    pen.load()
    entered = pen.enter("r1", {"x": [1.0]})
    value = pen.give("value", "r1", [pen.call("value", "r1", [entered], {"x": [1.0]})], {"y": [1.0]})
    split = pen.give("split", "r1", [pen.call("split", "r1", [value], {"y": [1.0]})], {"low": [1.0]})
    pen.drop("high", "r1", split, "filtered", ["split.outputs.high"])
    low = pen.give("low", "r1", [pen.call("low", "r1", [split], {"low": [1.0]})], {"payout": [1.0]})
    pen.reply("r1", [low], {"payout": [1.0]})
    tap_all()
    assert audit(store, now_ms=LATER_MS).positions == (value,)
    pen.drop("high", "r1", value, "join window closed", ["split.outputs.high"])
    tap_all()
    assert audit(store, now_ms=LATER_MS).unaccounted == 0


def test_a_complete_claim_has_a_fate_from_every_rule(pen, store, tap_all):
    pen.load()
    pen.claim("r1", 10.0)
    pen.claim("r2", 100.0)
    tap_all()
    assert audit(store, now_ms=LATER_MS).unaccounted == 0


@pytest.mark.parametrize("step", ["value", "low"])
def test_a_result_written_again_is_a_duplicate(pen, store, tap_all, step):
    at = pen.claim("r1", 10.0)
    pen.give(step, "r1", [at["call"]], {"y": [1.0]})
    tap_all()
    found = audit(store, now_ms=LATER_MS)
    assert counts(found) == {"consumed": 7, "answered": 1, "duplicate": 1}


def test_an_answer_given_twice_is_a_duplicate(pen, store, tap_all):
    at = pen.claim("r1", 10.0)
    pen.reply("r1", [at["branch"]], {"payout": [8.0]})
    tap_all()
    assert counts(audit(store, now_ms=LATER_MS))["duplicate"] == 1


def test_only_the_window_and_the_pipeline_asked_for_are_counted(log, topics, pen, store, tap_all):
    pen.claim("r1", 10.0)
    middle_ms = pen.now_ms + 1
    pen.claim("r2", 10.0)
    type(pen)(log, topics, pipeline="other").enter("r3", {"x": [1.0]})
    tap_all()
    assert audit(store, "claims", middle_ms, now_ms=LATER_MS).n_records == 8
    assert audit(store, "claims", 0, middle_ms, now_ms=LATER_MS).n_records == 8
    assert audit(store, "other", now_ms=LATER_MS).n_records == 1
    assert audit(store, now_ms=LATER_MS).n_records == 17


def test_the_rendering_names_the_unaccounted(pen, store, tap_all):
    lost = pen.enter("r1", {"x": [1.0]})
    tap_all()
    console = Console(width=100, file=io.StringIO())
    console.print(audit(store, now_ms=LATER_MS).render())
    assert "unaccounted = 1" in console.file.getvalue()
    assert str(lost) in console.file.getvalue()


def test_the_json_has_counts_reasons_and_positions(pen, store, tap_all):
    lost = pen.enter("r1", {"x": [1.0]})
    tap_all()
    said = audit(store, now_ms=LATER_MS).to_dict()
    assert (said["unaccounted"], said["positions"], said["n_records"]) == (1, [str(lost)], 1)
