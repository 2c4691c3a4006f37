"""Running methods on cases: the fast ones first, every failure counted, nothing done twice."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType

from dfml_analysis.evaluate.answer import FAILED, OK, Answer, accused_steps, ranked_steps, smallest_p
from dfml_analysis.evaluate.case import Case, Posed
from dfml_analysis.evaluate.memory import PeakMemory
from dfml_analysis.evaluate.simulate import Setting, simulate
from dfml_analysis.localise import rank
from dfml_analysis.localisers import localiser
from dfml_analysis.localisers.base import Problem

_logger = logging.getLogger(__name__)

LIMIT_S = 120.0
"""A method that takes longer for a case has failed: nobody waits for it in front of a broken pipeline."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run.

    Attributes
    ----------
    cases : sequence of Case
    methods : sequence of str
    slow_cases : int or None
        How many cases of each condition the slow methods are given, the first ones; None for all.
    limit_s : float
        After which a method has failed on a case.
    """

    cases: Sequence[Case]
    methods: Sequence[str]
    slow_cases: int | None = None
    limit_s: float = LIMIT_S

    def rounds(self) -> Iterator[tuple[Case, tuple[str, ...]]]:
        """Yield each case with the methods to be run on it: first all fast methods, then the slow ones one by one."""
        fast = tuple(name for name in self.methods if not localiser(name).slow)
        if fast:
            yield from ((case, fast) for case in self.cases)
        few = self._few()
        for name in self.methods:
            if localiser(name).slow:
                yield from ((case, (name,)) for case in few)

    @property
    def n_answers(self) -> int:
        """How many answers it gives."""
        return sum(len(methods) for _, methods in self.rounds())

    def n_missing(self, done: Collection[tuple[str, str, str, str]]) -> int:
        """How many answers are not among those that are done."""
        return sum(len(_missing(case, methods, done)) for case, methods in self.rounds())

    def _few(self) -> list[Case]:
        counts: dict[str, int] = {}
        few = []
        for case in self.cases:
            counts[case.condition] = counts.get(case.condition, 0) + 1
            if self.slow_cases is None or counts[case.condition] <= self.slow_cases:
                few.append(case)
        return few


def run(plan: Plan, done: Collection[tuple[str, str, str, str]], keep: Callable[[Answer], None]) -> None:
    """Run the plan; ``keep`` is given each answer at once. What is ``done`` (:attr:`Answer.key`) is not run again."""
    warm: set[str] = set()
    for case, methods in plan.rounds():
        if missing := _missing(case, methods, done):
            posed = case.pose()
            for name in missing:
                if name not in warm:
                    ask(WARM_UP, WARM_UP.pose(), name, plan.limit_s)
                    warm.add(name)
                keep(ask(case, posed, name, plan.limit_s))


def _warm_up() -> Posed:
    """Return a case that costs little, asked of a method before the first that is timed: it loads what it imports."""
    made = simulate(Setting("chain", 2, 30, "offset"), 0)
    return Posed(Problem(made.graph, made.reference, made.current, made.target), ())


WARM_UP = Case("", "warm-up", "", _warm_up)


def _missing(case: Case, methods: Sequence[str], done: Collection[tuple[str, str, str, str]]) -> list[str]:
    return [name for name in methods if (case.suite, case.condition, case.name, name) not in done]


def ask(case: Case, posed: Posed, method: str, limit_s: float = LIMIT_S) -> Answer:
    """Return a method's answer to a case; one that raises or takes too long has failed, and the answer says how."""
    problem = posed.problem
    known = Answer(
        suite=case.suite,
        condition=case.condition,
        case=case.name,
        method=method,
        culprits=[sorted(culprit) for culprit in posed.culprits],
        decides=localiser(method).decides,
    )
    memory, start = PeakMemory(), time.perf_counter()
    try:
        with _limited(limit_s):
            # A problem of its own for each method: what one has read would be another's head start.
            ranking = rank(replace(problem), method)
    except Exception as error:  # noqa: BLE001 - whatever a method raises is its failure, and is counted as one
        _logger.debug("%s failed on %s, %s", method, case.condition, case.name, exc_info=True)
        seconds = time.perf_counter() - start
        return _with(known, seconds, memory.growth_mb, status=FAILED, reason=f"{type(error).__name__}: {error}")
    seconds, peak_mb = time.perf_counter() - start, memory.growth_mb
    if ranking.status.startswith(FAILED):
        reason = ranking.status.removeprefix(FAILED).removeprefix(": ")
        return _with(known, seconds, peak_mb, status=FAILED, reason=reason)
    return _with(
        known,
        seconds,
        peak_mb,
        suspects=ranked_steps(problem.graph, ranking),
        accused=accused_steps(problem.graph, ranking),
        verdict=ranking.verdict.value,
        p_value=smallest_p(ranking),
        reason=ranking.status.removeprefix(OK).removeprefix("; "),
    )


def _with(known: Answer, seconds: float, peak_mb: float | None, **told: object) -> Answer:
    return replace(known, seconds=seconds, peak_mb=peak_mb, **told)  # type: ignore[arg-type]


@contextmanager
def _limited(limit_s: float) -> Iterator[None]:
    """Raise TimeoutError in the block after so many seconds; outside the main thread there is no limit."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_signal: int, _frame: FrameType | None) -> None:
        msg = f"it took over {limit_s:g} s"
        raise TimeoutError(msg)

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
