"""From answers to scores: one a suite, condition and method, with intervals; failures count as misses."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from dfml_analysis.evaluate.answer import Answer
from dfml_analysis.evaluate.intervals import wilson
from dfml_analysis.evaluate.journal import to_csv

OWN = "dfml"
ALL = "all conditions"
DEPTH = 5
"""Avg@5 (Pham et al. 2024): the mean of the accuracies at 1 to 5."""


@dataclass(frozen=True, slots=True)
class Share:
    """A count of a whole that is not empty, with its 95 % Wilson interval."""

    hits: int
    n: int

    @property
    def value(self) -> float:
        """The share."""
        return self.hits / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """Its interval."""
        return wilson(self.hits, self.n)


@dataclass(frozen=True, slots=True)
class Score:
    """What one method did in one condition.

    Attributes
    ----------
    suite, condition, method : str
    n, failed : int
        Cases, and those in which the method gave no answer.
    alarms : Share or None
        Of the controls, where nothing was broken: verdicts that something changed.
    top1, top3 : Share or None
        Of the faulty cases: a step of a broken component is the first suspect, or one of the first three.
    avg5 : float or None
        Mean over k = 1 .. 5 of the share of broken components among the first k, of min(k, broken) possible ones.
    false_flags : Share or None
        Of the faulty cases: a step that was not broken is accused.
    recall, precision : float or None
        Share of the broken components that are accused, over all cases; share of the accused steps that were broken.
    all_found : Share or None
        Of the faulty cases: every broken component is accused.
    median_seconds, p90_seconds : float
    peak_mb : float or None
        The largest growth of the process in one case.
    own_top1 : Share or None
        ``top1`` of ``dfml`` on the very cases that this method was given.
    time_ratio : float or None
        Median of this method's time over that of ``dfml`` on the same case; None where ``dfml`` was not run.

    What asks for a verdict is None for a method that never decides; what there was no case for is None as well.
    """

    suite: str
    condition: str
    method: str
    n: int
    failed: int
    alarms: Share | None
    top1: Share | None
    top3: Share | None
    avg5: float | None
    false_flags: Share | None
    recall: float | None
    precision: float | None
    all_found: Share | None
    median_seconds: float
    p90_seconds: float
    peak_mb: float | None
    own_top1: Share | None
    time_ratio: float | None


def score(answers: Sequence[Answer]) -> list[Score]:
    """Return a score for each suite, condition and method, in the order in which they first occur."""
    return _grouped(answers, lambda answer: answer.key[:2])


def overview(answers: Sequence[Answer]) -> list[Score]:
    """Return a score for each suite and method over all conditions, each case counted once."""
    return _grouped(answers, lambda answer: (answer.suite, ALL))


def _grouped(answers: Sequence[Answer], group_of: Callable[[Answer], tuple[str, str]]) -> list[Score]:
    own = {answer.key[:3]: answer for answer in answers if answer.method == OWN}
    groups: dict[tuple[str, str], dict[str, list[Answer]]] = {}
    for answer in answers:
        groups.setdefault(group_of(answer), {}).setdefault(answer.method, []).append(answer)
    return [
        _score((*group, method), found, own) for group, methods in groups.items() for method, found in methods.items()
    ]


def _score(key: tuple[str, str, str], group: Sequence[Answer], own: Mapping[tuple[str, str, str], Answer]) -> Score:
    faulty = [answer for answer in group if not answer.is_control]
    deciding = faulty if group[0].decides else []
    controls = [answer for answer in group if answer.is_control and answer.decides]
    seconds = [answer.seconds for answer in group]
    peaks = [answer.peak_mb for answer in group if answer.peak_mb is not None]
    pairs = [(answer, own[answer.key[:3]]) for answer in group if answer.key[:3] in own]
    ratios = [answer.seconds / mine.seconds for answer, mine in pairs if not mine.failed]
    return Score(
        *key,
        n=len(group),
        failed=sum(answer.failed for answer in group),
        alarms=_share(answer.alarmed for answer in controls),
        top1=_share(is_hit(answer, 1) for answer in faulty),
        top3=_share(is_hit(answer, 3) for answer in faulty),
        avg5=float(np.mean([average_at(answer, DEPTH) for answer in faulty])) if faulty else None,
        false_flags=_share(bool(set(answer.accused) - answer.truth) for answer in deciding),
        recall=_recall(deciding),
        precision=_precision(deciding),
        all_found=_share(n_accused(answer) == len(answer.culprits) for answer in deciding),
        median_seconds=float(np.median(seconds)),
        p90_seconds=float(np.quantile(seconds, 0.9)),
        peak_mb=max(peaks, default=None),
        own_top1=_share(is_hit(mine, 1) for _, mine in pairs if not mine.is_control),
        time_ratio=float(np.median(ratios)) if ratios else None,
    )


def is_hit(answer: Answer, depth: int) -> bool:
    """Return whether a broken step is among the first ``depth`` suspects."""
    return not answer.truth.isdisjoint(answer.suspects[:depth])


def average_at(answer: Answer, depth: int) -> float:
    """Return the mean over k = 1 .. depth of the share of broken components found among the first k."""
    found = [
        sum(not set(culprit).isdisjoint(answer.suspects[:k]) for culprit in answer.culprits)
        / min(k, len(answer.culprits))
        for k in range(1, depth + 1)
    ]
    return float(np.mean(found))


def n_accused(answer: Answer) -> int:
    """Return how many of the broken components are accused."""
    return sum(not set(culprit).isdisjoint(answer.accused) for culprit in answer.culprits)


def scores_csv(scores: Sequence[Score]) -> str:
    """Return ``scores.csv``: shares with ``_low`` and ``_high``; empty where something does not apply."""
    rows = [_row(item) for item in scores]
    columns = list(rows[0]) if rows else [field.name for field in fields(Score)]
    return to_csv(columns, [list(row.values()) for row in rows])


def _row(item: Score) -> dict[str, object]:
    row: dict[str, object] = {}
    for field in fields(item):
        value = getattr(item, field.name)
        if "Share" in str(field.type):
            low, high = value.interval if value is not None else (None, None)
            row |= {
                field.name: None if value is None else value.value,
                f"{field.name}_low": low,
                f"{field.name}_high": high,
            }
        else:
            row[field.name] = value
    return row


def _share(told: Iterable[bool]) -> Share | None:
    values = list(told)
    return Share(sum(values), len(values)) if values else None


def _recall(group: Sequence[Answer]) -> float | None:
    n_broken = sum(len(answer.culprits) for answer in group)
    return sum(map(n_accused, group)) / n_broken if n_broken else None


def _precision(group: Sequence[Answer]) -> float | None:
    n_steps = sum(len(answer.accused) for answer in group)
    return sum(len(set(answer.accused) & answer.truth) for answer in group) / n_steps if n_steps else None
