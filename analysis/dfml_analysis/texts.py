"""Free text as numbers: what of an answer's wording can be compared between two windows.

A text of more classes than can be compared becomes five variables beside itself, with its parents and its children:

===============  =====================================================================================
``T.length``     characters
``T.words``      words: runs of letters and digits
``T.digits``     share of the characters that are digits
``T.capitals``   share of the letters that are capitals
``T.unknown``    share of the words that no other request of the reference has
===============  =====================================================================================

Absent text has none of them; a text without characters, letters or words has shares of 0. What the words mean is not
looked at: a fluent wrong answer of the usual length in the usual words looks like a right one.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import networkx as nx
import numpy as np
import pandas as pd

from dfml_analysis.columns import Kind
from dfml_analysis.variables import Scale, bare, read_variable

WORD = re.compile(r"\w+")
SUMMARIES = ("length", "words", "digits", "capitals", "unknown")


def with_text_nodes(graph: nx.DiGraph, columns: Iterable[str]) -> nx.DiGraph:
    """Return the causal graph with a node for each of the columns that describes a text of the graph.

    They are computed from what the text is computed from, and what reads it reads them.
    """
    unplaced = set(columns) - set(graph)
    new = [(name, f"{name}.{end}") for name in graph for end in SUMMARIES if f"{name}.{end}" in unplaced]
    if not new:
        return graph
    wider = graph.copy()
    for name, summary in new:
        wider.add_node(summary, **graph.nodes[name])
        wider.add_edges_from((parent, summary) for parent in graph.predecessors(name))
        wider.add_edges_from((summary, child) for child in graph.successors(name))
    return wider


def describe_texts(reference: pd.DataFrame, current: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the windows with the variables above as columns; the same objects where no column is free text."""
    # Columns that repeat are refused later on, by name.
    counts = [Counter(frame.columns) for frame in (reference, current)]
    unique = [name for name in counts[0] if all(count[name] == 1 for count in counts)]
    before, after = bare(reference), bare(current)
    free = [name for name in unique if _is_free(before[name], after[name])]
    if not free:
        return reference, current
    told = {name: _summaries(before[name], after[name]) for name in free}
    return _joined(reference, told, 0), _joined(current, told, 1)


def _joined(frame: pd.DataFrame, told: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]], side: int) -> pd.DataFrame:
    new = [tables[side].add_prefix(f"{name}.") for name, tables in told.items()]
    joined = pd.concat([frame, *(table.set_axis(frame.index) for table in new)], axis=1)
    joined.attrs = dict(frame.attrs)
    return joined


def _is_free(reference: pd.Series, current: pd.Series) -> bool:
    if reference.dtype != object or not any(isinstance(item, str) for item in reference):
        return False
    items = [item for item in (*reference, *current) if isinstance(item, str)]
    whole = pd.concat([reference, current]).dropna()
    if len(items) != len(whole):
        return False
    return read_variable("", "", Kind.VALUE, reference, current).scale is Scale.OPAQUE


def _summaries(reference: pd.Series, current: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    words = [
        [WORD.findall(item.lower()) if isinstance(item, str) else [] for item in side] for side in (reference, current)
    ]
    n_requests = Counter(word for found in words[0] for word in set(found))
    before, after = (
        pd.DataFrame([_describe(item, found, n_requests, own) for item, found in zip(side, split, strict=True)])
        for side, split, own in zip((reference, current), words, (1, 0), strict=True)
    )
    return before, after


def _describe(item: object, words: Sequence[str], n_requests: Mapping[str, int], own: int) -> dict[str, float]:
    """Return one text's numbers; a word is known if more than ``own`` requests of the reference have it."""
    if not isinstance(item, str):
        return dict.fromkeys(SUMMARIES, np.nan)
    letters = [letter for letter in item if letter.isalpha()]
    return {
        "length": float(len(item)),
        "words": float(len(words)),
        "digits": _share([letter.isdigit() for letter in item]),
        "capitals": _share([letter.isupper() for letter in letters]),
        "unknown": _share([n_requests.get(word, 0) <= own for word in words]),
    }


def _share(found: Sequence[bool]) -> float:
    return float(np.mean(found)) if found else 0.0
