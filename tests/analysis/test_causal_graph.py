"""Causal graphs from YAML and from pipelines."""

from pathlib import Path

import networkx as nx
import pytest

from dfml.errors import DataError
from dfml.graph import PipelineGraph
from dfml.spec import parse_resources
from dfml_analysis.causal_graph import from_pipeline, read_graph
from dfml_analysis.columns import Kind, parse_column

PIPELINE = """
apiVersion: mlops.seldon.io/v1alpha1
kind: Pipeline
metadata: {name: claims}
spec:
  steps:
    - {name: split, inputs: [claims.inputs.amount]}
    - {name: low, inputs: [split.outputs.low]}
    - {name: high, inputs: [split.outputs.high], triggers: [low]}
  output:
    steps: [low, high]
    stepsJoin: any
"""
COLUMNS = [
    "claims.inputs.amount",
    "claims.inputs.year",
    *(
        f"{step}.{aspect}"
        for step in ("split", "low", "high")
        for aspect in ("presence", "latency_ms", "queue_ms", "error")
    ),
    "split.outputs.low",
    "split.outputs.high",
    "low.outputs.payout",
    "high.outputs.payout",
    "claims.outputs.payout",
    "claims.latency_ms",
    "claims.error",
]


@pytest.fixture
def causal() -> nx.DiGraph:
    (pipeline,) = parse_resources(PIPELINE, source="claims.yaml")
    return from_pipeline(PipelineGraph.from_pipeline(pipeline), COLUMNS)  # type: ignore[arg-type]


def test_yaml_maps_each_node_to_its_parents(tmp_path: Path) -> None:
    path = tmp_path / "graph.yaml"
    path.write_text("a:\nb: [a]\nc: [a, b]\n", encoding="utf-8")
    assert set(read_graph(path).edges) == {("a", "b"), ("a", "c"), ("b", "c")}


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"a": ["b"], "b": ["a"]}, "cycle"),
        ({"a": ["q"]}, "no nodes"),
        ({"a": "b", "b": []}, "expected a list"),
        ({}, "no node"),
    ],
)
def test_a_wrong_graph_is_refused_with_its_reason(mapping: dict[str, list[str]], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_graph(mapping)


@pytest.mark.parametrize(("text", "said"), [("[a, b]", "expected a mapping"), ("a: [", "not YAML")])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "graph.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        read_graph(path)


def test_a_node_that_stands_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "graph.yaml"
    path.write_text("a:\nb: [a]\nc: [a]\n'b': []\n", encoding="utf-8")
    with pytest.raises(DataError, match="graph.yaml:4: 'b' stands twice, first in line 2"):
        read_graph(path)


def test_a_missing_graph_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_graph(tmp_path / "none.yaml")


def test_column_names_say_step_and_kind() -> None:
    assert parse_column("split.outputs.low[3]").tensor == "low"
    assert parse_column("split.presence").kind is Kind.PRESENCE
    assert parse_column("split.latency_ms").step == "split"
    assert parse_column("count1").kind is None


def test_a_step_depends_on_the_tensors_it_reads_and_no_others(causal: nx.DiGraph) -> None:
    assert set(causal.predecessors("split.outputs.low")) == {"claims.inputs.amount", "split.presence"}
    assert "split.outputs.high" not in set(causal.predecessors("low.outputs.payout"))


def test_a_trigger_gates_the_presence_of_a_step(causal: nx.DiGraph) -> None:
    assert "low.presence" in set(causal.predecessors("high.presence"))


def test_an_error_comes_before_the_presence_of_its_step(causal: nx.DiGraph) -> None:
    assert "split.error" in set(causal.predecessors("split.presence"))
    assert causal.nodes["split.error"]["kind"] is Kind.ERROR


def test_the_pipelines_latency_is_made_of_its_steps(causal: nx.DiGraph) -> None:
    steps = {f"{step}.{time}" for step in ("split", "low", "high") for time in ("latency_ms", "queue_ms")}
    assert set(causal.predecessors("claims.latency_ms")) == steps | {"claims.error"}


def test_waiting_is_the_machines(causal: nx.DiGraph) -> None:
    assert causal.nodes["low.queue_ms"]["kind"] is Kind.QUEUE
    assert "low.queue_ms" not in set(causal.predecessors("low.latency_ms"))


def test_a_summary_belongs_to_its_tensor() -> None:
    (pipeline,) = parse_resources(PIPELINE, source="claims.yaml")
    columns = ["split.outputs.low.mean", "split.outputs.low.size", "split.outputs.high[0]", "low.outputs.payout"]
    found = from_pipeline(PipelineGraph.from_pipeline(pipeline), columns)  # type: ignore[arg-type]
    assert set(found.predecessors("low.outputs.payout")) == {"split.outputs.low.mean", "split.outputs.low.size"}


def test_the_answer_depends_on_what_the_output_reads(causal: nx.DiGraph) -> None:
    assert {"low.outputs.payout", "high.outputs.payout"} <= set(causal.predecessors("claims.outputs.payout"))


def test_the_requests_tensors_are_the_roots(causal: nx.DiGraph) -> None:
    roots = {node for node in causal if not causal.in_degree(node)}
    assert roots == {"claims.inputs.amount", "claims.inputs.year"}


def test_columns_of_other_pipelines_are_refused_when_nothing_is_left() -> None:
    (pipeline,) = parse_resources(PIPELINE, source="claims.yaml")
    with pytest.raises(DataError, match="none of the columns"):
        from_pipeline(PipelineGraph.from_pipeline(pipeline), ["other.outputs.x", "amount"])  # type: ignore[arg-type]
