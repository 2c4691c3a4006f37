"""The firing rules of a pipeline as the oracle reads them: from the document's body, by the rules' own words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class RuleId(NamedTuple):
    """A rule by its sink: a step's inputs, or (``node`` "") the pipeline's own inputs or outputs."""

    pipeline: str
    version: int
    node: str
    port: str


@dataclass(frozen=True)
class Source:
    pipeline: str
    node: str
    port: str

    @property
    def text(self) -> str:
        return f"{self.node or self.pipeline}.{self.port}"


@dataclass(frozen=True)
class Rule:
    """``wanted`` holds (slot, tensor or None for all, new name) in the order of the spec."""

    id: RuleId
    slots: tuple[Source, ...]
    n_data: int
    wanted: tuple[tuple[int, str | None], ...]
    renames: Mapping[tuple[Source, str], str]
    join: str
    triggers_join: str
    window: int
    limit: int | None

    def tensors_of(self, slot: int) -> list[str]:
        return [tensor for at, tensor in self.wanted if at == slot and tensor is not None]

    def join_of(self, slot: int) -> str:
        return self.join if slot < self.n_data else self.triggers_join


def parse(text: str, pipeline: str, *, external: bool) -> tuple[Source, str | None]:
    first, *rest = text.split(".")
    node = "" if external or first == pipeline else first
    owner = first if external else pipeline
    if external and rest[:1] == ["step"]:
        node, rest = rest[1], rest[2:]
    own_inputs = not external and first == pipeline
    port = rest[0] if rest else "inputs" if own_inputs else "outputs"
    return Source(owner, node, port), rest[1] if len(rest) > 1 else None


def rules_of(name: str, version: int, spec: Mapping[str, Any]) -> list[Rule]:
    """Return the firing rules of a spec (the document's body, as YAML has it)."""
    limit = spec.get("maxStepRevisits", 0) if spec.get("allowCycles") else None

    def rule(node: str, port: str, part: Mapping[str, Any], keys: Sequence[str], *, external: bool = False) -> Rule:
        inputs, triggers, join = keys
        references = [parse(text, name, external=external) for text in part.get(inputs) or [name] * (not external)]
        fires = [parse(text, name, external=external) for text in part.get(triggers, ())]
        data = list(dict.fromkeys(source for source, _ in references))
        extra = list(dict.fromkeys(source for source, _ in fires))
        wanted = [(data.index(source), tensor) for source, tensor in references]
        wanted += [(len(data) + extra.index(source), tensor) for source, tensor in fires]
        renames = {parse(text, name, external=external): new for text, new in part.get("tensorMap", {}).items()}
        joins = part.get(join, "inner"), part.get("triggersJoinType", "inner")
        window = part.get("joinWindowMs", 60_000)
        sink = RuleId(name, version, node, port)
        return Rule(sink, (*data, *extra), len(data), tuple(wanted), renames, *joins, window, limit)

    rules = [rule(s["name"], "inputs", s, ("inputs", "triggers", "inputsJoinType")) for s in spec["steps"]]
    if "output" in spec:
        rules.append(rule("", "outputs", spec["output"], ("steps", "", "stepsJoin")))
    if "input" in spec:
        keys = ("externalInputs", "externalTriggers", "joinType")
        rules.append(rule("", "inputs", spec["input"], keys, external=True))
    return rules
