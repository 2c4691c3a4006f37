"""What the dataflow rules make of requests: the reference that the engine is compared with.

Written from the rules, not from the engine: values are arrays, records are names, there is no log. Where the rules
leave the result to the order of arrival, the order is an argument: ``happenings`` says what each reader was given, when
its clock was read and when it lost its memory.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np
from reading import Rule, RuleId, Source, rules_of
from values import Evaluation, Happening, Model, Name, Tensors

UNMET = frozenset({"join window closed", "upstream dropped"})


@dataclass
class Join:
    """One rule for one request and visit: what came (in order), what never will, when the first came, how it ended."""

    arrived: dict[int, Name] = field(default_factory=dict)
    never: set[int] = field(default_factory=set)
    opened: float = inf
    ended: str = ""


class Interpreter:
    """Follows happenings; see :func:`interpret`. ``pipelines`` maps (name, version) to the body of the spec."""

    def __init__(self, pipelines: Mapping[tuple[str, int], Mapping[str, Any]], models: Mapping[str, Model]) -> None:
        self.seen = Evaluation()
        self.models = models
        self.specs = pipelines
        self.places: Mapping[str, int] = {}
        self.rules = {key: rules_of(*key, spec) for key, spec in pipelines.items()}
        self.newest = {name: max(v for n, v in pipelines if n == name) for name, _ in pipelines}
        self.joins: dict[tuple[RuleId, str, int], Join] = defaultdict(Join)
        self.settled: set[tuple[object, ...]] = set()
        self.batches: dict[object, tuple[int, list[Name]]] = {}
        self.made: deque[Name] = deque()

    def put(self, name: Name, tensors: Tensors, parents: Iterable[Name]) -> None:
        self.seen.records[name], self.seen.parents[name] = tensors, frozenset(parents)
        self.made.append(name)

    def fail(self, name: Name, parents: Iterable[Name]) -> None:
        self.seen.errors[name] = frozenset(parents)
        self.made.append(name)

    def happen(self, what: Happening) -> None:
        if what.now is None:
            self.forget(what.reader, what.partition)
        elif what.record is None:
            (self.close_windows if what.reader == "engine" else self.close_batches)(what.now, what.partition)
        elif what.reader == "engine":
            self.take(what.record, what.now)
        elif (what.record, "model") not in self.settled:
            self.gather(what.record, what.now)

    def forget(self, reader: str, number: int | None) -> None:
        if reader == "models":
            self.batches = {k: b for k, b in self.batches.items() if not self.is_on(number, b[1][0].request)}
        else:
            joins = {key: join for key, join in self.joins.items() if join.ended or not self.is_on(number, key[1])}
            self.joins = defaultdict(Join, joins)

    def is_on(self, number: int | None, request: str) -> bool:
        """Whether a request is on that partition number; None means every number."""
        return number is None or self.places.get(request) == number

    # -- the engine ---------------------------------------------------------------------------------------------------

    def readers(self, name: Name) -> list[tuple[Rule, int]]:
        """Return the rules that read a record: its own version's, and the newest of other pipelines."""
        source = Source(name.pipeline, name.node, name.port)
        versions = {(p, v) for p, v in self.newest.items() if p != name.pipeline} | {(name.pipeline, name.version)}
        rules = [rule for key in sorted(versions) for rule in self.rules[key]]
        return [(rule, slot) for rule in rules for slot, other in enumerate(rule.slots) if other == source]

    def take(self, name: Name, stamp: int) -> None:
        if name.port == "errors":
            self.lose_products(RuleId(*name[1:4], "inputs"), name.request, ("outputs",))
            return
        readers = self.readers(name)
        if not readers and name[3:5] != ("", "outputs") and (not name.node or name.port == "outputs"):
            self.drop(name, RuleId(*name[1:3], "", "outputs"), 0, {"no reader"})
        for rule, slot in readers:
            self.arrive(rule, slot, name, stamp)

    def arrive(self, rule: Rule, slot: int, name: Name, stamp: int) -> None:
        visit = self.visit(rule, name)
        join = self.joins[rule.id, name.request, visit]
        wanted, here = rule.tensors_of(slot), dict(self.seen.records[name])
        missing = [tensor for tensor in wanted if tensor not in here]
        settled = (name, rule.id, slot) in self.settled
        is_of_loop = name.pipeline != rule.id.pipeline and self.specs[name.pipeline, name.version].get("allowCycles")
        if settled:
            self.decide(rule, name.request, visit)
        if missing and (len(missing) == len(wanted) or rule.join_of(slot) == "inner"):
            if not settled:
                self.drop(name, rule.id, slot, {"filtered"}, {f"{rule.slots[slot].text}.{t}" for t in missing})
            join.never |= set() if is_of_loop else {slot}
            self.decide(rule, name.request, visit)
            return
        if settled:
            return
        if is_of_loop and join.arrived.get(slot, name) != name and join.ended not in {"unmet", "failed"}:
            self.drop(name, rule.id, slot, {"superseded"} | UNMET)
            return
        if stamp >= join.opened + rule.window and not join.ended:
            self.decide(rule, name.request, visit, closed=True)
        if join.ended:
            parts = range(rule.n_data) if slot < rule.n_data else range(rule.n_data, len(rule.slots))
            passed = join.ended == "fired" and rule.join_of(slot) == "any" and any(s in join.arrived for s in parts)
            reasons = UNMET | {"superseded"} if join.ended == "failed" else {"superseded"} if passed else UNMET
            self.drop(name, rule.id, slot, reasons)
            self.decide(rule, name.request, visit)
            return
        join.opened = stamp if join.opened == inf else join.opened
        join.arrived[slot] = name
        self.decide(rule, name.request, visit)

    def visit(self, rule: Rule, name: Name) -> int:
        """Count one more where the rule is among the record's own ancestors."""
        if rule.limit is None:
            return 0
        older, seen = [name], set()
        while older:
            ancestor = older.pop()
            if (*ancestor[1:5], ancestor.visit) == (*rule.id, name.visit):
                return name.visit + 1
            new = {each for each in self.seen.parents.get(ancestor, ()) if each.request == name.request} - seen
            seen |= new
            older += new
        return name.visit

    def decide(self, rule: Rule, request: str, visit: int, *, closed: bool = False) -> None:
        join = self.joins[rule.id, request, visit]
        if join.ended in {"unmet", "failed"}:
            self.lose_products(rule.id, request, ("inputs", "outputs"))
        if join.ended:
            return
        parts = [(range(rule.n_data), rule.join), (range(rule.n_data, len(rule.slots)), rule.triggers_join)]
        verdicts = [self.judge(join, slots, kind, closed) for slots, kind in parts if slots]
        if "never" in verdicts:
            self.give_up(rule, request, join)
        elif "wait" not in verdicts:
            self.fire(rule, request, visit, join)

    @staticmethod
    def judge(join: Join, slots: range, kind: str, closed: bool) -> str:
        here = [slot for slot in slots if slot in join.arrived]
        gone = [slot for slot in slots if slot in join.never]
        over = closed or len(here) + len(gone) == len(slots)
        if len(here) == len(slots) or (here and (kind == "any" or (kind == "outer" and over))):
            return "go"
        return "never" if over or (kind == "inner" and gone) else "wait"

    def give_up(self, rule: Rule, request: str, join: Join) -> None:
        join.ended = "unmet"
        missing = {source.text for slot, source in enumerate(rule.slots) if slot not in join.arrived}
        for slot, name in join.arrived.items():
            self.drop(name, rule.id, slot, UNMET, missing)
        if rule.id[2:] == ("", "outputs") and rule.limit is None:
            self.seen.hopeless.add((request, rule.id.pipeline))
        self.lose_products(rule.id, request, ("inputs", "outputs"))

    def lose_products(self, rule_id: RuleId, request: str, ports: Sequence[str]) -> None:
        """Let the rules that read what this one would have led to know that it will not come."""
        key = (rule_id.pipeline, rule_id.version)
        if rule_id[2:] == ("", "inputs") or self.specs[key].get("allowCycles"):
            return
        lost = {Source(rule_id.pipeline, rule_id.node, port) for port in (ports if rule_id.node else [rule_id.port])}
        for rule in self.rules[key]:
            for slot in [slot for slot, source in enumerate(rule.slots) if source in lost]:
                self.joins[rule.id, request, 0].never.add(slot)
                self.decide(rule, request, 0)

    def fire(self, rule: Rule, request: str, visit: int, join: Join) -> None:
        data = [slot for slot in join.arrived if slot < rule.n_data][: 1 if rule.join == "any" else None]
        triggers = [slot for slot in join.arrived if slot >= rule.n_data][: 1 if rule.triggers_join == "any" else None]
        used = [join.arrived[slot] for slot in data + triggers]
        join.ended = "fired"
        self.settled |= {(join.arrived[slot], rule.id, slot) for slot in data + triggers}
        for slot in set(join.arrived) - set(data + triggers):
            if join.arrived[slot] in used:
                self.settled.add((join.arrived[slot], rule.id, slot))
            self.drop(join.arrived[slot], rule.id, slot, {"superseded"})
        tensors: list[tuple[str, Any]] = []
        for slot, wanted in rule.wanted:
            if slot in data:
                own = [(t, a) for t, a in self.seen.records[join.arrived[slot]] if wanted in {None, t}]
                tensors += [(rule.renames.get((rule.slots[slot], t), t), a) for t, a in own]
        twice = len({tensor for tensor, _ in tensors}) < len(tensors) and rule.id[2:] != ("", "outputs")
        if twice or (rule.limit is not None and visit > rule.limit):
            join.ended = "failed"
            self.fail(Name(request, *rule.id[:3], "errors", visit), used)
            self.lose_products(rule.id, request, ("inputs", "outputs"))
        else:
            self.put(Name(request, *rule.id, visit), tuple(tensors), used)

    def drop(self, name: Name, rule: RuleId, slot: int, reasons: Iterable[str], missing: Iterable[str] = ()) -> None:
        if (name, rule, slot) not in self.settled:
            self.settled.add((name, rule, slot))
            before = self.seen.drops.get((name, rule), (frozenset(), frozenset()))
            self.seen.drops[name, rule] = before[0] | set(reasons), before[1] | set(missing)

    def close_windows(self, now: int, number: int | None = None) -> None:
        rules = {rule.id: rule for rules in self.rules.values() for rule in rules}
        here = [(join.opened, key) for key, join in self.joins.items() if self.is_on(number, key[1])]
        for opened, (rule_id, request, visit) in sorted(here, key=lambda pair: pair[0]):
            if opened + rules[rule_id].window <= now:
                self.decide(rules[rule_id], request, visit, closed=True)

    # -- the models ---------------------------------------------------------------------------------------------------

    def gather(self, name: Name, now: int) -> None:
        """Call the model for a record, or keep it until the step's batch is complete."""
        step = next(s for s in self.specs[name.pipeline, name.version]["steps"] if s["name"] == name.node)
        tensors, batch = self.seen.records[name], step.get("batch", {})
        rows = {array.shape[0] if array.ndim else 0 for _, array in tensors}
        size = batch.get("size", 1)
        if size == 1 or len(rows) != 1 or rows == {0}:
            self.call([name])
            return
        signature = tuple((tensor, array.dtype, array.shape[1:]) for tensor, array in tensors)
        key = (self.places.get(name.request), name[1:4], signature)
        n_new = rows.pop()
        if any(name in members for _, members in self.batches.values()):
            return
        if key in self.batches and self.count(self.batches[key][1]) + n_new > size:
            self.call(self.batches.pop(key)[1])
        _, members = self.batches.setdefault(key, (now + batch.get("windowMs", 100), []))
        members.append(name)
        if self.count(members) >= size:
            self.call(self.batches.pop(key)[1])

    def count(self, members: Iterable[Name]) -> int:
        return sum(len(self.seen.records[name][0][1]) for name in members)

    def close_batches(self, now: int, number: int | None = None) -> None:
        for key in [k for k, (end, of) in self.batches.items() if end <= now and self.is_on(number, of[0].request)]:
            self.call(self.batches.pop(key)[1])

    def call(self, members: Sequence[Name]) -> None:
        parts = [dict(self.seen.records[name]) for name in members]
        given = parts[0] if len(parts) == 1 else {t: np.concatenate([part[t] for part in parts]) for t in parts[0]}
        try:
            answer = self.models[members[0].node](given)
        except ValueError:
            for name in members if len(members) > 1 else ():
                self.call([name])
            if len(members) == 1:
                self.settled.add((members[0], "model"))
                self.fail(members[0]._replace(port="errors"), members)
            return
        n_rows, at = self.count(members) if len(members) > 1 else -1, 0
        for name, part in zip(members, parts, strict=True):
            end = at + (len(next(iter(part.values()))) if len(members) > 1 else 0)
            own = {t: a[at:end] if a.ndim and len(a) == n_rows else a for t, a in answer.items()}
            self.settled.add((name, "model"))
            self.put(name._replace(port="outputs"), tuple(own.items()), members)
            at = end


def interpret(
    pipelines: Mapping[tuple[str, int], Mapping[str, Any]],
    models: Mapping[str, Model],
    entries: Mapping[Name, Tensors],
    happenings: Iterable[Happening] | None = None,
    partitions: Mapping[str, int] | None = None,
) -> Evaluation:
    """Evaluate requests; without ``happenings`` each record is given in the order in which it came to be.

    ``partitions`` says on which partition number a request is: batches are gathered for each apart.
    """
    machine = Interpreter(pipelines, models)
    machine.places = partitions or {}
    for name, tensors in entries.items():
        machine.put(name, tensors, ())
    if happenings is not None:
        for happening in happenings:
            machine.happen(happening)
        return machine.seen
    for now in range(1, 1_000):
        while machine.made:
            name = machine.made.popleft()
            reader = "models" if name.node and name.port == "inputs" else "engine"
            for each in dict.fromkeys(["engine", reader]):
                machine.happen(Happening(each, name, 0))
        for each in ("models", "engine"):
            machine.happen(Happening(each, None, now * 10**9))
        if not machine.made:
            break
    return machine.seen
