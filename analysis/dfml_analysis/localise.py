"""The front door: two windows and a graph in, a localisation out."""

import time
from functools import cache

import networkx as nx
import numpy as np
import pandas as pd
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from dfml_analysis.localisation import Localisation
from dfml_analysis.localisers import localiser
from dfml_analysis.localisers.base import Problem


def localise(  # noqa: PLR0913 - the front door names what it needs; four of the six are the problem itself
    graph: nx.DiGraph,
    reference: pd.DataFrame,
    current: pd.DataFrame,
    target: str,
    *,
    method: str = "dfml",
    seed: int = 0,
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

    Raises
    ------
    DataError
        If the graph, the windows or the target cannot be used, or the method is unknown.
    """
    start = time.perf_counter()
    problem = Problem(graph, reference, current, target, seed)
    with _blas().limit(limits=1):
        ranking = localiser(method).rank(problem)
    seconds = time.perf_counter() - start
    return Localisation(
        verdict=ranking.verdict,
        suspects=ranking.suspects,
        method=method,
        seed=seed,
        seconds=seconds,
        status=ranking.status,
        target=target,
        target_change=_change(reference[target], current[target]),
        evidence=ranking.evidence,
    )


@cache
def _blas() -> ThreadpoolController:
    """Return the control of the linear algebra's threads: for matrices this small they cost more than they give."""
    return ThreadpoolController()


def _change(reference: pd.Series, current: pd.Series) -> float:
    means = [
        float(pd.to_numeric(series, errors="coerce").replace([np.inf, -np.inf], np.nan).mean())
        for series in (reference, current)
    ]
    return means[1] - means[0]
