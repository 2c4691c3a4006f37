"""Simulated pipelines are what their setting says, the same for the same seed, and their damage is where they say."""

from dataclasses import replace

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from dfml.errors import DataError
from dfml_analysis.evaluate.faults import FAULTS
from dfml_analysis.evaluate.series import SeriesSetting, simulate_series
from dfml_analysis.evaluate.shapes import SHAPES, draw_parents
from dfml_analysis.evaluate.simulate import Setting, simulate

MIDDLE = Setting("random", 8, 400, "offset", 1.5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n_nodes", [2, 3, 10, 31])
def test_every_shape_is_an_acyclic_graph_in_topological_order(shape, n_nodes):
    parents = draw_parents(shape, n_nodes, np.random.default_rng(0))
    names = list(parents)
    assert len(names) == n_nodes
    assert all(names.index(above) < names.index(node) for node in names for above in parents[node])


def test_a_tree_is_a_polytree():
    parents = draw_parents("tree", 20, np.random.default_rng(1))
    assert nx.is_tree(nx.Graph((above, node) for node in parents for above in parents[node]))


def test_a_seed_gives_the_same_pipeline_and_another_another():
    first, again, other = simulate(MIDDLE, 3), simulate(MIDDLE, 3), simulate(MIDDLE, (3, 1))
    pd.testing.assert_frame_equal(first.current, again.current)
    assert not first.current.equals(other.current)


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "none"])
def test_every_fault_breaks_one_node_upstream_of_the_target(fault):
    made = simulate(replace(MIDDLE, fault=fault), 5)
    (broken,) = made.broken
    assert FAULTS[fault].of_input == (made.graph.in_degree(broken) == 0)
    assert broken == made.target or nx.has_path(made.graph, broken, made.target)
    aside = [node for node in made.graph if node != broken and not nx.has_path(made.graph, broken, node)]
    assert all(abs(made.current[node].mean() - made.reference[node].mean()) < 0.4 for node in aside)


def test_nothing_is_broken_where_the_fault_is_none():
    assert simulate(replace(MIDDLE, fault="none"), 0).broken == ()


def test_a_share_of_the_requests_is_affected():
    made = simulate(Setting("chain", 2, 4000, "offset", 100.0, share=0.1, family="linear"), 0)
    assert (made.current[made.target] > 50).mean() == pytest.approx(0.1, abs=0.02)


def test_a_shift_and_several_faults_are_all_told():
    made = simulate(replace(MIDDLE, n_faults=2, shift=1.0), 2)
    assert len(made.broken) == 3
    assert made.graph.in_degree(made.broken[-1]) == 0, "the shifted input is told last"


@pytest.mark.parametrize(("twist", "n_more"), [("edge missing", -1), ("edge too many", 1)])
def test_a_wrong_graph_differs_by_one_edge(twist, n_more):
    wrong, right = (simulate(replace(MIDDLE, twist=each), 4) for each in (twist, ""))
    assert wrong.graph.number_of_edges() == right.graph.number_of_edges() + n_more


def test_a_cancelled_fault_leaves_what_follows_as_it_was():
    made = simulate(Setting("chain", 5, 2000, "offset", 3.0, family="linear", twist="cancelled"), 0)
    broken, compensating = made.broken
    assert abs(made.current[broken].mean()) > 2
    assert abs(made.current[compensating].mean()) < 0.2


def test_a_setting_that_cannot_be_is_refused():
    with pytest.raises(DataError, match=r"got fault 'rust'; expected one of .*offset"):
        simulate(replace(MIDDLE, fault="rust"), 0)
    with pytest.raises(DataError, match="no chain of 4 nodes has 1 that swapped fits"):
        simulate(Setting("chain", 4, 50, "swapped"), 0)


def test_a_series_goes_on_where_it_ended_with_the_target_off():
    made = simulate_series(SeriesSetting(10), 0)
    assert (len(made.reference), len(made.current)) == (300, 20)
    before = made.reference[made.target]
    assert abs(made.current[made.target][5:].mean() - before.mean()) > 2 * before.std()


def test_every_node_of_a_series_reaches_the_target():
    made = simulate_series(SeriesSetting(50), 1)
    assert nx.ancestors(made.graph, made.target) | {made.target} == set(made.graph)
