"""When a rule fires: the joins and triggers as one pure decision over slots.

Slots are bits: ``arrived`` holds those a record has come for, ``never`` those for which none will come any more
(the step before was itself dropped or failed), ``closed`` says that the rule's window is over.
"""

from enum import Enum, auto

from dfml.spec.schema import Join
from dfml_engine.topology import FiringRule


class Decision(Enum):
    """What a rule does now."""

    WAIT = auto()
    FIRE = auto()
    DROP = auto()


def decide(rule: FiringRule, arrived: int, never: int, *, closed: bool) -> Decision:
    """Say whether the rule fires, waits or can fire no more.

    Data flows when data and triggers are both satisfied. A closed window satisfies an outer join that has something.
    """
    data = _decide_join(rule.join, rule.data_mask, arrived, never, closed=closed)
    if not rule.triggers:
        return data
    triggers = _decide_join(rule.triggers_join, rule.trigger_mask, arrived, never, closed=closed)
    if Decision.DROP in (data, triggers):
        return Decision.DROP
    return Decision.WAIT if Decision.WAIT in (data, triggers) else Decision.FIRE


def _decide_join(join: Join, mask: int, arrived: int, never: int, *, closed: bool) -> Decision:
    here, lost = arrived & mask, never & mask
    if here == mask:
        return Decision.FIRE
    match join:
        case Join.INNER:
            return Decision.DROP if lost or closed else Decision.WAIT
        case Join.ANY:
            if here:
                return Decision.FIRE
        case Join.OUTER:
            if here and (closed or here | lost == mask):
                return Decision.FIRE
    return Decision.DROP if closed or lost == mask else Decision.WAIT
