from hypothesis import given
from hypothesis import strategies as st

from dfml.drawing.layers import arrange
from dfml.drawing.layout import Box, Layout, Link, Place, lay_out

NAMES = [f"n{index}" for index in range(12)]
GRAPHS = st.tuples(
    st.integers(1, len(NAMES)),
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=30),
    st.lists(st.tuples(st.floats(20, 300), st.floats(20, 90)), min_size=len(NAMES), max_size=len(NAMES)),
    st.floats(0, 200),
)
Graph = tuple[int, list[tuple[str, str]], list[tuple[float, float]], float]


def draw(graph: Graph) -> tuple[list[Box], list[Link], Layout]:
    n_nodes, edges, sizes, label_width = graph
    boxes = [Box(name, *size) for name, size in zip(NAMES[:n_nodes], sizes, strict=False)]
    known = {box.name for box in boxes}
    links = [Link(source, target, label_width) for source, target in edges if {source, target} <= known]
    return boxes, links, lay_out(boxes, links)


def overlap(one: Place, other: Place) -> bool:
    slack = 1e-6
    return (
        one.x < other.x + other.width - slack
        and other.x < one.x + one.width - slack
        and one.y < other.y + other.height - slack
        and other.y < one.y + one.height - slack
    )


@given(GRAPHS)
def test_every_box_lies_inside_the_drawing_and_covers_no_other(graph: Graph) -> None:
    boxes, _, layout = draw(graph)
    places = list(layout.places.values())
    assert set(layout.places) == {box.name for box in boxes}
    assert all(p.x >= 0 and p.x + p.width <= layout.width + 1e-6 for p in places)
    assert all(p.y >= 0 and p.y + p.height <= layout.height + 1e-6 for p in places)
    assert not any(overlap(one, other) for i, one in enumerate(places) for other in places[i + 1 :])


@given(GRAPHS)
def test_every_link_is_routed_once_from_its_source_to_its_target_inside_the_drawing(graph: Graph) -> None:
    _, links, layout = draw(graph)
    assert {route.link.edge for route in layout.routes} == {li.edge for li in links if li.source != li.target}
    for route in layout.routes:
        source, target = layout.places[route.link.source], layout.places[route.link.target]
        assert min(abs(route.points[0][0] - x) for x in (source.x, source.x + source.width)) < 1e-6
        assert min(abs(route.points[-1][0] - x) for x in (target.x, target.x + target.width)) < 1e-6
        assert all(0 <= x <= layout.width and 0 <= y <= layout.height for x, y in route.points)


@given(GRAPHS)
def test_a_route_passes_through_no_box_but_its_own_two(graph: Graph) -> None:
    _, _, layout = draw(graph)
    for route in layout.routes:
        for name, box in layout.places.items():
            if name not in route.link.edge:
                assert not any(
                    box.x < x < box.x + box.width and box.y + 1e-6 < y < box.y + box.height - 1e-6
                    for x, y in route.points
                )


@given(GRAPHS)
def test_the_same_graph_is_drawn_the_same(graph: Graph) -> None:
    assert draw(graph)[2] == draw(graph)[2]


@given(GRAPHS)
def test_the_gap_that_holds_a_label_is_wider_than_the_label(graph: Graph) -> None:
    _, _, layout = draw(graph)
    for route in layout.routes:
        (x0, _), (x1, _) = route.label_gap
        assert abs(x1 - x0) > route.link.label_width


def test_an_edge_of_an_acyclic_graph_points_to_a_later_layer() -> None:
    layered = arrange("abcd", [("a", "b"), ("b", "c"), ("a", "d"), ("d", "c"), ("a", "c")])
    depth = {vertex.name: index for index, layer in enumerate(layered.layers) for vertex in layer}
    assert (depth["a"], depth["b"], depth["d"], depth["c"]) == (0, 1, 1, 2)
    assert not layered.reversed_edges


def test_crossing_parallel_chains_are_untangled() -> None:
    layered = arrange(["a", "b", "x", "y"], [("a", "y"), ("b", "x")])
    assert [[vertex.name for vertex in layer] for layer in layered.layers] == [["a", "b"], ["y", "x"]]


def test_one_edge_of_a_cycle_is_turned_round() -> None:
    assert arrange(["a", "b", "c"], [("a", "b"), ("b", "c"), ("c", "a")]).reversed_edges == {("c", "a")}


def test_a_drawing_of_nothing_has_only_its_margins() -> None:
    layout = lay_out([], [])
    assert layout.places == {}
    assert layout.width > 0
    assert layout.height > 0


def test_a_hundred_steps_in_a_row_keep_one_level() -> None:
    names = [f"s{index}" for index in range(100)]
    layout = lay_out([Box(n, 80, 40) for n in names], [Link(a, b) for a, b in zip(names, names[1:], strict=False)])
    assert {round(place.y, 6) for place in layout.places.values()} == {16.0}
