"""One request on its way through one version of a pipeline: which rules fired, which wait, for what.

A flow is only a memory of what was read lately. It is made anew from the records when a worker starts over, and
forgotten when every rule has fired or can fire no more.
"""

from dataclasses import dataclass, field
from enum import Enum
from sys import intern

from dfml import headers as h
from dfml.inference.codec import Message
from dfml.record import Headers, Record
from dfml.spec.schema import Join
from dfml_engine.topology import FiringRule, Topology
from dfml_engine.writing import Failure

SUPERSEDED = "superseded"
"""The fate of a record that its rule did without."""


class Ending(Enum):
    """How a rule ended for one request; the text is the fate of a record that comes later."""

    FIRED = "duplicate"
    CLOSED = "join window closed"
    IMPOSSIBLE = "upstream dropped"

    def late_reason(self, _rule: FiringRule, _slot: int) -> str:
        """Return the fate of a record that comes for this slot now."""
        return self.value


@dataclass(frozen=True, slots=True)
class FiredShort:
    """A rule fired, and its window closed while slots were empty; ``filled`` has the bits of the others."""

    filled: int = 0

    def late_reason(self, rule: FiringRule, slot: int) -> str:
        """Return the fate of a record that comes for this slot now."""
        if self.filled >> slot & 1:
            return Ending.FIRED.value
        return SUPERSEDED if rule.join_of(slot) is Join.ANY else Ending.CLOSED.value


Ended = Ending | FiredShort
"""How a rule ended, as far as it is remembered."""


@dataclass(slots=True)
class Arrival:
    """A record that came for a rule, and its message once it was parsed.

    ``is_of_loop``: it comes from a loop of another pipeline, which may write more for the same request.
    """

    record: Record
    message: Message | None = None
    is_of_loop: bool = False

    def late_reason(self, ended: Ended, rule: FiringRule, slot: int) -> str:
        """Return the fate of this record, which comes when the rule has ended."""
        reason = ended.late_reason(rule, slot)
        return SUPERSEDED if self.is_of_loop and reason == Ending.FIRED.value else reason


@dataclass(slots=True)
class Gathering:
    """What one rule has so far for one request and visit; its window opens with the first arrival."""

    rule: FiringRule
    visit: int
    close_ms: int = 0
    window: int = 0
    arrivals: dict[int, Arrival] = field(default_factory=dict)
    arrived: int = 0
    never: int = 0
    fired: bool = False
    missing: list[str] = field(default_factory=list)
    causes: list[Record] = field(default_factory=list)
    """What the slots of ``never`` were lost by; needed for as long as the rule is undecided."""

    @property
    def resolved(self) -> bool:
        """Whether every slot has its record or will never have one."""
        return self.arrived | self.never == self.rule.data_mask | self.rule.trigger_mask

    def lacking(self) -> tuple[str, ...]:
        """Return what kept the rule from firing: tensors that were filtered, slots that stayed empty."""
        empty = (source.name for slot, source in enumerate(self.rule.slots) if not self.arrived >> slot & 1)
        return tuple(self.missing) or tuple(empty)

    def data(self) -> list[tuple[int, Arrival]]:
        """Return the arrivals whose payload flows, in the order of the spec (of an ``any`` join only the first)."""
        own = [(slot, arrival) for slot, arrival in self.arrivals.items() if slot < len(self.rule.sources)]
        return own[:1] if self.rule.join is Join.ANY else sorted(own, key=lambda pair: pair[0])

    def used(self) -> list[Arrival]:
        """Return the arrivals that the firing is made from: the data that flows and the triggers that let it."""
        triggers = [arrival for slot, arrival in self.arrivals.items() if slot >= len(self.rule.sources)]
        needed = triggers[:1] if self.rule.triggers_join is Join.ANY else triggers
        return [arrival for _, arrival in self.data()] + needed


@dataclass(slots=True)
class Flow:
    """The rules of one topology for one request. Keys of ``gatherings`` and ``ended`` are (rule index, visit).

    ``touched_ms`` is when something last happened to it.
    """

    topology: Topology
    request: bytes
    headers: Headers
    touched_ms: int
    gatherings: dict[tuple[int, int], Gathering] = field(default_factory=dict)
    ended: dict[tuple[int, int], Ended] = field(default_factory=dict)
    failed: bool = False
    lacks: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether no rule can fire any more (never true in a cyclic pipeline, which ends by age)."""
        return not self.topology.cyclic and len(self.ended) == len(self.topology.rules)

    def without_output(self, ending: Ending) -> Failure:
        """Say to the caller what was lacking, and whether it was the caller's to give."""
        name = self.topology.pipeline
        from_caller = any(lack.startswith(f"{name}.inputs.") for lack in self.lacks)
        why = "did not come before the join window closed" if ending is Ending.CLOSED else "never came"
        why = "is not in the request" if from_caller else why
        text = f"pipeline '{name}' has no output for this request: {', '.join(dict.fromkeys(self.lacks))} {why}"
        return Failure("no_output", text, 400 if from_caller else 500)

    @classmethod
    def begun_by(cls, topology: Topology, record: Record) -> "Flow":
        """Return the flow of the request whose first record this is."""
        return cls(topology, record.key, _inherited(topology, record), record.timestamp_ms)


def _inherited(topology: Topology, record: Record) -> Headers:
    """Return what the request's records inherit; a record of another pipeline is entered in this one.

    Thousands of requests are remembered at once: what is the same in all of them is one object.
    """
    left_out = _OWN_OR_NAMING
    if (h.PIPELINE, topology.pipeline.encode()) not in record.headers:
        # Nobody waits here for what another pipeline's caller asked: its deadline stays behind.
        left_out |= {h.DEADLINE}
    key = record.key
    return topology.naming + tuple(
        (intern(name), key if value == key else value) for name, value in record.headers if name not in left_out
    )


_OWN_OR_NAMING = h.OWN_TO_RECORD | {h.PIPELINE, h.VERSION}
