from collections import Counter

import pytest
from scipy.stats import chisquare

from dfml.spec.schema import Candidate, ExperimentSpec, Mirror
from dfml_engine.routing import choose, mirror_of

THREE = ExperimentSpec(
    candidates=tuple(Candidate(name=name, weight=weight) for name, weight in (("a", 60), ("b", 30), ("c", 10)))
)


def test_candidates_get_their_share_of_the_requests() -> None:
    drawn = Counter(choose("e", THREE, f"request-{number}") for number in range(2000))
    assert chisquare([drawn["a"], drawn["b"], drawn["c"]], [1200, 600, 200]).pvalue > 0.001


def test_a_request_is_routed_alike_whenever_it_is_read() -> None:
    assert {choose("e", THREE, "request-7") for _ in range(10)} == {choose("e", THREE, "request-7")}


def test_two_experiments_draw_independently() -> None:
    pairs = Counter((choose("e", THREE, str(number)), choose("f", THREE, str(number))) for number in range(2000))
    assert pairs["b", "b"] == pytest.approx(2000 * 0.09, rel=0.25)


def test_a_candidate_of_weight_0_gets_nothing() -> None:
    spec = ExperimentSpec(candidates=(Candidate(name="a", weight=0), Candidate(name="b", weight=1)))
    assert {choose("e", spec, str(number)) for number in range(200)} == {"b"}


def test_the_callers_route_goes_first() -> None:
    assert {choose("e", THREE, str(number), ":x:c:") for number in range(50)} == {"c"}


def test_a_route_to_no_candidate_is_no_route() -> None:
    assert choose("e", THREE, "request-7", ":gone:") == choose("e", THREE, "request-7")


def test_the_mirror_gets_its_percentage() -> None:
    spec = ExperimentSpec(candidates=(Candidate(name="a"),), mirror=Mirror(name="m", percent=25))
    mirrored = sum(mirror_of("e", spec, str(number)) == "m" for number in range(2000))
    assert chisquare([mirrored, 2000 - mirrored], [500, 1500]).pvalue > 0.001
