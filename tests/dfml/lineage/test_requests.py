"""Searching requests: newest first, by status, time and part of the id."""

import pytest

from dfml.lineage.requests import RequestFilter, Status, find_requests


@pytest.fixture
def written(pen, tap_all):
    """Three requests: r1 answered, r2 failed, r3 open."""
    pen.claim("r1", 10.0)
    pen.fail("value", "r2", [pen.enter("r2", {"x": [1.0]})], "no such car")
    pen.enter("r3", {"x": [1.0]})
    tap_all()


def test_the_newest_requests_come_first_with_their_status(written, store):
    found = find_requests(store, RequestFilter("claims"))
    assert [(each.request, each.status) for each in found] == [
        ("r3", Status.OPEN),
        ("r2", Status.FAILED),
        ("r1", Status.ANSWERED),
    ]
    assert [each.duration_ms for each in found] == [None, 1, 9]
    assert found[1].error == "no such car"


@pytest.mark.parametrize(
    ("wanted", "requests"),
    [
        (RequestFilter(status=Status.FAILED), ["r2"]),
        (RequestFilter(contains="3"), ["r3"]),
        (RequestFilter(pipeline="other"), []),
        (RequestFilter(until_ms=1_700_000_000_002), ["r1"]),
    ],
)
def test_a_filter_leaves_what_fits(written, store, wanted, requests):
    assert [each.request for each in find_requests(store, wanted)] == requests


def test_the_limit_counts_what_fits_not_what_was_looked_at(pen, store, tap_all):
    for number in range(1200):
        pen.now_ms += number % 2
        pen.enter(f"r{number}", {"x": [1.0]})
        if number == 3:
            pen.fail("value", "r3", [], "boom")
    tap_all()
    assert [each.request for each in find_requests(store, RequestFilter(status=Status.FAILED), limit=1)] == ["r3"]


def test_a_request_in_two_pipelines_has_a_status_in_each(log, topics, pen, store, tap_all):
    pen.claim("r1", 10.0)
    type(pen)(log, topics, pipeline="other").enter("r1", {"x": [1.0]})
    tap_all()
    found = {each.pipeline: each.status for each in find_requests(store, RequestFilter())}
    assert found == {"claims": Status.ANSWERED, "other": Status.OPEN}


def test_a_summary_is_json_able(written, store):
    assert find_requests(store, RequestFilter())[0].to_dict()["status"] == "open"
