"""``dfml``: the method of this package (docs/methods.md): test each mechanism given its parents, blame the changed."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from dfml_analysis.attribution import Attribution, attribute, reaches
from dfml_analysis.distinct import distinct, stand_apart
from dfml_analysis.few_rows import MAX_REFERENCE, Scored, are_few, decide_window, score_few_rows, shows_more
from dfml_analysis.localisation import Suspect, VariableEvidence
from dfml_analysis.localisers.base import Problem, Ranking
from dfml_analysis.mechanisms import MechanismTest, examine_mechanisms, moved
from dfml_analysis.rerun import player_of
from dfml_analysis.summaries import summarise
from dfml_analysis.verdict import ALPHA, ALPHA_TARGET, ALPHA_WINDOW, Verdict, adjusted_log_p, decide
from dfml_analysis.windows import Windows

MIN_ROWS = 5
"""With fewer rows a window no test can reach the level, whatever the data."""
MAX_ROWS = 50_000
"""Of a window; of a longer one every k-th row is looked at: what 50,000 do not show is not worth the wait."""
FULL_SCORE_DIGITS = 10.0
"""A p-value of 1e-10 has an evidence of 0.5; the score only orders and shades."""
UNEXPLAINED = 0.5
"""What a suspect that explains nothing of the target's change loses of its score: a fault elsewhere is still one."""
CERTAIN_DIGITS = 5.0
"""A step whose mechanism changed at a p-value of 1e-5 comes before any input, however much damage is the input's:
it is the one to be mended. A less certain one stands in line, so that chance does not hide a certain input."""
N_SHOWN = 3
"""Suspects of a short window that are shown, even those whose own evidence is weak: causes are next to each other."""
STANDARD_ERRORS = 2.0
"""The target changed if its mean did by more than this."""


class Own:
    """Tests every mechanism, controls false discoveries, orders what changed by evidence and by share of the damage."""

    name = "dfml"
    decides = True
    slow = False

    def rank(self, problem: Problem) -> Ranking:
        """Return the changed mechanisms, most suspect first (see :class:`dfml_analysis.localisers.base.Localiser`)."""
        if are_few(len(problem.reference), len(problem.current)):
            return _rank_few_rows(problem)
        n_rows = len(problem.reference), len(problem.current)
        if max(n_rows) > MAX_ROWS:
            problem = replace(problem, reference=_thinned(problem.reference), current=_thinned(problem.current))
        windows = problem.windows
        if min(windows.n_rows) < MIN_ROWS:
            before, after = windows.n_rows
            status = f"too few rows: the windows have {before} and {after}, {MIN_ROWS} are needed"
            return Ranking((), False, Verdict.UNDECIDED, status)
        tests = examine_mechanisms(windows)
        adjusted = adjusted_log_p([test.evidence.log_p for test in tests], [test.comparable for test in tests])
        verdict, changed = decide(tests, adjusted)
        limits = [*_sampled(n_rows, windows.n_rows), *_limits(windows, tests)]
        if verdict is Verdict.NO_CHANGE and moved(windows, problem.target).log_p <= np.log(ALPHA_TARGET):
            verdict = Verdict.UNDECIDED
            limits.append(f"the target {problem.target} changed, but no mechanism's change is proven")
        changed.sort(key=lambda index: float(adjusted[index]))
        names = [tests[index].variable.name for index in changed]
        parts = attribute(windows, names, problem.target, problem.rng(), problem.damage)
        judged = {index: _Judged(windows, tests[index], float(adjusted[index]), problem.target) for index in changed}
        standing = distinct(windows, [tests[index] for index in changed])
        suspects = [replace(_suspect(judged[changed[place]], parts), also=also) for place, also in standing.items()]
        evidence = tuple(_evidence(test, float(p)) for test, p in zip(tests, adjusted, strict=True))
        alarm = verdict in {Verdict.FAULT, Verdict.INPUT_SHIFT}
        return Ranking(_scored(suspects, tests), alarm, verdict, "; ".join(["ok", *limits]), evidence, ALPHA)


