"""The pipeline's graph: nodes, edges, order, depth, and its networkx form."""

import pytest

from dfml.errors import SpecError
from dfml.graph import Edge, Node, NodeKind, PipelineGraph
from dfml.spec import parse_resources, resource_from_dict
from dfml.spec.schema import Batch, Join, Pipeline

CLAIMS = """\
apiVersion: mlops.seldon.io/v1alpha1
kind: Pipeline
metadata: {name: claims}
spec:
  steps:
    - name: pay
      inputs: [split.outputs.low, value.inputs, claims.inputs.amount]
      tensorMap: {split.outputs.low: amount_low}
      triggers: [check.outputs.ok]
      triggersJoinType: any
    - name: value
    - name: split
      inputs: [value.outputs.high, value.outputs.low]
      inputsJoinType: outer
      joinWindowMs: 500
      batch: {size: 4, windowMs: 10}
    - name: check
      inputs: [value]
    - name: review
      inputs: [split.outputs.high]
  output:
    steps: [pay, review]
    stepsJoin: any
"""


def graph_of(text: str) -> PipelineGraph:
    (pipeline,) = parse_resources(text, source="f")
    assert isinstance(pipeline, Pipeline)
    return PipelineGraph.from_pipeline(pipeline)


def short(steps: str, rest: str = "") -> PipelineGraph:
    head = "apiVersion: mlops.seldon.io/v1alpha1\nkind: Pipeline\nmetadata: {name: p}\n"
    return graph_of(f"{head}spec:\n  steps: {steps}\n{rest}")


@pytest.fixture(scope="module")
def claims() -> PipelineGraph:
    return graph_of(CLAIMS)


def test_nodes_are_the_input_each_step_and_the_output(claims: PipelineGraph) -> None:
    names = [node.name for node in claims.nodes]
    assert names == ["claims.inputs", "pay", "value", "split", "check", "review", "claims.outputs"]
    assert (claims.input, claims.output) == ("claims.inputs", "claims.outputs")
    assert claims.steps == ("pay", "value", "split", "check", "review")


def test_a_node_knows_when_it_fires(claims: PipelineGraph) -> None:
    batch = Batch(size=4, window_ms=10)
    assert claims.node("split") == Node("split", NodeKind.STEP, Join.OUTER, join_window_ms=500, batch=batch)
    assert claims.joins["claims.outputs"] is Join.ANY
    assert claims.node("pay").triggers_join is Join.ANY


def test_an_unknown_node_is_a_key_error(claims: PipelineGraph) -> None:
    with pytest.raises(KeyError, match="nobody"):
        claims.node("nobody")


def test_an_edge_says_topic_tensors_renames_and_role(claims: PipelineGraph) -> None:
    assert claims.edges_into("pay") == (
        Edge("split", "pay", "outputs", ("low",), (("low", "amount_low"),)),
        Edge("value", "pay", "inputs"),
        Edge("claims.inputs", "pay", "inputs", ("amount",)),
        Edge("check", "pay", "outputs", ("ok",), role="trigger"),
    )


def test_tensors_of_one_topic_share_an_edge(claims: PipelineGraph) -> None:
    assert claims.edges_into("split") == (Edge("value", "split", "outputs", ("high", "low")),)


def test_a_step_without_inputs_reads_the_pipelines(claims: PipelineGraph) -> None:
    assert claims.edges_into("value") == (Edge("claims.inputs", "value", "inputs"),)


def test_ancestors_follow_data_and_triggers(claims: PipelineGraph) -> None:
    assert claims.ancestors("pay") == ("claims.inputs", "value", "split", "check")
    assert claims.ancestors("review") == ("claims.inputs", "value", "split")


def test_descendants_are_the_other_direction(claims: PipelineGraph) -> None:
    assert claims.descendants("split") == ("pay", "review", "claims.outputs")


def test_the_order_puts_each_node_after_its_ancestors(claims: PipelineGraph) -> None:
    order = claims.topological_order()
    assert order == ("claims.inputs", "value", "split", "check", "pay", "review", "claims.outputs")


def test_a_depth_is_the_length_of_the_longest_path(claims: PipelineGraph) -> None:
    assert claims.depths() == {
        "claims.inputs": 0,
        "value": 1,
        "split": 2,
        "check": 2,
        "pay": 3,
        "review": 3,
        "claims.outputs": 4,
    }


def test_equal_documents_give_equal_graphs(claims: PipelineGraph) -> None:
    assert graph_of(CLAIMS) == claims
    assert hash(graph_of(CLAIMS)) == hash(claims)


def test_a_cycle_shares_its_place_and_depth() -> None:
    loop = "[{name: a, inputs: [p, b.outputs.again], inputsJoinType: any}, {name: b, inputs: [a]}]"
    graph = short(loop, "  allowCycles: true\n  maxStepRevisits: 2\n  output: {steps: [b.outputs.done]}\n")
    assert graph.topological_order() == ("p.inputs", "a", "b", "p.outputs")
    assert graph.depths() == {"p.inputs": 0, "a": 1, "b": 1, "p.outputs": 2}
    assert graph.ancestors("a") == ("p.inputs", "a", "b")


def test_a_pipeline_without_output_has_no_output_node() -> None:
    graph = short("[{name: a}]")
    assert graph.output is None
    assert [node.kind for node in graph.nodes] == [NodeKind.INPUT, NodeKind.STEP]


def test_what_other_pipelines_feed_stands_apart() -> None:
    feed = (
        "  input: {externalInputs: [q.step.s.outputs.X], externalTriggers: [r], tensorMap: {q.step.s.outputs.X: Y}}\n"
    )
    graph = short("[{name: a}]", feed)
    assert graph.external == (
        Edge("q.step.s.outputs", "p.inputs", "outputs", ("X",), (("X", "Y"),)),
        Edge("r.outputs", "p.inputs", "outputs", role="trigger"),
    )
    assert [edge.source for edge in graph.edges] == ["p.inputs"]


def test_networkx_has_the_same_nodes_and_edges_in_order(claims: PipelineGraph) -> None:
    graph = claims.to_networkx()
    assert list(graph) == [node.name for node in claims.nodes]
    assert {pair for pair in graph.edges} == {(edge.source, edge.target) for edge in claims.edges}
    assert graph.nodes["split"]["node"] == claims.node("split")


def test_networkx_joins_the_edges_of_one_pair() -> None:
    graph = short("[{name: a}, {name: b, inputs: [a.outputs.X], triggers: [a.outputs.ok]}]").to_networkx()
    assert graph.edges["a", "b"]["role"] == "data"
    assert [edge.role for edge in graph.edges["a", "b"]["edges"]] == ["data", "trigger"]


@pytest.mark.parametrize(
    ("reference", "said"),
    [("b", "pipeline 'p': nothing is called b"), ("a.output", "reference 'a.output': got 'output'")],
)
def test_a_pipeline_that_breaks_the_rules_has_no_graph(reference: str, said: str) -> None:
    data = {
        "apiVersion": "mlops.seldon.io/v1alpha1",
        "kind": "Pipeline",
        "metadata": {"name": "p"},
        "spec": {"steps": [{"name": "a", "inputs": [reference]}]},
    }
    pipeline = resource_from_dict(data)
    assert isinstance(pipeline, Pipeline)
    with pytest.raises(SpecError, match=said):
        PipelineGraph.from_pipeline(pipeline)
