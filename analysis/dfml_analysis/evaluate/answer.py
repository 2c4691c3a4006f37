"""What a method answered to a case, as it is kept: scored by step, with its cost."""

import math
from dataclasses import dataclass, field

import networkx as nx

from dfml_analysis.localisation import accuse
from dfml_analysis.localisers.base import Ranking

OK, FAILED = "ok", "failed"


@dataclass(frozen=True, slots=True)
class Answer:
    """One method's answer to one case.

    Attributes
    ----------
    suite, condition, case, method : str
    culprits : list of list of str
        See :class:`dfml_analysis.evaluate.case.Posed`; empty for a control.
    suspects : list of str
        Steps, most suspect first. Where the method names nobody, every step by its evidence.
    accused : list of str
        The steps that the verdict accuses; empty without one.
    verdict : str
    p_value : float or None
        The smallest, corrected for the number of variables; None for a method without p-values.
    seconds : float
        Wall time.
    peak_mb : float or None
        How much the process grew meanwhile at its largest; None where the system does not tell.
    status, reason : str
        ``ok`` or ``failed``, and why or what limits the answer.
    decides : bool
        Whether the method can raise an alarm at all.
    """

    suite: str
    condition: str
    case: str
    method: str
    culprits: list[list[str]]
    decides: bool
    suspects: list[str] = field(default_factory=list)
    accused: list[str] = field(default_factory=list)
    verdict: str = "undecided"
    p_value: float | None = None
    seconds: float = 0.0
    peak_mb: float | None = None
    status: str = OK
    reason: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes it unique."""
        return self.suite, self.condition, self.case, self.method

    @property
    def failed(self) -> bool:
        """Whether the method gave no answer."""
        return self.status == FAILED

    @property
    def is_control(self) -> bool:
        """Whether nothing was broken."""
        return not self.culprits

    @property
    def truth(self) -> set[str]:
        """Every step that was broken."""
        return {step for culprit in self.culprits for step in culprit}

    @property
    def alarmed(self) -> bool:
        """Whether the verdict says that something changed."""
        return self.verdict in {"fault", "input_shift"}


def ranked_steps(graph: nx.DiGraph, ranking: Ranking) -> list[str]:
    """Return the steps of the suspects, most suspect first, each once; without suspects, those of the evidence."""
    ordered = sorted(ranking.evidence, key=lambda item: item.p_value)
    names = [item.variable for item in ranking.suspects or ordered]
    return list(dict.fromkeys(_step(graph, name) for name in names))


def accused_steps(graph: nx.DiGraph, ranking: Ranking) -> list[str]:
    """Return the steps that the verdict accuses, in the order of suspicion; a method without p-values its first."""
    accused = accuse(ranking.verdict, ranking.suspects, ranking.level)
    return list(dict.fromkeys(_step(graph, suspect.variable) for suspect in accused))


def smallest_p(ranking: Ranking) -> float | None:
    """Return the smallest p-value of an answer; None where it has none."""
    values = [suspect.p_value for suspect in ranking.suspects] + [item.p_value for item in ranking.evidence]
    return min((value for value in values if not math.isnan(value)), default=None)


def _step(graph: nx.DiGraph, variable: str) -> str:
    return str(graph.nodes[variable].get("step", variable))