def _thinned(window: pd.DataFrame) -> pd.DataFrame:
    """Return every k-th row of a window that is longer than ``MAX_ROWS``."""
    return window.iloc[:: -(-len(window) // MAX_ROWS)] if len(window) > MAX_ROWS else window


def _sampled(before: tuple[int, int], after: tuple[int, int]) -> list[str]:
    """Return what is to be said of windows that were thinned."""
    if before == after:
        return []
    return [f"looked at {after[0]:,} and {after[1]:,} of {before[0]:,} and {before[1]:,} rows, evenly spread"]


def _rank_few_rows(problem: Problem) -> Ranking:
    windows = replace(problem, reference=problem.reference.tail(MAX_REFERENCE)).windows
    scored = score_few_rows(windows, problem.target)
    order = [int(index) for index in np.argsort(-scored.scores, kind="stable") if scored.scores[index] > 0]
    verdict = decide_window(scored, windows.graph)
    weak = [index for place, index in enumerate(order) if place < N_SHOWN or scored.p_values[index] <= ALPHA_WINDOW]
    suspects = [] if verdict is Verdict.NO_CHANGE else [_few_rows_suspect(windows, scored, index) for index in weak]
    alarm = verdict in {Verdict.FAULT, Verdict.INPUT_SHIFT}
    if alarm:
        suspects = _with_damage(windows, problem, _standing(windows, suspects))
    limits = [f"no data for {', '.join(windows.passed_over)}"] if windows.passed_over else []
    evidence = tuple(_few_rows_evidence(windows, scored, index) for index in range(len(scored.names)))
    return Ranking(tuple(suspects), alarm, verdict, "; ".join(["ok", *limits]), evidence, ALPHA_WINDOW)


def _standing(windows: Windows, suspects: list[Suspect]) -> list[Suspect]:
    """Return the suspects without accused ones that only show what another of their step shows already."""
    accused = [item for item in suspects if item.p_value <= ALPHA_WINDOW]
    standing = stand_apart(
        [(item.variable, item.step, item.kind) for item in accused],
        lambda index, others, _: shows_more(windows, accused[index].variable, [accused[i].variable for i in others]),
    )
    also = {accused[index].variable: names for index, names in standing.items()}
    shown = {name for names in also.values() for name in names}
    return [replace(item, also=also.get(item.variable, ())) for item in suspects if item.variable not in shown]


def _with_damage(windows: Windows, problem: Problem, suspects: list[Suspect]) -> list[Suspect]:
    """Return the suspects, the accused ones with their part of the target's change where rows suffice."""
    accused = [item.variable for item in suspects if item.p_value <= ALPHA_WINDOW]
    if windows.n_rows[1] < MIN_ROWS or not accused:
        return suspects
    found = attribute(windows, accused, problem.target, problem.rng(), problem.damage)
    parts = {
        name: found.parts.get(player_of(windows, name)) for name in accused if reaches(windows, name, problem.target)
    }
    return [
        replace(item, attribution=part.value, attribution_interval=(part.low, part.high))
        if (part := parts.get(item.variable))
        else item
        for item in suspects
    ]


def _few_rows_suspect(windows: Windows, scored: Scored, index: int) -> Suspect:
    told = _few_rows_evidence(windows, scored, index)
    variable = windows.variables[told.variable]
    before, after = summarise(variable, windows.window)
    return Suspect(
        step=told.step,
        variable=told.variable,
        kind=told.kind,
        score=float(scored.scores[index] / (scored.scores[index] + FULL_SCORE_DIGITS)),
        p_value=told.p_value,
        test=told.test,
        effect=told.effect,
        n_compared=told.n_compared,
        before=before,
        after=after,
    )


def _few_rows_evidence(windows: Windows, scored: Scored, index: int) -> VariableEvidence:
    variable = windows.variables[scored.names[index]]
    return VariableEvidence(
        step=variable.step,
        variable=variable.name,
        kind=variable.kind,
        p_value=float(scored.p_values[index]),
        test="surprise",
        effect=float(scored.deviations[index]),
        n_compared=float(windows.n_rows[1]),
        comparable=True,
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    """A changed variable: its test, adjusted p-value (natural logarithm) and what is to be explained."""

    windows: Windows
    test: MechanismTest
    log_p: float
    target: str


def _suspect(judged: _Judged, attribution: Attribution) -> Suspect:
    windows, test, log_p = judged.windows, judged.test, judged.log_p
    digits = -log_p / np.log(10.0)
    name = test.variable.name
    part = attribution.parts.get(player_of(windows, name)) if reaches(windows, name, judged.target) else None
    evidence = digits / (digits + FULL_SCORE_DIGITS)
    before, after = summarise(test.variable, windows.window)
    return Suspect(
        step=test.variable.step,
        variable=test.variable.name,
        kind=test.kind,
        score=float(evidence * (1.0 - UNEXPLAINED * (1.0 - _share(part.value if part else 0.0, attribution)))),
        p_value=float(np.exp(log_p)),
        test=test.evidence.test,
        effect=test.evidence.effect,
        n_compared=test.evidence.n_rows,
        before=before,
        after=after,
        attribution=part.value if part else None,
        attribution_interval=(part.low, part.high) if part else None,
    )


def _scored(suspects: list[Suspect], tests: list[MechanismTest]) -> tuple[Suspect, ...]:
    """Return the suspects by score; where a step is certain to have changed, certain steps have the upper half."""
    roots = {test.variable.name for test in tests if test.root}
    limit = 10.0**-CERTAIN_DIGITS
    certain = [suspect.p_value <= limit and suspect.variable not in roots for suspect in suspects]
    if any(certain):
        halves = zip(suspects, certain, strict=True)
        suspects = [replace(suspect, score=(suspect.score + upper) / 2) for suspect, upper in halves]
    return tuple(sorted(suspects, key=lambda suspect: -suspect.score))


def _share(part: float, attribution: Attribution) -> float:
    """Return which part of the target's change is explained, 0 to 1; 1 for all where the target did not change."""
    if not abs(attribution.observed) > STANDARD_ERRORS * attribution.standard_error:
        return 1.0
    return min(abs(part) / abs(attribution.observed), 1.0)


def _evidence(test: MechanismTest, log_p: float) -> VariableEvidence:
    return VariableEvidence(
        step=test.variable.step,
        variable=test.variable.name,
        kind=test.kind,
        p_value=float(np.exp(log_p)),
        test=test.evidence.test,
        effect=test.evidence.effect,
        n_compared=test.evidence.n_rows,
        comparable=test.comparable,
    )


def _limits(windows: Windows, tests: list[MechanismTest]) -> list[str]:
    limits = []
    silent = dict.fromkeys(test.variable.name for test in tests if not test.comparable)
    if windows.passed_over:
        limits.append(f"no data for {', '.join(windows.passed_over)}")
    if silent:
        limits.append(f"cannot tell for {', '.join(silent)} (the windows do not overlap in their parents)")
    return limits
