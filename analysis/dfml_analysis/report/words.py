"""What a localisation says, in words for people: verdicts, tests, sizes, places in the graph."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from dfml.drawing.axis import spell_ms, spell_number, spell_share
from dfml.graph import PipelineGraph
from dfml_analysis.alignment import PRESENCE
from dfml_analysis.columns import Kind, parse_column
from dfml_analysis.localisation import Localisation, Suspect, VariableEvidence
from dfml_analysis.verdict import ALPHA, Verdict
from dfml_analysis.wording import (
    short_name,
    spell_compared,
    spell_elements,
    spell_load,
    spell_no_damage,
    spell_p_is,
    spell_part,
)

LABELS = {
    Verdict.FAULT: "Fault",
    Verdict.INPUT_SHIFT: "Input shift",
    Verdict.NO_CHANGE: "Nothing changed",
    Verdict.UNDECIDED: "Undecided",
}
KINDS = {
    Kind.VALUE: "what it answers",
    Kind.INPUT: "what the caller sends",
    Kind.PRESENCE: "whether it answers",
    Kind.LATENCY: "how long it takes",
    Kind.ERROR: "how often it fails",
}
TESTS = {
    "mean": "its level",
    "rank": "its level, by ranks",
    "spread": "its spread",
    "skew": "the shape of its distribution",
    "tails": "the tails of its distribution",
    "extremes": "how often it is far out",
    "slope": "how closely it follows its inputs",
    "pattern": "how it depends on its inputs",
    "classes": "how often it gives each answer",
    "distribution": "its distribution",
    "exact rule": "the exact rule that it keeps",
    "slow requests": "the share of slow requests",
    "level": "its level, beyond what the request before explains",
    "surprise": "its values, which are unlike any before",
}
DEEDS = {Kind.LATENCY: ("is slower", "are slower"), Kind.ERROR: ("fails more often", "fail more often")}
OTHER_DEED = ("behaves differently", "behave differently")
SELF_EVIDENT = frozenset({"slope", "pattern", "exact rule"})
"""Tests whose words speak of the inputs already."""
SHOWN_NAMES = 4
"""Names in the headline; more would bury it."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and a value, both as text."""

    name: str
    value: str


def spell_test(test: str) -> str:
    """Return what a test looked at; a name without words of its own is returned as it is."""
    return TESTS.get(test, test)


def spell_value(value: float, kind: Kind) -> str:
    """Return a variable's value in its unit."""
    if not math.isfinite(value):
        return "–"
    if kind in {Kind.PRESENCE, Kind.ERROR}:
        return spell_share(value)
    return spell_ms(value) if kind is Kind.LATENCY and value >= 0 else spell_number(value)


def spell_headline(localisation: Localisation) -> str:
    """Return the verdict as a headline that names the steps, or the inputs."""
    if only_ranks(localisation):
        return f"{localisation.suspects[0].variable} is the most suspect of {len(localisation.suspects)} variables."
    match localisation.verdict:
        case Verdict.FAULT:
            guilty = [each for each in localisation.accused if each.kind is not Kind.INPUT]
            steps = list(dict.fromkeys(each.step for each in guilty))
            kinds = {each.kind for each in guilty}
            one, several = DEEDS.get(kinds.pop(), OTHER_DEED) if len(kinds) == 1 else OTHER_DEED
            return f"{_listed(steps)} {one if len(steps) == 1 else several}."
        case Verdict.INPUT_SHIFT:
            inputs = list(dict.fromkeys(each.variable for each in localisation.accused))
            return f"The input changed: {_listed(inputs)}. No step behaves differently."
        case Verdict.NO_CHANGE:
            return "Nothing changed between the two windows."
        case Verdict.UNDECIDED:
            return "There is not enough evidence to say what changed, or whether."


def only_ranks(localisation: Localisation) -> bool:
    """Return whether the method ordered the variables without a test of its own, so that the first accuses nobody."""
    return bool(localisation.suspects) and all(math.isnan(each.p_value) for each in localisation.suspects)


def _listed(names: Sequence[str]) -> str:
    if len(names) > SHOWN_NAMES:
        return f"{', '.join(names[:SHOWN_NAMES])} and {len(names) - SHOWN_NAMES} more"
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1] if names else "A step") if part)


