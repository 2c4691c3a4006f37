"""Random pipelines, requests and schedules. What is drawn is valid by construction, and checked when it is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from bench import Move
from hypothesis import strategies as st
from values import Name, Tensors

JOINS = ("inner", "outer", "any")
KINDS = ("mix", "mix", "choose", "sparse", "fussy", "total")
TENSORS = {"mix": "AB", "choose": "AB", "sparse": "AB", "fussy": "A", "total": "AB", "same": "A", "again": ""}
LAST = "mix99"
"""The step that reads the pipeline's answer."""
COPIES, RESTARTS, DELAYS = ("duplicate",), ("crash before", "crash after"), ("delay", "stall")
HANDOVERS = ("handover",)

Spec = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """Pipelines by name and version, requests with their tensors and partition number, and a schedule."""

    specs: dict[tuple[str, int], Spec]
    entries: dict[Name, Tensors]
    partitions: dict[str, int]
    moves: tuple[Move, ...]
    late: tuple[tuple[str, int], ...] = ()
    """Versions that are loaded, and their requests written, when half of the schedule is over."""


def window_ms(depth: int) -> int:
    """Return a window that outlasts everything that can happen before a rule of this depth."""
    return 1_000 * 2**depth


@dataclass
class Sources:
    """What a rule may read: (reference, tensors it may have, depth of what writes it)."""

    known: list[tuple[str, str, int]]

    def draw(self, draw: st.DrawFn, most: int) -> tuple[list[str], int]:
        """Draw references to topics, each whole or some of its tensors; return them and the greatest depth."""
        chosen = draw(st.lists(st.sampled_from(self.known), min_size=1, max_size=most, unique=True))
        references = []
        for text, tensors, _ in chosen:
            wanted = draw(st.sets(st.sampled_from(sorted(tensors)), max_size=2)) if tensors else set()
            references += [f"{text}.{tensor}" for tensor in sorted(wanted)] or [text]
        return draw(st.permutations(references)), max(depth for _, _, depth in chosen)


def spelled(draw: st.DrawFn, references: Sequence[str], name: str) -> list[str]:
    """Leave out of some references what a bare step or pipeline means; ``name`` is the pipeline that they stand in."""
    bare = {text: text.removesuffix(".inputs" if text.startswith(f"{name}.") else ".outputs") for text in references}
    return [bare[text] if draw(st.booleans()) else text for text in references]


def renamed(draw: st.DrawFn, references: Sequence[str], sources: Sources, *, always: bool) -> dict[str, str]:
    """Give tensors that arrive from different sources different names; of whole records only sometimes."""
    mapping = {}
    for place, text in enumerate(references):
        known = next((tensors for source, tensors, _ in sources.known if source == text), None)
        if known is None:
            if always:
                mapping[text] = f"{text.rpartition('.')[2]}{place}"
        elif len(references) > 1 and draw(st.booleans()):
            mapping |= {f"{text}.{tensor}": f"{tensor}{place}" for tensor in known}
    return mapping


@st.composite
def steps(draw: st.DrawFn, name: str, names: Sequence[str], depth: int = 0) -> tuple[list[Spec], Sources]:
    """Draw the steps of an acyclic pipeline: each reads the request or steps before it."""
    sources = Sources([(f"{name}.inputs", "XY", depth)])
    drawn = []
    for step_name in names:
        step: Spec = {"name": step_name}
        references, deepest = sources.draw(draw, 3)
        if draw(st.integers(0, 3)) or references != [f"{name}.inputs"]:
            step["inputs"] = spelled(draw, references, name)
        if len(references) > 1:
            step["inputsJoinType"] = draw(st.sampled_from(JOINS))
        mapping = renamed(draw, references, sources, always=len(references) > 1)
        if mapping and "inputs" in step:
            step["tensorMap"] = mapping
        if not draw(st.integers(0, 3)):
            triggers, trigger_depth = sources.draw(draw, 2)
            step["triggers"] = spelled(draw, triggers, name)
            step["triggersJoinType"] = draw(st.sampled_from(JOINS))
            deepest = max(deepest, trigger_depth)
        if not draw(st.integers(0, 3)):
            step["batch"] = {"size": draw(st.integers(2, 5)), "windowMs": draw(st.integers(1, 50))}
        step["joinWindowMs"] = window_ms(deepest + 1)
        drawn.append(step)
        kind = step_name.rstrip("0123456789")
        sources.known.append((f"{step_name}.outputs", TENSORS[kind], deepest + 1))
        if not draw(st.integers(0, 4)):
            sources.known.append((f"{step_name}.inputs", draw(st.sampled_from(["", "AX"])), deepest + 1))
    return drawn, sources


