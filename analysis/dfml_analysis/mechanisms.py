"""Did this variable's mechanism change? One answer per variable, from its column and its parents' alone.

For each variable: which tests apply, on which rows, and what the strongest says. Linear in the number of variables.
A variable that is sometimes absent is asked twice: whether it is there (kind ``presence``), and what it is where it is.
Variables of one step that are absent together are asked once whether they are there.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from dfml_analysis.basis import most_telling, parent_columns
from dfml_analysis.columns import Kind
from dfml_analysis.evidence import Evidence, discrete_evidence, no_evidence, numeric_evidence, strongest
from dfml_analysis.exact import MIN_ROWS as MIN_RULED_ROWS
from dfml_analysis.exact import Rule, find_rule, rule_evidence
from dfml_analysis.latency import grown, machine_slowdown, slower
from dfml_analysis.overlap import Overlap, estimate_overlap
from dfml_analysis.series import first_rows, level_evidence, remembered
from dfml_analysis.variables import NOT_FINITE, Floats, Scale, Variable
from dfml_analysis.windows import Windows

MIN_ROWS = 3
MIN_OVERLAP = 0.5
"""Part of the shorter window that has to be comparable before a step that remembers is judged by that part alone."""
MIN_EFFECT_SD = 0.03
"""A shift under 3 % of a residual standard deviation is no change, however many rows say so."""
THREADED_ROWS = 5000
"""From so many rows of both windows numpy works long enough without the interpreter's lock for threads to help."""
TIMES = frozenset({Kind.LATENCY, Kind.QUEUE})
SHORTEST_MS = 1e-3
"""Shorter times, and waits of 0, count as this in logarithms: what is stamped has microseconds at best."""
SMALL_TESTS = frozenset({"mean", "rank", "spread", "skew", "tails", "slope"})


@dataclass(frozen=True, slots=True)
class MechanismTest:
    """What the data say about one variable's mechanism.

    Attributes
    ----------
    variable : Variable
    kind : Kind
        Which aspect was tested: ``presence`` for a variable's being there.
    evidence : Evidence
        The strongest test, corrected for the tests of this variable.
    comparable : bool
        False: the windows do not overlap in the parents (or rows are too few), so nothing can be said.
    root : bool
        Whether the variable has no parents: what changes there came from outside.
    of_state : bool
        Whether it was tested if the variable is there (and finite), and not its value.
    """

    variable: Variable
    kind: Kind
    evidence: Evidence
    comparable: bool
    root: bool
    of_state: bool = False


def examine_mechanisms(windows: Windows) -> list[MechanismTest]:
    """Test every variable of the windows, in topological order.

    Constant variables are not listed, nothing in them can have changed; nor are waits, which are the machine's.
    """
    slowdown = machine_slowdown(_latencies(windows), windows.window)
    asked: set[tuple[str, bytes]] = set()
    questions: list[Callable[[], list[MechanismTest]]] = []
    for name, variable in windows.variables.items():
        if variable.kind is Kind.QUEUE:
            continue
        parents = windows.parents(name)
        pattern = (variable.step, _pattern_of_absence(variable))
        if pattern not in asked:
            questions.append(partial(_state_tests, windows, variable, parents))
            asked.add(pattern)
        if variable.scale in {Scale.NUMERIC, Scale.DISCRETE}:
            questions.append(partial(_value_tests, windows, variable, parents, slowdown))
    if windows.window.size < THREADED_ROWS:
        return [test for question in questions for test in question()]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [test for tests in pool.map(lambda question: question(), questions) for test in tests]


def examine_beside(windows: Windows, test: MechanismTest, known: Sequence[MechanismTest]) -> MechanismTest:
    """Return the test of a variable that is also given other variables of its step, as those were tested."""
    variable = test.variable
    parents = [
        *windows.parents(variable.name),
        *(_coded(each.variable) if each.of_state else each.variable for each in known),
    ]
    if test.of_state:
        return _conditional_test(_coded(variable), parents, _everywhere(windows, variable), windows.window)
    return _value_test(windows, variable, parents, machine_slowdown(_latencies(windows), windows.window))


