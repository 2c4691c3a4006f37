"""Run methods on cases and count: hits, alarms on controls, false flags on other nodes, failures, seconds."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dfml_analysis.localisation import Localisation
from dfml_analysis.localise import localise
from dfml_analysis.verdict import Verdict
from experiments.recorded_study.cases import NORMAL, Case

Z_95 = 1.959964
ALARMS = {Verdict.FAULT, Verdict.INPUT_SHIFT}
COLUMNS = ("method", "system", "condition", "hits", "n", "alarms", "n_control", "median_seconds")


@dataclass(frozen=True, slots=True)
class Score:
    """What one method did in one condition of one system.

    Attributes
    ----------
    method, system, condition : str
    hits, n : int
        Cases with a true node on top, of all cases (failures are misses).
    alarms, n_control : int or None, int
        Normal-normal pairs of the same system that it called changed; None for methods that never decide.
    false_flags : int or None
        Cases in which a decision named a node outside the truth; None for methods that never decide.
    failed : int
        Cases with status ``failed``.
    median_seconds : float
    """

    method: str
    system: str
    condition: str
    hits: int
    n: int
    alarms: int | None
    n_control: int
    false_flags: int | None
    failed: int
    median_seconds: float


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a proportion (Wilson 1927).

    Examples
    --------
    >>> [round(bound, 3) for bound in wilson(10, 10)]
    [0.722, 1.0]
    """
    if n == 0:
        return 0.0, 1.0
    share, z2 = hits / n, Z_95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * float(np.sqrt(share * (1 - share) / n + z2 / (4 * n * n)))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def run(cases: Sequence[Case], method: str, *, seed: int, progress: Callable[[], None]) -> list[Localisation]:
    """Return a method's localisations, one a case, the i-th with ``seed + i``; ``progress`` is called after each."""
    answers = []
    for index, case in enumerate(cases):
        answers.append(
            localise(case.graph, case.reference, case.current, case.target, method=method, seed=seed + index)
        )
        progress()
    return answers


def score(cases: Sequence[Case], results: dict[str, list[Localisation]], decides: Callable[[str], bool]) -> list[Score]:
    """Return one score for each method, system and condition; ``decides`` says which methods can raise an alarm."""
    conditions = list(dict.fromkeys((case.system, case.condition) for case in cases if case.condition != NORMAL))
    return [
        _score(method, system, condition, list(zip(cases, answers, strict=True)), decides(method))
        for method, answers in results.items()
        for system, condition in conditions
    ]


def _score(method: str, system: str, condition: str, answered: list[tuple[Case, Localisation]], decides: bool) -> Score:
    faulty = [(case, answer) for case, answer in answered if (case.system, case.condition) == (system, condition)]
    controls = [answer for case, answer in answered if (case.system, case.condition) == (system, NORMAL)]
    return Score(
        method=method,
        system=system,
        condition=condition,
        hits=sum(answer.top in case.truth for case, answer in faulty),
        n=len(faulty),
        alarms=sum(answer.verdict in ALARMS for answer in controls) if decides else None,
        n_control=len(controls),
        false_flags=sum(bool(answer.flagged - case.truth) for case, answer in faulty) if decides else None,
        failed=sum(answer.status.startswith("failed") for _, answer in faulty),
        median_seconds=float(np.median([answer.seconds for _, answer in faulty])) if faulty else float("nan"),
    )


def to_frame(scores: Iterable[Score]) -> pd.DataFrame:
    """Return the scores as the table of ``scores.csv``; alarms are empty for methods that never decide."""
    rows = [[getattr(item, column) for column in COLUMNS] for item in scores]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"alarms": "Int64"})
