"""What is drawn of a large graph."""

import networkx as nx

from dfml_analysis.report.focus import focus


def _chain(n_nodes: int) -> nx.DiGraph:
    return nx.relabel_nodes(nx.path_graph(n_nodes, nx.DiGraph), str)


def test_a_long_way_to_the_target_is_one_box() -> None:
    seen = focus(_chain(100), ["10"], "99")
    assert [seen.title(name) for name in seen.ways["10"]] == ["10", "88 nodes", "99"]
    assert set(seen.graph) - set(seen.boxes) == {"9", "10", "99"}
    assert seen.n_shown == 3


def test_a_short_way_is_drawn_node_by_node() -> None:
    assert focus(_chain(100), ["96"], "99").ways == {"96": ("96", "97", "98", "99")}


def test_a_suspect_on_anothers_way_has_a_box_of_its_own() -> None:
    seen = focus(_chain(100), ["10", "50"], "99")
    assert [seen.title(name) for name in seen.ways["10"]] == ["10", "39 nodes", "50", "48 nodes", "99"]


def test_many_that_feed_a_suspect_are_one_box() -> None:
    graph = nx.DiGraph([(f"source {index}", "sum") for index in range(9)] + [("sum", "target")])
    seen = focus(graph, ["sum"], "target")
    assert [seen.title(name) for name in seen.graph.predecessors("sum")] == ["9 nodes"]
    assert len(next(iter(seen.boxes.values()))) == 9


def test_a_target_that_no_way_leads_to_stands_apart() -> None:
    graph = nx.DiGraph([("a", "b"), ("c", "target")])
    seen = focus(graph, ["b"], "target")
    assert seen.ways == {}
    assert {"a", "b", "target"} == set(seen.graph)


def test_a_suspect_that_is_no_node_is_left_out() -> None:
    assert set(focus(_chain(3), ["elsewhere"], "2").graph) == {"2"}
