"""The answer to "what changed, and where?": verdict, ordered suspects, evidence; as table, JSON, text and figure."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich.console import RenderableType

from dfml_analysis.columns import Kind
from dfml_analysis.elements import Elements
from dfml_analysis.guilty import GuiltyPair
from dfml_analysis.onset import Onset
from dfml_analysis.verdict import ALPHA, Verdict
from dfml_analysis.versions import Load
from dfml_analysis.wording import short_name, spell_change

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SENTENCES = {
    Verdict.FAULT: "Fault in {what}",
    Verdict.INPUT_SHIFT: "The input changed: {what} No step changed.",
    Verdict.NO_CHANGE: "Nothing changed{what}.",
    Verdict.UNDECIDED: "Undecided: {what}.",
}
MAX_NAMES = 3
"""More names than this in a sentence are not read."""
UNKNOWN = float("nan")


@dataclass(frozen=True, slots=True)
class Summary:
    """One variable in one window.

    Attributes
    ----------
    n : int
        Rows of the window.
    n_present : int
        Rows where the variable has a value.
    mean, sd, median : float
        Of the present values; NaN where there are none.
    """

    n: int
    n_present: int
    mean: float
    sd: float
    median: float


@dataclass(frozen=True, slots=True)
class Suspect:
    """One variable whose mechanism changed (or, with verdict undecided, may have).

    Attributes
    ----------
    step, variable : str
    kind : Kind
    score : float
        0 to 1, comparable within one localisation.
    p_value : float
        Of "the mechanism is the same", corrected for the tests of this variable and for the number of variables; NaN
        for a method without tests (as are ``effect`` and ``n_compared``).
    test : str
        Which test said so (:mod:`dfml_analysis.evidence`).
    effect : float
        The change, in residual standard deviations, probability or share of requests, as the test has it.
    n_compared : float
        Rows per window that could be compared.
    before, after : Summary or None
        The variable in the reference and in the current window.
    attribution : float or None
        Its part of the target's change, in the target's unit; None where it was not computed, the target does not
        depend on the variable, or has no value in one of the windows.
    attribution_interval : tuple of float or None
        95 % interval of that part.
    also : tuple of str
        Other variables of the step that show the same change and add nothing to it.
    onset : Onset or None
        Since when; None where it was not asked, or too little could be compared.
    pairs : tuple of GuiltyPair
        Requests that show the change, each beside one of the reference that was asked alike, most telling first.
    version : Load or None
        What was loaded of the step when the change began (:func:`dfml_analysis.versions.with_versions`).
    elements : Elements or None
        Of the summary of a long tensor, which elements differ (:func:`dfml_analysis.elements.with_elements`).
    """

    step: str
    variable: str
    kind: Kind
    score: float
    p_value: float
    test: str = ""
    effect: float = UNKNOWN
    n_compared: float = UNKNOWN
    before: Summary | None = None
    after: Summary | None = None
    attribution: float | None = None
    attribution_interval: tuple[float, float] | None = None
    also: tuple[str, ...] = ()
    onset: Onset | None = None
    pairs: tuple[GuiltyPair, ...] = ()
    version: Load | None = None
    elements: Elements | None = None


@dataclass(frozen=True, slots=True)
class VariableEvidence:
    """What was found for one variable, guilty or not; ``p_value`` as in :class:`Suspect`."""

    step: str
    variable: str
    kind: Kind
    p_value: float
    test: str
    effect: float
    n_compared: float
    comparable: bool


def accuse(verdict: Verdict, suspects: Sequence[Suspect], level: float) -> tuple[Suspect, ...]:
    """Return the suspects that a verdict accuses; none without one. A method that only ranks accuses its first.

    ``level`` is the p-value at which the verdict was given: what would not have raised the alarm is not accused by it.
    """
    if verdict not in {Verdict.FAULT, Verdict.INPUT_SHIFT}:
        return ()
    first = suspects[:1] if suspects and math.isnan(suspects[0].p_value) else ()
    return (*first, *(item for item in suspects if item.p_value <= level))


@dataclass(frozen=True, slots=True, repr=False)
class Localisation:
    """A verdict, its suspects (most suspect first) and how they were found.

    Attributes
    ----------
    verdict : Verdict
    suspects : tuple of Suspect
    method : str
        The localiser's name.
    seed : int
    seconds : float
        Wall time of the computation.
    status : str
        ``ok``, or what limits the answer, or ``failed: ...``.
    target : str
        The variable whose change was to be explained.
    target_change : float
        The target in the current window minus that in the reference, in the unit; NaN if either has none.
    unit : str
        In what the change is counted: ``mean``, ``p95``, ``over 250``, ... (:func:`dfml_analysis.damage.parse_unit`).
    evidence : tuple of VariableEvidence
        Every variable that was tested, in topological order.
    level : float
        Up to which corrected p-value the method accuses.
    show_me : str
        The command that shows a request with the first suspect's change; empty where there is none.
    """

    verdict: Verdict
    suspects: tuple[Suspect, ...]
    method: str
    seed: int
    seconds: float
    status: str = "ok"
    target: str = ""
    target_change: float = UNKNOWN
    unit: str = "mean"
    evidence: tuple[VariableEvidence, ...] = field(default=())
    level: float = ALPHA
    show_me: str = ""

    @property
    def sentence(self) -> str:
        """The verdict in one or two short sentences: what changed first of all, and what else is suspected."""
        if self.verdict is Verdict.UNDECIDED:
            names = ", ".join(suspect.variable for suspect in self.suspects[:3])
            what = f"weak evidence against {names}" if names else self.status.removeprefix("ok; ")
        elif self.verdict is Verdict.NO_CHANGE:
            what = _untold([item.variable for item in self.evidence if not item.comparable])
        else:
            what = _describe(self.accused or self.suspects[:1], self.verdict)
        return SENTENCES[self.verdict].format(what=what)

    @property
    def top(self) -> str | None:
        """The most suspect variable, even where the evidence is too weak for a verdict; None where there is none."""
        if self.suspects:
            return self.suspects[0].variable
        ordered = sorted(self.evidence, key=lambda item: item.p_value)
        return ordered[0].variable if ordered else None

    @property
    def accused(self) -> tuple[Suspect, ...]:
        """The suspects that the verdict accuses (:func:`accuse`)."""
        return accuse(self.verdict, self.suspects, self.level)

    def for_readers(self) -> "Localisation":
        """Return the same with the suspects that a reader is to see.

        Of a verdict that accuses, the accused: others that are ranked behind them have no evidence against them.
        """
        accused = self.accused
        weighed = bool(accused) and not math.isnan(accused[0].p_value)
        return replace(self, suspects=accused) if weighed else self

    @property
    def flagged(self) -> frozenset[str]:
        """The variables that the verdict accuses."""
        return frozenset(suspect.variable for suspect in self.accused)

    def on_log(self, log: str, lineage: str = "") -> "Localisation":
        """Return the same, its command naming log and lineage store: for whoever runs it where no stack or several run.

        ``lineage`` may be left out where the store is beside the log.
        """
        words = [f"DFML_LINEAGE={shlex.quote(lineage)}"] if lineage else []
        words += [self.show_me, "--log", shlex.quote(log)]
        return replace(self, show_me=" ".join(words)) if self.show_me else self

    def to_json(self, *, detail: bool = False) -> dict[str, Any]:
        """Return the answer as plain JSON values; a suspect's ``p_value`` is null for a method without tests.

        Parameters
        ----------
        detail : bool
            Everything that is known, with since when, damage, pairs of requests and the evidence of every variable;
            what is not known is null.
        """
        if detail:
            from dfml_analysis.detail import in_detail  # noqa: PLC0415 - it needs this module

            return in_detail(self)
        suspects = [
            {
                "step": suspect.step,
                "variable": suspect.variable,
                "kind": suspect.kind.value,
                "score": suspect.score,
                "p_value": None if math.isnan(suspect.p_value) else suspect.p_value,
            }
            for suspect in self.suspects
        ]
        return {
            "verdict": self.verdict.value,
            "suspects": suspects,
            "method": self.method,
            "seed": self.seed,
            "seconds": self.seconds,
            "status": self.status,
        }

    def to_frame(self) -> pd.DataFrame:
        """Return one row a suspect, most suspect first."""
        rows = [
            {
                "step": suspect.step,
                "variable": suspect.variable,
                "kind": suspect.kind.value,
                "score": suspect.score,
                "p_value": suspect.p_value,
                "test": suspect.test,
                "effect": suspect.effect,
                "n_compared": suspect.n_compared,
                "before": suspect.before.mean if suspect.before else float("nan"),
                "after": suspect.after.mean if suspect.after else float("nan"),
                "attribution": suspect.attribution,
                "attribution_low": suspect.attribution_interval[0] if suspect.attribution_interval else None,
                "attribution_high": suspect.attribution_interval[1] if suspect.attribution_interval else None,
                "since": suspect.onset.since.value if suspect.onset else None,
                "since_request": suspect.onset.request if suspect.onset else None,
                "version": suspect.version.version if suspect.version else None,
            }
            for suspect in self.suspects
        ]
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        return table.astype(dict.fromkeys(NUMBERS, np.float64))

    def by_step(self) -> pd.DataFrame:
        """Return one row a step that was tested: its highest score (0 without a suspect) and smallest p-value."""
        tested = [(item.step, item.p_value) for item in self.evidence]
        tested += [(suspect.step, suspect.p_value) for suspect in self.suspects]
        scores = dict.fromkeys((step for step, _ in tested), 0.0)
        for suspect in self.suspects:
            scores[suspect.step] = max(scores[suspect.step], suspect.score)
        p_values = {step: min(p_value for other, p_value in tested if other == step) for step in scores}
        table = pd.DataFrame({"step": list(scores), "score": list(scores.values()), "p_value": list(p_values.values())})
        return table.sort_values("score", ascending=False, kind="stable", ignore_index=True)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the evidence of every tested variable as bars (-log10 p), suspects in colour."""
        from dfml_analysis.localisation_plot import plot_evidence  # noqa: PLC0415 - it needs this module

        return plot_evidence(self, ax)

    def plot_timeline(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the first suspect's evidence as it came in, with the request where it begins."""
        from dfml_analysis.localisation_plot import plot_timeline  # noqa: PLC0415 - it needs this module

        return plot_timeline(self, ax)

    def __repr__(self) -> str:
        from dfml_analysis.rendering import to_text  # noqa: PLC0415 - it needs this module

        return to_text(self)

    def _repr_html_(self) -> str:
        from dfml_analysis.rendering import to_html  # noqa: PLC0415 - it needs this module

        return to_html(self)

    def __rich__(self) -> RenderableType:
        """Render for the terminal."""
        from dfml_analysis.rendering import to_terminal  # noqa: PLC0415 - it needs this module

        return to_terminal(self)


COLUMNS = (
    "step",
    "variable",
    "kind",
    "score",
    "p_value",
    "test",
    "effect",
    "n_compared",
    "before",
    "after",
    "attribution",
    "attribution_low",
    "attribution_high",
    "since",
    "since_request",
    "version",
)
NUMBERS = tuple(
    name for name in COLUMNS if name not in {"step", "variable", "kind", "test", "since", "since_request", "version"}
)


def _describe(suspects: Sequence[Suspect], verdict: Verdict) -> str:
    if not suspects:
        return ""
    first, *others = suspects
    told = f"{spell_change(first)}."
    if verdict is Verdict.FAULT:
        told = f"{first.step}: {told}"
    names = list(dict.fromkeys(_name(other, first) for other in others))
    if not names:
        return told
    left_out = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return f"{told} Also suspect: {', '.join(names[:MAX_NAMES])}{left_out}."


def _untold(names: Sequence[str]) -> str:
    """Return what is to be added of variables that could not be compared."""
    unlike = list(dict.fromkeys(names))
    if not unlike:
        return ""
    more = f" and {len(unlike) - MAX_NAMES} more" if len(unlike) > MAX_NAMES else ""
    return f" that can be told; {', '.join(unlike[:MAX_NAMES])}{more} cannot be compared"


def _name(suspect: Suspect, first: Suspect) -> str:
    name = short_name(suspect.variable, suspect.step)
    if name == suspect.step:
        return name
    return f"its `{name}`" if suspect.step == first.step else f"`{name}` of {suspect.step}"
