"""``dfml``: the method of this package (docs/methods.md): test each mechanism given its parents, blame the changed."""

import numpy as np

from dfml_analysis.localisation import Suspect, VariableEvidence
from dfml_analysis.localisers.base import Problem, Ranking
from dfml_analysis.mechanisms import MechanismTest, examine_mechanisms
from dfml_analysis.summaries import summarise
from dfml_analysis.verdict import Verdict, adjusted_log_p, decide
from dfml_analysis.windows import Windows

MIN_ROWS = 5
"""With fewer rows a window no test can reach the level, whatever the data."""
FULL_SCORE_DIGITS = 10.0
"""A p-value of 1e-10 scores 0.5; the score only orders and shades."""


class Own:
    """Tests every mechanism, controls false discoveries, orders what changed."""

    name = "dfml"
    decides = True
    slow = False

    def rank(self, problem: Problem) -> Ranking:
        """Return the changed mechanisms, most suspect first (see :class:`dfml_analysis.localisers.base.Localiser`)."""
        windows = problem.windows()
        if min(windows.n_rows) < MIN_ROWS:
            status = (
                f"too few rows: the windows have {windows.n_rows[0]} and {windows.n_rows[1]}, {MIN_ROWS} are needed"
            )
            return Ranking((), False, Verdict.UNDECIDED, status)
        tests = examine_mechanisms(windows)
        adjusted = adjusted_log_p([test.evidence.log_p for test in tests], [test.comparable for test in tests])
        verdict, changed = decide(tests, adjusted)
        suspects = [_suspect(windows, tests[index], float(adjusted[index])) for index in changed]
        by_evidence = sorted(
            zip(changed, suspects, strict=True), key=lambda pair: (tests[pair[0]].root, adjusted[pair[0]])
        )
        evidence = tuple(_evidence(test, float(p)) for test, p in zip(tests, adjusted, strict=True))
        alarm = verdict in {Verdict.FAULT, Verdict.INPUT_SHIFT}
        return Ranking(tuple(suspect for _, suspect in by_evidence), alarm, verdict, _status(windows, tests), evidence)


def _suspect(windows: Windows, test: MechanismTest, log_p: float) -> Suspect:
    digits = -log_p / np.log(10.0)
    before, after = summarise(test.variable, windows.window)
    return Suspect(
        step=test.variable.step,
        variable=test.variable.name,
        kind=test.kind,
        score=float(digits / (digits + FULL_SCORE_DIGITS)),
        p_value=float(np.exp(log_p)),
        test=test.evidence.test,
        effect=test.evidence.effect,
        n_compared=test.evidence.n_rows,
        before=before,
        after=after,
    )


def _evidence(test: MechanismTest, log_p: float) -> VariableEvidence:
    variable, found = test.variable, test.evidence
    return VariableEvidence(
        variable.step,
        variable.name,
        test.kind,
        float(np.exp(log_p)),
        found.test,
        found.effect,
        found.n_rows,
        test.comparable,
    )


def _status(windows: Windows, tests: list[MechanismTest]) -> str:
    limits = []
    silent = [test.variable.name for test in tests if not test.comparable]
    if windows.passed_over:
        limits.append(f"no data for {', '.join(windows.passed_over)}")
    if silent:
        limits.append(f"cannot tell for {', '.join(silent)} (the windows do not overlap in their parents)")
    return "; ".join(["ok", *limits])
