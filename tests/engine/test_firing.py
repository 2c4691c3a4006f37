from collections.abc import Callable
from functools import cache
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfml_engine.firing import Decision, decide
from dfml_engine.topology import FiringRule

JOINS = ("inner", "outer", "any")
WAIT, FIRE, DROP = Decision.WAIT, Decision.FIRE, Decision.DROP


@pytest.fixture(scope="module")
def rule(compile_spec: Callable) -> Callable[..., FiringRule]:
    """Make a rule that joins A and B (slots 1, 2), triggered by T and U (slots 4, 8) where it has triggers."""

    @cache
    def make(join: str, triggers_join: str = "") -> FiringRule:
        triggers = f"triggers: [t, u], triggersJoinType: {triggers_join}," if triggers_join else ""
        step = f"{{name: s, inputs: [a, b], {triggers} inputsJoinType: {join}}}"
        spec = f"{{steps: [{{name: a}}, {{name: b}}, {{name: t}}, {{name: u}}, {step}], output: {{steps: [s]}}}}"
        return compile_spec("p", spec).rule_of("s")

    return make


@pytest.mark.parametrize(
    ("join", "arrived", "never", "closed", "decision"),
    [
        ("inner", 0b00, 0b00, False, WAIT),
        ("inner", 0b01, 0b00, False, WAIT),
        ("inner", 0b11, 0b00, False, FIRE),
        ("inner", 0b01, 0b10, False, DROP),
        ("inner", 0b00, 0b10, False, DROP),
        ("inner", 0b01, 0b00, True, DROP),
        ("outer", 0b01, 0b00, False, WAIT),
        ("outer", 0b11, 0b00, False, FIRE),
        ("outer", 0b01, 0b10, False, FIRE),
        ("outer", 0b00, 0b10, False, WAIT),
        ("outer", 0b00, 0b11, False, DROP),
        ("outer", 0b10, 0b00, True, FIRE),
        ("outer", 0b00, 0b01, True, DROP),
        ("any", 0b00, 0b00, False, WAIT),
        ("any", 0b10, 0b00, False, FIRE),
        ("any", 0b10, 0b01, False, FIRE),
        ("any", 0b00, 0b01, False, WAIT),
        ("any", 0b00, 0b11, False, DROP),
        ("any", 0b00, 0b00, True, DROP),
    ],
)
def test_a_join_decides_by_what_came_what_never_comes_and_its_window(
    rule: Callable, join: str, arrived: int, never: int, closed: bool, decision: Decision
):
    assert decide(rule(join), arrived, never, closed=closed) is decision


@pytest.mark.parametrize("triggers_join", JOINS)
@pytest.mark.parametrize("join", JOINS)
def test_data_flows_only_when_data_and_triggers_are_both_satisfied(rule: Callable, join: str, triggers_join: str):
    triggered = rule(join, triggers_join)
    for data, triggers in product(range(4), range(4)):
        alone = decide(rule(join), data, 0, closed=False)
        # A rule whose data are the triggers decides for the triggers alone.
        of_triggers = decide(rule(triggers_join), triggers, 0, closed=False)
        expected = FIRE if (alone, of_triggers) == (FIRE, FIRE) else WAIT
        assert decide(triggered, data | triggers << 2, 0, closed=False) is expected


def test_a_trigger_that_never_comes_drops_the_data(rule: Callable):
    assert decide(rule("any", "inner"), 0b0011, 0b0100, closed=False) is DROP
    assert decide(rule("any", "any"), 0b0011, 0b1100, closed=False) is DROP
    assert decide(rule("any", "any"), 0b0011, 0b0100, closed=False) is WAIT


def test_a_closed_window_drops_data_whose_trigger_did_not_come(rule: Callable):
    assert decide(rule("outer", "any"), 0b0001, 0, closed=True) is DROP
    assert decide(rule("outer", "any"), 0b1001, 0, closed=True) is FIRE


masks = st.integers(0, 0b1111)
joins = st.sampled_from(JOINS)


@given(joins, joins, masks, masks)
def test_a_resolved_rule_never_waits_for_a_later_record(
    rule: Callable, join: str, triggers_join: str, arrived: int, other: int
):
    never = 0b1111 & ~arrived | other & ~arrived
    assert decide(rule(join, triggers_join), arrived, never, closed=False) is not WAIT


@given(joins, joins, masks, masks)
def test_a_closed_window_always_decides(rule: Callable, join: str, triggers_join: str, arrived: int, never: int):
    assert decide(rule(join, triggers_join), arrived, never & ~arrived, closed=True) is not WAIT


@given(joins, joins, masks, masks, masks)
def test_what_fires_still_fires_when_more_has_come(
    rule: Callable, join: str, triggers_join: str, arrived: int, more: int, never: int
):
    before = decide(rule(join, triggers_join), arrived, never & ~arrived, closed=False)
    after = decide(rule(join, triggers_join), arrived | more & ~never, never & ~arrived, closed=False)
    assert before is not FIRE or after is FIRE


@given(joins, joins, masks, masks, st.integers(0, 3))
def test_what_is_dropped_can_never_have_fired_later(
    rule: Callable, join: str, triggers_join: str, arrived: int, never: int, slot: int
):
    never &= ~arrived
    if decide(rule(join, triggers_join), arrived, never, closed=False) is DROP:
        more = arrived | (1 << slot & ~never)
        assert decide(rule(join, triggers_join), more, never, closed=False) is not FIRE