@st.composite
def step_names(draw: st.DrawFn, most: int, taken: Sequence[str] = ()) -> list[str]:
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=most))
    fresh = [f"{kind}{number}" for number, kind in enumerate(kinds)]
    shared = draw(st.lists(st.sampled_from(list(taken)), max_size=2, unique=True)) if taken else []
    return list(dict.fromkeys([*shared, *fresh]))[: max(most, 1)]


def with_output(draw: st.DrawFn, drawn: list[Spec], sources: Sources) -> Spec:
    """Complete a spec; now and then without an output."""
    spec: Spec = {"steps": drawn}
    if draw(st.integers(0, 9)):
        written = Sources([known for known in sources.known[1:] if ".outputs" in known[0]])
        references, deepest = written.draw(draw, 3)
        spec["output"] = {"steps": references, "joinWindowMs": window_ms(deepest + 1)}
        spec["output"]["stepsJoin"] = draw(st.sampled_from(JOINS))
        mapping = renamed(draw, references, written, always=draw(st.booleans()))
        if mapping:
            spec["output"]["tensorMap"] = mapping
        if not draw(st.integers(0, 3)):
            own = sources.known[0][0].removesuffix(".inputs")
            after: Spec = {"name": LAST, "inputs": [f"{own}.outputs"], "joinWindowMs": window_ms(deepest + 2)}
            if draw(st.booleans()):
                after["triggers"], _ = written.draw(draw, 1)
            drawn.insert(draw(st.integers(0, len(drawn))), after)
    return spec


@st.composite
def acyclic(draw: st.DrawFn, name: str = "p", most: int = 12) -> Spec:
    drawn, sources = draw(steps(name, draw(step_names(most))))
    return with_output(draw, drawn, sources)


@st.composite
def following(draw: st.DrawFn, name: str, source: str, first: Spec, depth: int = 0) -> Spec:
    """Draw a pipeline that is fed from the topics of another, whose requests enter at a depth."""
    own = [step["name"] for step in first["steps"]]
    known = [(f"{source}.inputs", "XY", depth)] + [(f"{source}.outputs", "", depth + 14)] * ("output" in first)
    known += [(f"{source}.step.{step}.outputs", TENSORS[step.rstrip("0123456789")], depth + 13) for step in own]
    known += [(f"{source}.step.{step}.inputs", "", depth + 13) for step in own[:2]]
    sources = Sources(known)
    references, deepest = sources.draw(draw, 3)
    entry: Spec = {}
    if draw(st.integers(0, 6)):
        entry = {"externalInputs": spelled(draw, references, name), "joinType": draw(st.sampled_from(JOINS))}
        mapping = renamed(draw, references, sources, always=len(references) > 1)
        if mapping:
            entry["tensorMap"] = mapping
    if not entry or draw(st.booleans()):
        entry["externalTriggers"], trigger_depth = sources.draw(draw, 2)
        entry["triggersJoinType"] = draw(st.sampled_from(JOINS))
        deepest = max(deepest, trigger_depth)
    entry["joinWindowMs"] = window_ms(deepest + 1)
    shared = [step for step in own if step != LAST]
    drawn, inner = draw(steps(name, draw(step_names(4, shared)), deepest + 1))
    return with_output(draw, drawn, inner) | {"input": entry}