def suspect_facts(suspect: Suspect, localisation: Localisation) -> list[Fact]:
    """Return what is known of a suspect beside its pictures, most telling first."""
    evidence = Fact("Evidence that it changed", spell_p_is(suspect.p_value))
    facts = [Fact("Score", f"{suspect.score:.2f}") if math.isnan(suspect.p_value) else evidence]
    if suspect.test:
        whole = suspect.kind is Kind.INPUT or suspect.test in SELF_EVIDENT
        given = "" if whole else ", given what it was fed"
        facts.append(Fact("What changed", f"{spell_test(suspect.test)}{given}"))
    before, after = suspect.before, suspect.after
    if before is not None and after is not None:
        if suspect.kind is not Kind.PRESENCE:
            means = (spell_value(before.mean, suspect.kind), spell_value(after.mean, suspect.kind))
            facts.append(Fact("Mean", f"{means[0]} → {means[1]}"))
        shares = [found.n_present / found.n for found in (before, after) if found.n]
        if len(shares) == 2 and min(shares) < 1:
            facts.append(Fact("Has a value", f"{spell_share(shares[0])} → {spell_share(shares[1])} of the requests"))
    if suspect.attribution is not None and math.isfinite(suspect.attribution):
        interval = suspect.attribution_interval
        between = f" (95 %: {spell_part(interval[0])} to {spell_part(interval[1])})" if interval else ""
        facts.append(
            Fact(f"Its part of the change in {localisation.target}", f"{spell_part(suspect.attribution)}{between}")
        )
    elif math.isnan(localisation.target_change):
        change = spell_no_damage(localisation.unit, localisation.target)
        facts.append(Fact(f"Its part of the change in {localisation.target}", change))
    if suspect.elements is not None:
        facts.append(Fact("Its elements", spell_elements(suspect.elements)))
    if suspect.version is not None:
        facts.append(Fact("Version", spell_load(suspect.version)))
    if math.isfinite(suspect.n_compared):
        like = "" if suspect.test == "surprise" else ", with like inputs"
        facts.append(Fact("Compared", f"{spell_compared(suspect).removesuffix(' compared')}{like}"))
    return facts


def for_pictures(column: pd.Series, kind: Kind) -> pd.Series:
    """Return a variable as its picture shows it: presence and errors as words, whatever else as it is."""
    if str(column.name).endswith(PRESENCE):
        return column.map({0: "no answer", 1: "answered"})
    if kind is Kind.PRESENCE:
        return column.notna().map({True: "answered", False: "no answer"})
    if kind is Kind.ERROR:
        return column.map({0: "fine", 1: "failed"})
    return column


def cleared(localisation: Localisation) -> list[tuple[str, list[VariableEvidence]]]:
    """Return the steps of which every tested variable could be compared and had not changed, with their evidence."""
    by_step: dict[str, list[VariableEvidence]] = {}
    for item in localisation.evidence:
        by_step.setdefault(item.step, []).append(item)
    guilty = {suspect.step for suspect in localisation.suspects}
    return [
        (step, items)
        for step, items in by_step.items()
        if step not in guilty and all(item.comparable and item.p_value > ALPHA for item in items)
    ]


def why_cleared(items: Sequence[VariableEvidence], moved: Mapping[str, tuple[float, float]]) -> str:
    """Return why a step is not at fault.

    Parameters
    ----------
    items : sequence of VariableEvidence
        The step's, all compared and unchanged given their parents.
    moved : Mapping of str to (float, float)
        Those of its variables whose distribution differs between the windows, with their means.
    """
    if not moved:
        return "answers as before"
    name, means = next(iter(moved.items()))
    kind = parse_column(name).kind or Kind.VALUE
    before, after = (spell_value(mean, kind) for mean in means)
    more = f" (and {len(moved) - 1} more of it changed)" if len(moved) > 1 else ""
    if kind is Kind.PRESENCE:
        told = f"answers {after} of the requests instead of {before}"
    else:
        told = f"{short_name(name, items[0].step)} went from {before} to {after} in the mean"
    return f"{told}{more}, as what it was fed explains"


def untold(localisation: Localisation) -> list[str]:
    """Return the steps that are no suspects but of which something could not be compared."""
    guilty = {suspect.step for suspect in localisation.suspects}
    steps = dict.fromkeys(item.step for item in localisation.evidence if not item.comparable)
    return [step for step in steps if step not in guilty]


def node_of(variable: str, step: str, graph: PipelineGraph) -> str:
    """Return the graph's node that a variable belongs to: the step, or the pipeline's input or output."""
    if step != graph.pipeline:
        return step
    is_input = parse_column(variable).port == "inputs"
    return graph.input if is_input or graph.output is None else graph.output
