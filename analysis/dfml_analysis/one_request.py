"""One bad request and no window: which step first did something surprising, given what it was asked.

Each variable of the request is compared with what the reference says it should be given its parents
(:mod:`dfml_analysis.few_rows`); of the surprising ones, the one that explains most of what follows is suspected first.
"""

import networkx as nx
import pandas as pd

from dfml.errors import DataError
from dfml_analysis.few_rows import MIN_REFERENCE
from dfml_analysis.localisation import Localisation
from dfml_analysis.localise import localise


def explain_request(  # noqa: PLR0913 - as the front door
    graph: nx.DiGraph,
    reference: pd.DataFrame,
    request: pd.Series,
    target: str | None = None,
    *,
    seed: int = 0,
    method: str = "dfml",
    series: bool | None = None,
) -> Localisation:
    """Say whether one request is odd, and which step made it so.

    Parameters
    ----------
    graph : nx.DiGraph
        The causal graph (:func:`dfml_analysis.causal_graph.read_graph` or ``from_pipeline``).
    reference : DataFrame
        Normal requests, one a row; a row of the request's own name is left out.
    request : Series
        The request's values by column, named by its request id.
    target : str or None
        What was bad about it; None for the column that depends on most others.
    seed : int
        For what is random.
    method : str
        A name of :data:`dfml_analysis.localisers.LOCALISERS`; those for outliers are made for one request too.
    series : bool or None
        Whether the reference's rows are a time series (:func:`dfml_analysis.localise.localise`).

    Returns
    -------
    Localisation
        p-values are the share of normal requests with anything as surprising, so that none is below ``1 / (n + 1)``.

    Raises
    ------
    DataError
        If the reference has fewer than 50 requests besides, or neither shares a column with the graph.

    Examples
    --------
    >>> import numpy as np
    >>> from dfml_analysis.causal_graph import read_graph
    >>> asked = np.random.default_rng(0).normal(size=200)
    >>> normal = pd.DataFrame({"asked": asked, "answer": 2 * asked + np.random.default_rng(1).normal(size=200) / 10})
    >>> found = explain_request(
    ...     read_graph({"asked": [], "answer": ["asked"]}), normal, pd.Series({"asked": 0.5, "answer": 4.0})
    ... )
    >>> found.verdict.value, found.top
    ('fault', 'answer')
    """
    normal = reference.loc[reference.index != request.name] if request.name in reference.index else reference
    if len(normal) < MIN_REFERENCE:
        msg = f"the reference has {len(normal)} requests besides this one; expected {MIN_REFERENCE} or more normal ones"
        raise DataError(msg)
    current = pd.DataFrame({column: [value] for column, value in request.items()}, index=[request.name])
    shared = [column for column in normal.columns if column in current.columns]
    target = target or last_column(graph, shared)
    return localise(graph, normal, current, target, seed=seed, method=method, series=series)


def last_column(graph: nx.DiGraph, columns: list[str]) -> str:
    """Return the column that depends on most others.

    Raises
    ------
    DataError
        If no column is a node of the graph.
    """
    known = [column for column in columns if column in graph]
    if not known:
        msg = (
            f"none of the columns {columns[:8]} is a node of the graph; expected some of {sorted(map(str, graph))[:8]}"
        )
        raise DataError(msg)
    return max(known, key=lambda column: (len(nx.ancestors(graph, column)), known.index(column)))
