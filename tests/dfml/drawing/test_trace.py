from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dfml.drawing.svg import Tone
from dfml.drawing.trace import spell_tensor, trace_bars, waterfall_svg
from dfml.inference.codec import encode_request, encode_response
from dfml.lineage.entry import Entry, Fate, Kind
from dfml.lineage.payload import TensorValue
from dfml.lineage.store import LineageStore
from dfml.lineage.traces import Trace
from dfml.record import Position, TopicName


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LineageStore]:
    with LineageStore(tmp_path / "lineage.db") as opened:
        yield opened


def entry(kind: Kind, step: str, at_ms: int, parents: tuple[Position, ...] = (), payload: bytes | None = None) -> Entry:
    place = Position(TopicName(f"model.{step or 'claims'}.{kind.port}"), 0, at_ms)
    queue_us, service_us = (40, 250) if kind is Kind.STEP_OUTPUTS else (None, None)
    error = "raised" if kind is Kind.ERROR else None
    size = len(payload or b"")
    return Entry(
        place, at_ms, "r1", "claims", 1, step, kind, 0, parents, queue_us, service_us, error, size, payload, ()
    )


def claim(store: LineageStore) -> Trace:
    amount = {"amount": np.array([63000.0])}
    given = encode_request(amount, model_name="value", request_id="r1").SerializeToString()
    said = encode_response(amount, model_name="value", request_id="r1").SerializeToString()
    first = entry(Kind.ENTRY, "", 1000, payload=given)
    asked = entry(Kind.STEP_INPUTS, "value", 1001, (first.position,), given)
    answered = entry(Kind.STEP_OUTPUTS, "value", 1003, (asked.position,), said)
    waiting = entry(Kind.STEP_INPUTS, "low", 1004, (answered.position,))
    failed = entry(Kind.ERROR, "high", 1005, (answered.position,), b"no such class")
    reply = entry(Kind.ANSWER, "", 1006, (answered.position,), b"\xff not protobuf")
    drop = Fate(answered.position, 1005, "r1", "claims", 1, "top", "dropped", "filtered", ("value.outputs.top",))
    return Trace("r1", (first, asked, answered, waiting, failed, reply), (drop,), store)


def test_a_steps_input_and_answer_are_one_row_with_its_waiting_and_working_time(store: LineageStore) -> None:
    rows = [bar for bar in trace_bars(claim(store)) if bar.name == "value"]
    assert [(bar.start_ms, bar.queue_ms, bar.service_ms, bar.detail) for bar in rows] == [
        (1.0, 0.04, 0.25, "amount = 63,000")
    ]


def test_rows_are_ordered_by_time_and_begin_at_zero(store: LineageStore) -> None:
    rows = trace_bars(claim(store))
    assert [bar.name for bar in rows] == ["claims.inputs", "value", "low", "high", "top", "claims.outputs"]
    assert rows[0].start_ms == 0


def test_what_did_not_happen_is_said_with_its_reason(store: LineageStore) -> None:
    rows = {bar.name: bar for bar in trace_bars(claim(store))}
    assert rows["top"].detail == "filtered: no value.outputs.top"
    assert rows["top"].tone is Tone.MUTED
    assert rows["low"].detail == "no answer on record · payload not kept (0 bytes)"
    assert (rows["high"].detail, rows["high"].tone) == ("raised: no such class", Tone.BAD)


def test_an_unreadable_payload_is_said_and_not_raised(store: LineageStore) -> None:
    rows = {bar.name: bar for bar in trace_bars(claim(store))}
    assert rows["claims.outputs"].detail.startswith("unreadable: ")


def test_suspects_are_drawn_as_at_fault(store: LineageStore) -> None:
    rows = {bar.name: bar for bar in trace_bars(claim(store), suspects={"value"})}
    assert rows["value"].tone is Tone.BAD
    assert waterfall_svg(claim(store), suspects={"value"}).startswith("<svg ")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array([0.8]), "x = 0.8"),
        (np.array(7), "x = 7"),
        (np.array([1, 2, 3]), "x = [1, 2, 3]"),
        (np.arange(20.0), "x = [0, 1, 2, 3, …] (20)"),
        (np.array([b"simple"], dtype=object), "x = simple"),
        (np.array([True]), "x = True"),
        (np.array([np.nan]), "x = None"),
        (np.zeros((0, 3)), "x = []"),
    ],
)
def test_tensors_are_spelled_short(array: np.ndarray, words: str) -> None:
    assert spell_tensor(TensorValue("x", "FP64", array)) == words