def _latencies(windows: Windows) -> list[Variable]:
    return [variable for variable in windows.variables.values() if variable.kind is Kind.LATENCY]


def moved(windows: Windows, name: str) -> Evidence:
    """Return the evidence that a variable's distribution differs, for whatever reason; of a latency, that it grew."""
    variable = windows.variables[name]
    if variable.kind is Kind.LATENCY:
        return slower(variable, windows.window, 1.0)
    if variable.scale not in {Scale.NUMERIC, Scale.DISCRETE}:
        return no_evidence(0.0)
    rows = windows.independent(variable, variable.present)
    return _conditional_test(variable, [], rows, windows.window).evidence


def _state_tests(windows: Windows, variable: Variable, parents: Sequence[Variable]) -> list[MechanismTest]:
    if np.ptp(variable.state) == 0:
        return []
    kind = variable.kind if (variable.state == NOT_FINITE).any() else Kind.PRESENCE
    test = _conditional_test(_coded(variable), parents, _everywhere(windows, variable), windows.window)
    return [replace(test, variable=variable, kind=kind, of_state=True)]


def _value_tests(
    windows: Windows, variable: Variable, parents: Sequence[Variable], slowdown: float
) -> list[MechanismTest]:
    return [_value_test(windows, variable, parents, slowdown)]


def _everywhere(windows: Windows, variable: Variable) -> np.ndarray:
    return windows.independent(variable, np.ones(windows.window.size, dtype=bool))


def _coded(variable: Variable) -> Variable:
    """Return a variable's state as a variable that is always there."""
    state = variable.state.astype(np.float64)
    return replace(variable, values=state, state=np.zeros_like(variable.state), scale=Scale.DISCRETE)


def _pattern_of_absence(variable: Variable) -> bytes:
    if variable.kind is Kind.PRESENCE:
        return np.asarray(variable.values != 1.0).astype(np.int8).tobytes()
    return variable.state.tobytes()


def _value_test(windows: Windows, variable: Variable, parents: Sequence[Variable], slowdown: float) -> MechanismTest:
    window = windows.window
    if variable.kind is not Kind.LATENCY:
        rows = windows.independent(variable, variable.present)
        before = remembered(variable, parents, window, declared=windows.series) if rows.all() else []
        return (
            _series_test(variable, [*parents, *before], window)
            if before
            else _conditional_test(variable, parents, rows, window)
        )
    growth = grown(variable, parents, window, slowdown)
    if growth.log_p == 0.0:
        return MechanismTest(variable, variable.kind, growth, True, not parents)
    logs = [_in_logs(parent) if parent.kind in TIMES else parent for parent in parents]
    given = _conditional_test(_in_logs(variable), logs, variable.present, window)
    weaker = growth if growth.log_p >= given.evidence.log_p else replace(given.evidence, effect=growth.effect)
    return replace(given, variable=variable, evidence=weaker)


def _series_test(variable: Variable, given: Sequence[Variable], window: Floats) -> MechanismTest:
    """Test a variable that remembers; where most of the windows cannot be compared, by its level as well."""
    rows = ~first_rows(window)
    test = _conditional_test(variable, given, rows, window)
    if test.comparable and test.evidence.n_rows >= MIN_OVERLAP * _n_least(rows, window):
        return test
    found = [level_evidence(variable, given, rows, window), *([test.evidence] if test.comparable else [])]
    return replace(test, evidence=strongest(found), comparable=True)


