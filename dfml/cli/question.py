"""What a localisation is asked: windows in time of a pipeline, two tables, or one request against normal ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dfml.clock import wall_clock_ms
from dfml.errors import BadInputError, NotFoundError

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd

    from dfml.graph import PipelineGraph
    from dfml.lineage.entry import LoadedSpec
    from dfml.lineage.store import LineageStore

REQUEST_COLUMN = "request"
"""Of a table: what its rows are called, as ``dfml frame`` writes it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The options as they were given."""

    pipeline: str | None
    graph: Path | None
    reference: str
    current: str | None
    target: str | None
    request: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What a localisation is asked: two windows, what depends on what, and the target.

    ``pipeline`` is the graph to be drawn where the windows are a pipeline's, ``loaded`` what was loaded of it and its
    models, and when. Of one request, ``current`` is its row, and no row of the reference.
    """

    causal: "nx.DiGraph"
    reference: "pd.DataFrame"
    current: "pd.DataFrame"
    target: str
    pipeline: "PipelineGraph | None" = None
    loaded: "tuple[LoadedSpec, ...]" = ()


def ask(store: "LineageStore | None", asked: Asked) -> Question:
    """Return the question with its windows; ``store`` is of the pipeline, None for tables.

    Raises
    ------
    BadInputError
        If options are missing or exclude each other.
    NotFoundError
        If the store has no such pipeline, request, or no request in a window.
    DataError
        If a table or the graph cannot be read.
    """
    if asked.request is None and (asked.current is None or asked.target is None):
        msg = "give --current and --target for two windows, or --request ID for one request against normal ones"
        raise BadInputError(msg)
    if store is None or asked.pipeline is None:
        return _ask_tables(asked)
    if asked.request is not None and asked.current is not None:
        msg = "--request ID is what is to be explained; leave --current out, or --request"
        raise BadInputError(msg)
    return _ask_pipeline(store, asked.pipeline, asked)


def _ask_tables(asked: Asked) -> Question:
    from dfml.cli.tables import read_table
    from dfml_analysis.causal_graph import read_graph

    assert asked.graph is not None
    graph, reference = read_graph(asked.graph), read_table(Path(asked.reference))
    current = reference if asked.current is None else read_table(Path(asked.current))
    if asked.request is not None or current.index.inferred_type != "datetime64":
        reference, current = (_with_names(table) for table in (reference, current))
    if asked.request is not None:
        current = _row(current, asked.request, asked.current or asked.reference)
        if asked.current is None or asked.current == asked.reference:
            reference = reference.drop(index=asked.request)
    return Question(graph, reference, current, _target(graph, current, asked.target))


def _with_names(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return the table with its rows' names: those of its column ``request``, else their numbers from 1."""
    if REQUEST_COLUMN in table.columns:
        return table.set_index(table[REQUEST_COLUMN].astype(str)).drop(columns=REQUEST_COLUMN)
    return table.set_axis([str(number) for number in range(1, len(table) + 1)])


def _row(table: "pd.DataFrame", request: str, name: str) -> "pd.DataFrame":
    found = table[table.index == request]
    if len(found) != 1:
        how = f"a value of its column {REQUEST_COLUMN!r}, or the number of a row from 1"
        msg = f"--request {request}: table {name} has {len(found)} such rows; expected one: {how}"
        raise NotFoundError(msg)
    return found


def _target(graph: "nx.DiGraph", current: "pd.DataFrame", given: str | None) -> str:
    from dfml_analysis.one_request import last_column

    return given or last_column(graph, list(current.columns))


def _ask_pipeline(store: "LineageStore", pipeline: str, asked: Asked) -> Question:
    from dfml_analysis.alignment import align
    from dfml_analysis.causal_graph import from_pipeline

    now_ms = wall_clock_ms()
    graph = _pipeline_graph(store, pipeline)
    reference = _window(store, pipeline, "--reference", asked.reference, now_ms)
    if asked.request is not None:
        current = _frame_of(store, pipeline, asked.request)
        reference = reference[reference.index != asked.request]
    else:
        current = _window(store, pipeline, "--current", str(asked.current), now_ms)
    before, after = align(reference, current)
    causal = from_pipeline(graph, before.columns)
    own = f"{pipeline}.{asked.target}"
    target = own if own in before.columns else asked.target
    loaded = (*store.specs("Pipeline", pipeline), *store.specs("Model"))
    return Question(causal, before, after, _target(causal, after, target), graph, loaded)


def _window(store: "LineageStore", pipeline: str, option: str, window: str, now_ms: int) -> "pd.DataFrame":
    from dfml.lineage.frames import frame
    from dfml.lineage.windows import parse_window

    found = frame(store, pipeline, *parse_window(window, now_ms))
    if found.empty:
        msg = f"{option} {window}: no request of {pipeline} entered in that time; 'dfml requests {pipeline}' lists some"
        raise NotFoundError(msg)
    return found


def _frame_of(store: "LineageStore", pipeline: str, request: str) -> "pd.DataFrame":
    """Return the frame of one request."""
    from dfml.lineage.entry import Kind
    from dfml.lineage.frames import frame
    from dfml.lineage.traces import trace

    found = trace(store, request)
    entered = [item.timestamp_ms for item in found.entries if item.kind is Kind.ENTRY and item.pipeline == pipeline]
    if not entered:
        msg = f"--request {request}: it did not enter {pipeline}; 'dfml requests {pipeline}' lists some that did"
        raise NotFoundError(msg)
    window = frame(store, pipeline, min(entered), max(entered) + 1)
    return window[window.index == request]


def _pipeline_graph(store: "LineageStore", pipeline: str) -> "PipelineGraph":
    import orjson

    from dfml.graph import PipelineGraph
    from dfml.spec import resource_from_dict
    from dfml.spec.schema import Pipeline

    loaded = [spec.document for spec in store.specs("Pipeline", pipeline) if spec.document]
    if not loaded:
        msg = f"the lineage store has no specification of a pipeline {pipeline!r}; was it loaded while the tap ran?"
        raise NotFoundError(msg)
    resource = resource_from_dict(orjson.loads(loaded[-1])["resource"])
    assert isinstance(resource, Pipeline)
    return PipelineGraph.from_pipeline(resource)
