"""What every method is given and what it must answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import networkx as nx
import numpy as np
import pandas as pd

from dfml_analysis.damage import Damage
from dfml_analysis.localisation import UNKNOWN, Suspect, VariableEvidence
from dfml_analysis.verdict import Verdict
from dfml_analysis.windows import Windows, read_windows

ALPHA = 0.05
"""Level at which a method with p-values raises an alarm, Bonferroni-corrected over the variables."""


@dataclass(frozen=True)
class Problem:
    """One localisation to be done.

    Attributes
    ----------
    graph : nx.DiGraph
    reference, current : DataFrame
    target : str
    seed : int
        Every random choice of a method derives from it.
    damage : Damage
        In what the target's change is counted, for methods that share it out.
    series : bool or None
        Whether the rows are a time series, each step depending on the row before as well; None: as the reference shows.
    """

    graph: nx.DiGraph
    reference: pd.DataFrame
    current: pd.DataFrame
    target: str
    seed: int = 0
    damage: Damage = Damage()
    series: bool | None = None

    @cached_property
    def windows(self) -> Windows:
        """The checked and typed data; read once.

        Raises
        ------
        DataError
            See :func:`dfml_analysis.windows.read_windows`.
        """
        return replace(read_windows(self.graph, self.reference, self.current, self.target), series=self.series)

    def rng(self) -> np.random.Generator:
        """Return a fresh generator from the seed."""
        return np.random.default_rng(self.seed)


@dataclass(frozen=True, slots=True)
class Ranking:
    """A method's answer.

    Attributes
    ----------
    suspects : tuple of Suspect
        Most suspect first. Methods without a decision of their own rank every variable.
    alarm : bool or None
        Whether the method says that something changed; None if it cannot say.
    verdict : Verdict
        ``undecided`` for methods that only rank.
    status : str
        ``ok``, or ``failed: ...``.
    evidence : tuple of VariableEvidence
        For every variable tested, where the method has such.
    level : float
        Up to which corrected p-value it accuses, where it raises an alarm.
    """

    suspects: tuple[Suspect, ...]
    alarm: bool | None
    verdict: Verdict = Verdict.UNDECIDED
    status: str = "ok"
    evidence: tuple[VariableEvidence, ...] = field(default=())
    level: float = ALPHA


class Localiser(Protocol):
    """A method of fault localisation.

    ``rank`` is a function of the problem alone: the same problem gives the same ranking. It raises DataError for
    data that cannot be used, and reports any inability of its own as ``status="failed: ..."``.

    Attributes
    ----------
    name : str
        Under which it is chosen.
    decides : bool
        Whether it can raise an alarm; otherwise it only ranks.
    slow : bool
        Whether it takes seconds rather than milliseconds for nine variables.
    """

    name: str
    decides: bool
    slow: bool

    def rank(self, problem: Problem) -> Ranking:
        """Return the suspects of a problem, most suspect first."""


def rank_by_p(windows: Windows, log_p: dict[str, float]) -> Ranking:
    """Return the ranking by p-value (natural logarithms), with an alarm if the smallest passes ``ALPHA`` / n."""
    corrected = {name: min(value + float(np.log(len(log_p))), 0.0) for name, value in log_p.items()}
    ordered = sorted(corrected, key=lambda name: (corrected[name], log_p[name]))
    alarm = bool(ordered) and corrected[ordered[0]] <= float(np.log(ALPHA))
    suspects = tuple(
        _suspect(windows, name, 1.0 - float(np.exp(log_p[name])), float(np.exp(corrected[name]))) for name in ordered
    )
    return Ranking(suspects, alarm, _verdict(windows, ordered, alarm))


def rank_by_score(windows: Windows, scores: dict[str, float], *, alarm: bool | None) -> Ranking:
    """Return the ranking by score (largest first, scaled to 0..1), for methods without p-values."""
    ordered = sorted(scores, key=lambda name: -scores[name])
    top = max((abs(score) for score in scores.values()), default=0.0) or 1.0
    suspects = tuple(_suspect(windows, name, max(scores[name] / top, 0.0), UNKNOWN) for name in ordered)
    return Ranking(suspects, alarm, _verdict(windows, ordered, alarm))


def failed(reason: str) -> Ranking:
    """Return the answer of a method that could not work on this problem."""
    return Ranking((), None, Verdict.UNDECIDED, f"failed: {reason}")


def testable(windows: Windows) -> list[str]:
    """Return the names of the variables that hold numbers or classes, in topological order."""
    return [name for name, variable in windows.variables.items() if variable.present.any()]


def split(windows: Windows, name: str) -> Sequence[np.ndarray]:
    """Return a variable's present values in the reference and in the current window."""
    variable = windows.variables[name]
    return [variable.values[variable.present & (windows.window == side)] for side in (0, 1)]


def _suspect(windows: Windows, name: str, score: float, p_value: float) -> Suspect:
    variable = windows.variables[name]
    return Suspect(variable.step, name, variable.kind, score, p_value)


def _verdict(windows: Windows, ordered: list[str], alarm: bool | None) -> Verdict:
    if alarm is None:
        return Verdict.UNDECIDED
    if not alarm:
        return Verdict.NO_CHANGE
    return Verdict.FAULT if windows.graph.in_degree(ordered[0]) else Verdict.INPUT_SHIFT