@st.composite
def looping(draw: st.DrawFn, name: str = "p") -> Spec:
    """Draw a pipeline with one loop, entered at its head, left by the tensor DONE of its tail."""
    body = [f"same{number}" for number in range(draw(st.integers(0, 3)))]
    before = [f"same{number}" for number in range(5, 5 + draw(st.integers(0, 2)))]
    entry = before[-1] if before else f"{name}.inputs"
    drawn: list[Spec] = [{"name": step, "inputs": [at]} for at, step in pairwise([f"{name}.inputs", *before])]
    loop = [*body, "again9"]
    head: Spec = {"name": loop[0], "inputs": draw(st.permutations([entry, "again9.outputs.AGAIN"]))}
    head["inputsJoinType"] = draw(st.sampled_from(["any", "any", "outer"]))
    if draw(st.booleans()):
        head["tensorMap"] = {"again9.outputs.AGAIN": "B"}
    drawn.append(head)
    drawn += [{"name": step, "inputs": [at]} for at, step in pairwise(loop)]
    if body and draw(st.booleans()):
        drawn += fork(draw, drawn.pop(), body[-1])
    if draw(st.booleans()):
        drawn[-1]["batch"] = {"size": draw(st.integers(2, 4)), "windowMs": 10}
    if draw(st.booleans()):
        drawn.append({"name": "mix7", "inputs": ["again9.outputs.DONE"]})
    if draw(st.booleans()):
        drawn[-1]["triggers"] = [draw(st.sampled_from(loop))] if drawn[-1]["name"] == "mix7" else []
    order = draw(st.permutations(drawn))
    last = "mix7" if any(step["name"] == "mix7" for step in drawn) else "again9.outputs.DONE"
    limit = draw(st.integers(0, 4))
    windows = {"joinWindowMs": window_ms(0)}
    return {
        "steps": [{**step, **windows} for step in order],
        "output": {"steps": [last]},
        "allowCycles": True,
        "maxStepRevisits": limit,
    }


def fork(draw: st.DrawFn, tail: Spec, at: str) -> list[Spec]:
    """Let the loop go two ways that meet at its tail."""
    ways = ["same3", "same4"]
    met = {f"{step}.outputs.A": step for step in ways}
    join = draw(st.sampled_from(JOINS))
    return [{"name": step, "inputs": [at]} for step in ways] + [
        {**tail, "inputs": list(met), "tensorMap": met, "inputsJoinType": join}
    ]


@st.composite
def requests(draw: st.DrawFn, pipelines: Sequence[tuple[str, int]]) -> tuple[dict[Name, Tensors], dict[str, int]]:
    entries, partitions = {}, {}
    for number in range(draw(st.integers(1, 4))):
        request = "r" + "1" * (number + 1)
        pipeline, version = draw(st.sampled_from(list(pipelines)))
        n_rows = draw(st.integers(1, 3))
        tensors = draw(st.sampled_from(["XY", "XY", "X", "Y", "YX", "XYZ", "Z"]))
        values = st.lists(st.integers(0, 6), min_size=n_rows, max_size=n_rows)
        arrays = tuple((tensor, np.array(draw(values), dtype=np.int64)) for tensor in tensors)
        entries[Name(request, pipeline, version, "", "inputs")] = arrays
        partitions[request] = draw(st.integers(0, 1))
    return entries, partitions


def schedules(faults: Sequence[str] = ()) -> st.SearchStrategy[tuple[Move, ...]]:
    fault = st.sampled_from([""] * 8 + list(faults))
    return st.lists(st.builds(Move, st.integers(0, 20), st.integers(1, 4), fault), max_size=60).map(tuple)


@st.composite
def cases(draw: st.DrawFn, faults: Sequence[str] = ()) -> Case:
    """Draw everything: one pipeline or several versions of it, perhaps one that reads it, perhaps a loop."""
    specs: dict[tuple[str, int], Spec] = {}
    shape = draw(st.sampled_from(["one", "one", "loop", "versions", "following"]))
    specs["p", 1] = draw(looping() if shape == "loop" else acyclic())
    if shape == "versions" or (shape == "following" and draw(st.booleans())):
        specs["p", 2] = draw(acyclic(most=4))
    if shape == "loop" and draw(st.booleans()):
        specs["q", 1] = draw(following("q", "p", specs["p", 1]))
    if shape == "following":
        specs["q", 1] = draw(following("q", "p", specs["p", 1]))
        if draw(st.booleans()):
            specs["q", 2] = draw(following("q", "p", specs["p", 1]))
        else:
            specs["r", 1] = draw(following("r", "q", specs["q", 1], 15))
    entries, partitions = draw(requests(list(specs)))
    late = [("p", 2)] if ("p", 2) in specs and draw(st.booleans()) else []
    return Case(specs, entries, partitions, draw(schedules(faults)), tuple(late))
