"""The trace of a request says exactly what an output came from."""

import orjson
import pytest

from dfml.errors import NotFoundError
from dfml.lineage.traces import trace


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
