"""Order and cycles: agreement with networkx on any graph, and the order nearest to the given one."""

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from dfml.spec.order import reachable, shortest_cycle, strongly_connected

NODES = [f"n{index}" for index in range(7)]
GRAPHS = st.dictionaries(st.sampled_from(NODES), st.lists(st.sampled_from(NODES), max_size=4, unique=True))


def _networkx(successors: dict[str, list[str]]) -> "nx.DiGraph[str]":
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(NODES)
    graph.add_edges_from((node, head) for node, heads in successors.items() for head in heads)
    return graph


@given(GRAPHS)
def test_components_are_those_that_cycles_hold_together(successors: dict[str, list[str]]) -> None:
    expected = {frozenset(component) for component in nx.strongly_connected_components(_networkx(successors))}
    assert {frozenset(component) for component in strongly_connected(NODES, successors)} == expected


@given(GRAPHS)
def test_components_come_after_all_that_lead_to_them(successors: dict[str, list[str]]) -> None:
    components = strongly_connected(NODES, successors)
    place = {node: index for index, component in enumerate(components) for node in component}
    assert all(place[node] <= place[head] for node, heads in successors.items() for head in heads)


@given(GRAPHS)
def test_a_shortest_cycle_is_a_cycle_and_no_shorter_one_goes_through_its_start(
    successors: dict[str, list[str]],
) -> None:
    cycle = shortest_cycle("n0", successors)
    graph = _networkx(successors)
    back = [nx.shortest_path_length(graph, head, "n0") for head in graph["n0"] if nx.has_path(graph, head, "n0")]
    assert len(cycle) == (min(back) + 2 if back else 0)
    assert all(head in successors[node] for node, head in zip(cycle, cycle[1:], strict=False))


@given(GRAPHS, st.sampled_from(NODES))
def test_reachable_holds_the_start_only_on_a_cycle(successors: dict[str, list[str]], start: str) -> None:
    graph = _networkx(successors)
    expected = {node for head in graph[start] for node in {head, *nx.descendants(graph, head)}}
    assert reachable([start], successors) == expected


def test_the_order_is_the_given_one_where_the_graph_leaves_it_open() -> None:
    assert strongly_connected(["c", "a", "b"], {"b": ["c"]}) == [("a",), ("b",), ("c",)]


def test_a_long_chain_needs_no_recursion() -> None:
    nodes = [str(index) for index in range(5000)]
    chain = {node: [head] for node, head in zip(nodes, nodes[1:], strict=False)}
    assert strongly_connected(reversed(nodes), chain) == [(node,) for node in nodes]