def _conditional_test(child: Variable, parents: Sequence[Variable], rows: np.ndarray, window: Floats) -> MechanismTest:
    chosen = rows & _shared_patterns(parents, rows, window)
    n_least = _n_least(chosen, window)
    result = MechanismTest(child, child.kind, no_evidence(float(n_least), "too few rows"), False, not parents)
    if n_least < MIN_ROWS:
        return result
    parents = most_telling(parents, chosen, (window[chosen], child.values[chosen]))
    overlap = _overlap(parents, chosen, window)
    found: list[Evidence] = []
    ruled, broken = _rules(child, parents, chosen, window)
    if broken.any():
        rule = Rule("by pattern", broken[ruled])
        found.append(rule_evidence(rule, overlap.probability[ruled[chosen]], window[ruled], child.scale))
    elif ruled.any():
        chosen = chosen & ~ruled
        if _n_least(chosen, window) < MIN_ROWS:
            return replace(result, evidence=no_evidence(overlap.n_rows, "exact rule"), comparable=True)
        found.append(no_evidence(overlap.n_rows, "exact rule"))
        overlap = _overlap(parents, chosen, window)
    if not parents or overlap.is_enough(window[chosen]):
        test = numeric_evidence if child.scale is Scale.NUMERIC else discrete_evidence
        found.append(_large_enough(child, test(child.values[chosen], overlap)))
    if not found:
        return replace(result, evidence=no_evidence(overlap.n_rows, "no overlap"))
    return replace(result, evidence=strongest(found), comparable=True)


def _n_least(rows: np.ndarray, window: Floats) -> int:
    """Return how many of the rows the poorer window has."""
    return int(min((rows & (window == side)).sum() for side in (0, 1)))


def _overlap(parents: Sequence[Variable], rows: np.ndarray, window: Floats) -> Overlap:
    return estimate_overlap(parent_columns(parents, rows).columns, window[rows])


def _rules(
    child: Variable, parents: Sequence[Variable], rows: np.ndarray, window: Floats
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that have an exact rule, and those of them that break it; one rule for each pattern."""
    ruled, broken = np.zeros_like(rows), np.zeros_like(rows)
    for alike, there in _patterns(parents, rows):
        rule = find_rule(child, there, alike, window[alike])
        if rule is not None:
            ruled |= alike
            broken[alike] = rule.broken
    return ruled, broken


def _patterns(parents: Sequence[Variable], rows: np.ndarray) -> Iterator[tuple[np.ndarray, list[Variable]]]:
    """Yield the rows of each pattern of absent parents, with the parents that are there.

    Where branches meet, a child that takes what came obeys one exact rule for each branch, and no row has all parents.
    """
    if not parents:
        return
    if all(parent.is_complete for parent in parents):
        if np.count_nonzero(rows) >= MIN_RULED_ROWS:
            yield rows, list(parents)
        return
    codes = _codes_of_patterns(parents)
    for code, n in zip(*np.unique(codes[rows], return_counts=True), strict=True):
        if n >= MIN_RULED_ROWS:
            alike = rows & (codes == code)
            first = int(alike.argmax())
            yield alike, [parent for parent in parents if parent.present[first]]


def _codes_of_patterns(parents: Sequence[Variable]) -> np.ndarray:
    """Return one number a row, the same for rows in which the same parents are absent.

    Parents that are absent in the same rows, as the elements of a tensor are, have one random number of 63 bits and a
    row the sum of those that are absent: two patterns of a million share a sum once in ten million windows.
    """
    absences = {parent.present.tobytes(): ~parent.present for parent in parents if not parent.is_complete}
    keys = np.random.default_rng(0).integers(1, 2**63 - 1, len(absences))
    return np.asarray(np.column_stack([*absences.values()]).astype(np.int64) @ keys)


def _shared_patterns(parents: Sequence[Variable], rows: np.ndarray, window: Floats) -> np.ndarray:
    """Return the rows whose pattern of absent parents occurs in both windows."""
    if all(parent.is_complete for parent in parents):
        return np.ones_like(rows)
    _, pattern = np.unique(_codes_of_patterns(parents), return_inverse=True)
    counts = [np.bincount(pattern[rows & (window == side)], minlength=pattern.max() + 1) for side in (0, 1)]
    return np.asarray((np.minimum(*counts) > 0)[pattern])


def _large_enough(child: Variable, evidence: Evidence) -> Evidence:
    small = evidence.test in SMALL_TESTS and abs(evidence.effect) < MIN_EFFECT_SD
    wrong_way = child.kind is Kind.ERROR and evidence.effect < 0
    return replace(evidence, log_p=0.0) if small or wrong_way else evidence


def _in_logs(variable: Variable) -> Variable:
    values = np.log(np.maximum(variable.values, SHORTEST_MS))
    return replace(variable, values=values)
