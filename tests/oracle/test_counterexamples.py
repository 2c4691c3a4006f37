"""Cases that the engine once got wrong, as small as they could be made."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench import Ground, Move, embedded
from comparing import compare
from strategies import Case
from values import Name


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with embedded(tmp_path) as made:
        yield made


def case(
    *steps: dict[str, Any],
    tensors: str = "XY",
    value: int = 0,
    moves: Sequence[Move] = (),
    reader: dict[str, Any] | None = None,
    **spec: Any,
) -> Case:
    """Make one request ``r`` to pipeline ``p``; ``reader`` is a pipeline ``q`` that reads p's topics."""
    specs = {("p", 1): {"steps": list(steps), **spec}}
    if reader is not None:
        specs["q", 1] = reader
    given = tuple((tensor, np.array([value + at])) for at, tensor in enumerate(tensors))
    return Case(specs, {Name("r", "p", 1, "", "inputs"): given}, {"r": 0}, tuple(moves))


def test_what_comes_when_no_rule_can_fire_any_more_is_no_duplicate(ground: Ground):
    never = {"name": "mix1", "triggers": ["p.inputs.X", "p.inputs.Y", "mix0"]}
    assert compare(case({"name": "mix0"}, never, tensors="X"), ground) == []


def test_what_an_any_join_did_without_is_superseded_even_when_its_window_is_over(ground: Ground):
    first = {"name": "mix2", "inputs": ["mix0", "mix1"], "inputsJoinType": "any", "joinWindowMs": 1_000}
    slow = [Move(fault="delay")] * 9
    assert compare(case({"name": "mix0"}, {"name": "mix1"}, first, moves=slow), ground) == []


def test_only_the_first_of_any_triggers_is_a_parent(ground: Ground):
    last = {"name": "mix7", "inputs": ["mix5"], "triggers": ["mix0", "p.inputs"], "triggersJoinType": "any"}
    assert compare(case({"name": "mix0"}, {"name": "mix5"}, last), ground) == []


def test_a_drop_by_a_pipeline_that_reads_another_is_named_by_the_reader(ground: Ground):
    reader = {"input": {"externalInputs": ["p.step.mix0.outputs.C"]}, "steps": [{"name": "mix1"}]}
    steps = [{"name": "mix0"}, {"name": "mix3", "inputs": ["mix0"]}]
    assert compare(case(*steps, reader=reader), ground) == []


def test_a_record_that_another_pipeline_reads_has_a_reader(ground: Ground):
    reader = {"input": {"externalInputs": ["p.step.mix0.outputs"]}, "steps": [{"name": "mix1"}]}
    assert compare(case({"name": "mix0"}, reader=reader), ground) == []


@pytest.mark.parametrize("join", ["inner", "outer"])
def test_tensors_stand_in_the_order_of_the_spec_even_where_it_goes_back_and_forth(ground: Ground, join: str):
    names = {"mix0.outputs.A": "A0", "mix1.outputs.A": "A1", "mix0.outputs.B": "B0"}
    joined = {"name": "mix2", "inputs": list(names), "tensorMap": names, "inputsJoinType": join}
    assert compare(case({"name": "mix0"}, {"name": "mix1"}, joined), ground) == []


def test_the_error_of_a_visit_too_many_bears_its_visit(ground: Ground):
    loop = {"name": "again9", "inputs": ["p.inputs", "again9.outputs.AGAIN"], "inputsJoinType": "any"}
    output = {"steps": ["again9.outputs.DONE"]}
    endless = case(loop, value=1, output=output, allowCycles=True, maxStepRevisits=0)
    assert compare(endless, ground) == []


def test_a_copy_takes_no_place_in_a_batch(ground: Ground):
    batched = {"name": "total0", "batch": {"size": 2, "windowMs": 5}}
    copied = [Move(), Move(fault="duplicate")]
    assert compare(case(batched, moves=copied), ground) == []


def test_a_source_that_is_read_whole_may_stand_between_the_tensors_of_another(ground: Ground):
    output = {"steps": ["mix0.outputs.A", "mix1", "mix0.outputs.B"], "stepsJoin": "outer"}
    assert compare(case({"name": "mix0"}, {"name": "mix1"}, output=output), ground) == []


def test_after_a_restart_what_comes_for_an_output_that_was_given_up_is_no_duplicate(ground: Ground):
    output = {"steps": ["choose0.outputs.A", "choose0.outputs.B", "mix1.outputs"], "tensorMap": {"mix1.outputs.A": "C"}}
    given_up = [Move(), Move(), Move(fault="crash after")]
    assert compare(case({"name": "choose0"}, {"name": "mix1"}, output=output, moves=given_up), ground) == []


@pytest.mark.parametrize("join", ["outer", "any"])
def test_after_a_restart_a_copy_of_what_was_used_is_a_duplicate(ground: Ground, join: str):
    either = {"name": "mix0", "inputs": ["p.inputs.X", "p.inputs.Y"], "inputsJoinType": join}
    copied = [Move(fault="duplicate"), Move(pick=1), Move(fault="crash after")]
    assert compare(case(either, moves=copied), ground) == []


def test_a_pipeline_may_be_fed_by_a_single_trigger(ground: Ground):
    reader = {"input": {"externalTriggers": ["p.inputs"]}, "steps": [{"name": "mix1"}]}
    assert compare(case({"name": "mix0"}, reader=reader), ground) == []


