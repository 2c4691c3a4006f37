"""The front door: two windows and a graph in, a localisation out."""

import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import networkx as nx
import numpy as np
import pandas as pd
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from dfml.errors import DataError
from dfml_analysis.damage import Damage, Unit
from dfml_analysis.guilty import guilty_pairs
from dfml_analysis.localisation import Localisation, Suspect
from dfml_analysis.localisers import localiser
from dfml_analysis.localisers.base import Problem, Ranking
from dfml_analysis.onset import follow
from dfml_analysis.texts import describe_texts, with_text_nodes
from dfml_analysis.verdict import Verdict

MEAN_DAMAGE = Damage()
MAX_FOLLOWED = 5
"""Suspects whose evidence is followed in time; the strongest come first."""
MAX_FOLLOWED_ROWS = 50_000
"""Of a window: longer ones are not followed, which would take minutes."""
N_PAIRS = 5


def localise(  # noqa: PLR0913 - the front door names what it needs; four of the six are the problem itself
    graph: nx.DiGraph,
    reference: pd.DataFrame,
    current: pd.DataFrame,
    target: str,
    *,
    method: str = "dfml",
    seed: int = 0,
    damage: Damage = MEAN_DAMAGE,
    series: bool | None = None,
) -> Localisation:
    """Say whether something changed between two windows, and which mechanism.

    Parameters
    ----------
    graph : nx.DiGraph
        The causal graph (:func:`dfml_analysis.causal_graph.read_graph` or ``from_pipeline``).
    reference, current : DataFrame
        One row a request in the order of time, one column a node; absent is NaN.
    target : str
        The variable whose change is to be explained.
    method : str
        A name of :data:`dfml_analysis.localisers.LOCALISERS`.
    seed : int
        For methods that draw random numbers.
    damage : Damage
        In which unit the target's change is shared out among the suspects (its mean by default), and the code of steps
        that is at hand to be run again.
    series : bool or None
        Whether the rows are a time series, in which each step depends on the row before as well; None: as the
        reference shows.

    Raises
    ------
    DataError
        If the graph, the windows or the target cannot be used, or the method is unknown.
    """
    start = time.perf_counter()
    _check(reference, current, seed)
    windows = describe_texts(reference, current)
    problem = Problem(with_text_nodes(graph, windows[0].columns), *windows, target, seed, damage, series)
    ranking = rank(problem, method)
    accused = ranking.verdict in {Verdict.FAULT, Verdict.INPUT_SHIFT}
    with _blas().limit(limits=1):
        suspects = _followed(problem, ranking.suspects) if accused else ranking.suspects
    seconds = time.perf_counter() - start
    return Localisation(
        verdict=ranking.verdict,
        suspects=suspects,
        method=method,
        seed=seed,
        seconds=seconds,
        status=ranking.status,
        target=target,
        target_change=_change(reference[target], current[target], damage.unit),
        unit=str(damage.unit),
        evidence=ranking.evidence,
        level=ranking.level,
        show_me=_show_me(current, suspects),
    )


def _check(reference: object, current: object, seed: int) -> None:
    for name, window in (("reference", reference), ("current", current)):
        if not isinstance(window, pd.DataFrame):
            msg = f"the {name} window is of type {type(window).__name__}; expected a DataFrame, one row a request"
            raise DataError(msg)
    if seed < 0:
        msg = f"seed {seed}: expected 0 or more"
        raise DataError(msg)


def rank(problem: Problem, method: str) -> Ranking:
    """Return a method's answer alone, without since when and which requests.

    Raises
    ------
    DataError
        As :func:`localise`.
    """
    with _blas().limit(limits=1):
        return localiser(method).rank(problem)


def _followed(problem: Problem, suspects: tuple[Suspect, ...]) -> tuple[Suspect, ...]:
    """Return the suspects, the first of them with since when and with requests that show it."""
    if max(len(problem.reference), len(problem.current)) > MAX_FOLLOWED_ROWS:
        return suspects
    windows, frames = problem.windows, (problem.reference, problem.current)
    told = []
    for suspect in suspects[:MAX_FOLLOWED]:
        found = follow(windows, suspect.variable, suspect.kind)
        if found is None:
            told.append(suspect)
            continue
        carriers = problem.current.iloc[found.carriers()]
        pairs = guilty_pairs(windows.graph, problem.reference, carriers, suspect, N_PAIRS) if len(carriers) else []
        told.append(replace(suspect, onset=found.onset(*frames), pairs=tuple(pairs)))
    return (*told, *suspects[MAX_FOLLOWED:])


def _show_me(current: pd.DataFrame, suspects: Sequence[Suspect]) -> str:
    """Return the command that shows a guilty request; nothing for a table that no lineage store has made."""
    pairs = suspects[0].pairs if suspects else ()
    return shlex.join(["dfml", "trace", pairs[0].guilty]) if pairs and "pipeline" in current.attrs else ""


@cache
def _blas() -> ThreadpoolController:
    """Return the control of the linear algebra's threads: for matrices this small they cost more than they give."""
    return ThreadpoolController()


def _change(reference: pd.Series, current: pd.Series, unit: Unit) -> float:
    """Return the target in the current window minus in the reference; NaN where either has no value."""
    then, now = (
        pd.to_numeric(series, errors="coerce").replace([np.inf, -np.inf], np.nan).to_numpy(np.float64, na_value=np.nan)
        for series in (reference, current)
    )
    return float(unit.of(now, np.ones((1, now.size)))[0] - unit.of(then, np.ones((1, then.size)))[0])
