"""The pages of a process, and the server of those that have no other."""

import httpx
import pytest

from dfml.errors import SettingsError
from dfml.operations.metrics import FAMILIES, Exposition, Kind, Sample, Spread
from dfml.operations.pages import Pages, PagesServer


@pytest.fixture
def pages():
    reasons = []
    made = Pages("engine", lambda: reasons, lambda: (1, 2), lambda: [Sample("dfml_retries_total", 3)])
    yield made, reasons


def get(url):
    return httpx.get(url, trust_env=False)


def test_a_process_says_on_its_port_that_it_lives_is_ready_and_what_it_counted(pages):
    server = PagesServer(pages[0], "127.0.0.1", 0)
    try:
        assert get(f"{server.url}/healthz").json()["alive"] is True
        assert get(f"{server.url}/readyz").json() == {
            "ready": True,
            "part": "engine",
            "partitions": [1, 2],
            "reasons": [],
        }
        text = get(f"{server.url}/metrics").text
        assert "dfml_ready 1.0\ndfml_partitions_owned" not in text
        assert {"dfml_ready 1.0", "dfml_partitions_owned 2.0", "dfml_retries_total 3.0"} <= set(text.splitlines())
        assert get(f"{server.url}/other").status_code == 404
    finally:
        server.close()


def test_who_is_not_ready_says_why_with_503(pages):
    made, reasons = pages
    reasons.append("the log cannot be read: gone")
    page = made.answer("/readyz")
    assert (page.status, b"the log cannot be read: gone" in page.body) == (503, True)
    assert made.answer("/healthz").status == 200
    assert b"dfml_ready 0.0" in made.answer("/metrics").body


def test_an_address_in_use_is_said_at_once(pages):
    server = PagesServer(pages[0], "127.0.0.1", 0)
    port = int(server.url.rpartition(":")[2])
    try:
        with pytest.raises(SettingsError, match=f"metrics_port {port}: cannot listen there: Address already in use"):
            PagesServer(pages[0], "127.0.0.1", port)
    finally:
        server.close()


def test_a_spread_is_told_as_a_cumulated_histogram():
    sample = Sample("dfml_fire_seconds", Spread([1, 0, 2], [0.1, 0.5], 7.5), ("engine",))
    lines = Exposition(lambda: [sample]).render().decode().splitlines()
    told = [line for line in lines if line.startswith("dfml_fire_seconds")]
    assert told == [
        'dfml_fire_seconds_bucket{le="0.1",part="engine"} 1.0',
        'dfml_fire_seconds_bucket{le="0.5",part="engine"} 1.0',
        'dfml_fire_seconds_bucket{le="+Inf",part="engine"} 3.0',
        'dfml_fire_seconds_count{part="engine"} 3.0',
        'dfml_fire_seconds_sum{part="engine"} 7.5',
    ]


def test_counters_are_named_as_counters_and_nothing_else_is():
    for family in FAMILIES:
        assert family.name.endswith("_total") == (family.kind is Kind.COUNTER), family.name