def test_after_a_restart_what_comes_for_an_output_that_cannot_be_is_no_duplicate(ground: Ground):
    both = {"name": "mix0", "inputs": ["p.inputs.X", "p.inputs.Y"]}
    first = {"name": "mix1", "inputs": ["mix0", "p.inputs.X"], "inputsJoinType": "any"}
    output = {"steps": ["mix0.outputs.A", "mix1.outputs"], "tensorMap": {"mix1.outputs.A": "C"}}
    drawn = case(both, first, output=output, moves=[Move(n_records=2), Move(pick=1), Move(fault="crash after")])
    drawn.entries[Name("r2", "p", 1, "", "inputs")] = (("X", np.array([0])),)
    drawn.partitions["r2"] = 0
    assert compare(drawn, ground) == []


@pytest.mark.parametrize("join", ["outer", "any"])
def test_after_a_restart_a_rule_that_fired_without_a_record_does_not_fire_for_it(ground: Ground, join: str):
    late = {"name": "mix2", "inputs": ["mix0.outputs.A", "mix1.outputs.B"], "inputsJoinType": join}
    window = {**late, "joinWindowMs": 1_000}
    fired_then_lost = [Move(), Move(), Move(fault="stall"), Move(fault="crash after")]
    assert compare(case({"name": "mix0"}, {"name": "mix1"}, window, moves=fired_then_lost), ground) == []


LOOP = {"name": "again9", "inputs": ["p.inputs", "again9.outputs.AGAIN"], "inputsJoinType": "any"}


@pytest.mark.parametrize("read", ["again9.outputs.DONE", "again9.outputs", "again9.inputs"])
def test_a_pipeline_that_reads_a_loop_fires_for_the_first_record_that_it_can_use(ground: Ground, read: str):
    reader = {"input": {"externalInputs": [f"p.step.{read}"]}, "steps": [{"name": "mix1"}]}
    output = {"steps": ["again9.outputs.DONE"]}
    drawn = case(LOOP, value=2, reader=reader, output=output, allowCycles=True, maxStepRevisits=5)
    assert compare(drawn, ground) == []


def test_a_copy_of_what_a_rule_failed_on_is_dropped(ground: Ground):
    twice = {
        "externalInputs": ["p.step.mix1.inputs", "p.inputs"],
        "joinType": "outer",
        "tensorMap": {"p.inputs.X": "X1"},
    }
    reader = {"input": twice, "steps": [{"name": "mix0"}]}
    assert compare(case({"name": "mix1"}, reader=reader, moves=[Move(fault="duplicate")]), ground) == []


def test_a_copy_from_a_loop_of_what_a_rule_failed_on_is_superseded(ground: Ground):
    twice = {"externalInputs": ["p.inputs", "p.step.again9.inputs"]}
    reader = {"input": twice, "steps": [{"name": "mix1"}]}
    output = {"steps": ["again9.outputs.DONE"]}
    copied = [Move(), Move(fault="duplicate")]
    drawn = case(LOOP, reader=reader, output=output, moves=copied, allowCycles=True, maxStepRevisits=0)
    assert compare(drawn, ground) == []


def test_after_a_restart_a_request_that_can_have_no_output_is_not_told_so_again(ground: Ground):
    lacks = {"name": "mix1", "inputs": ["mix0", "p.inputs.Y"], "joinWindowMs": 4_000}
    moves = [Move(), Move(fault="crash after")]
    output = {"steps": ["mix1"]}
    assert compare(case({"name": "mix0"}, lacks, tensors="X", moves=moves, output=output), ground) == []


@pytest.mark.parametrize("join", ["outer", "any"])
def test_after_a_restart_a_rule_that_was_given_up_does_not_fire_with_what_comes_then(ground: Ground, join: str):
    inputs = {"inputs": ["p.inputs", "mix0.outputs"], "inputsJoinType": join, "tensorMap": {"mix0.outputs.A": "C"}}
    waits = {"name": "mix1", **inputs, "triggers": ["mix0"], "joinWindowMs": 1_000}
    moves = [Move(fault="stall"), Move(n_records=2, fault="crash after")]
    assert compare(case({"name": "mix0"}, waits, moves=moves), ground) == []


def test_after_a_restart_a_copy_of_what_was_given_up_lacks_what_was_lacking_then(ground: Ground):
    waits = {"name": "mix2", "inputs": ["p.inputs", "mix0", "mix1"], "joinWindowMs": 1_000}
    copied_then_given_up = [
        Move(),
        Move(pick=1, fault="duplicate"),
        Move(n_records=2, fault="stall"),
        Move(n_records=2, fault="crash after"),
    ]
    two = case({"name": "mix0"}, {"name": "mix1"}, waits, tensors="X", moves=copied_then_given_up)
    assert compare(two, ground) == []


def test_after_a_restart_what_was_given_up_is_lost_to_its_readers_as_soon_as_anything_comes_for_it(ground: Ground):
    lacks = {"name": "mix1", "inputs": ["p.inputs.Y"], "triggers": ["p.inputs", "mix0"]}
    either = {"inputs": ["mix0", "mix1.outputs"], "inputsJoinType": "outer", "tensorMap": {"mix1.outputs.A": "A1"}}
    steps = [{"name": "mix0"}, lacks, {"name": "mix2", **either}, {"name": "mix3", "inputs": ["mix2"]}]
    turned = [Move(pick=3), Move(pick=1, n_records=2), Move(3, 2, "handover"), Move(2, 2, "handover")]
    assert compare(case(*steps, tensors="X", moves=turned), ground) == []
