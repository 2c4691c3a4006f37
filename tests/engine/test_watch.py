"""What a running stack shows of itself: ready or why not, and its numbers."""

import httpx
import pytest

ONE = "{steps: [{name: m}], output: {steps: [m]}}"


async def numbers(client: httpx.AsyncClient) -> dict[str, float]:
    lines = (await client.get("/metrics")).text.splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


@pytest.fixture
async def client(stack):
    async with stack(partitions=2) as calls, httpx.AsyncClient(base_url=calls.stack.url, trust_env=False) as client:
        yield calls, client


async def test_what_a_stack_did_is_counted(client, texts) -> None:
    calls, http = client
    calls.load(texts.model("m", "add1"), texts.model("bad", "fail"), texts.pipeline("p", ONE))
    for value in range(5):
        await calls.ask("p", {"X": [value]})
    told = await numbers(http)
    assert told["dfml_requests_accepted_total"] == told['dfml_records_read_total{part="pipeline-gateway"}'] == 5
    assert told['dfml_records_read_total{part="engine"}'] == told['dfml_records_written_total{part="engine"}'] == 10
    assert told['dfml_fire_seconds_count{part="model-gateway"}'] == 5
    assert told["dfml_ready"] == 1
    assert told["dfml_partitions_owned"] == 2
    lags = {name: value for name, value in told.items() if name.startswith("dfml_lag_records")}
    assert 'dfml_lag_records{partition="1",topic="seldon.default.model.m.inputs"}' in lags
    assert set(lags.values()) == {0}
    held = [value for name, value in told.items() if name.startswith(("dfml_held", "dfml_requests_in_flight"))]
    assert set(held) == {0}


async def test_what_is_under_way_and_what_was_refused_is_told(client, texts, models, wait) -> None:
    calls, http = client
    calls.load(texts.model("m", "hold"), texts.pipeline("p", ONE))
    calls.submit("p", {"X": [1]})
    await wait(lambda: models.CALLED.acquire(blocking=False))
    body = {"inputs": [{"name": "X", "shape": [1], "datatype": "FP32", "data": [1]}]}
    calls.load(texts.pipeline("q", "{steps: [{name: absent}], output: {steps: [absent]}}"))
    assert (await http.post("/v2/pipelines/q/infer", json=body)).status_code == 503
    told = await numbers(http)
    assert told["dfml_requests_in_flight"] == told['dfml_calls_in_flight{model="m"}'] == 1
    assert told['dfml_held_records{part="model-gateway"}'] == 1
    assert told["dfml_requests_in_flight_bytes"] > 0
    assert told['dfml_requests_refused_total{reason="not ready"}'] == 1
    models.GATE.set()
    await wait(lambda: not calls.stack.gateway.outstanding)


async def test_a_stack_whose_log_cannot_be_written_is_not_ready_and_recovers_by_itself(
    client, texts, small_files, wait
) -> None:
    calls, http = client
    calls.load(texts.model("m", "add1"), texts.pipeline("p", ONE))
    with small_files():
        with pytest.raises(Exception, match="could not be written to the log"):
            await calls.infer("p", {"X": [0] * 100_000})
        answer = await http.get("/readyz")
        assert answer.status_code == 503
        assert "the log cannot be written" in answer.json()["reasons"][0]
    assert await calls.ask("p", {"X": [1]}) == {"OUT": [2]}
    assert (await http.get("/readyz")).json()["ready"]


async def test_a_stack_that_is_stopping_is_not_ready(client) -> None:
    calls, http = client
    calls.stack.parts.drain()
    assert (await http.get("/readyz")).json()["reasons"] == ["it is stopping"]


async def test_garbage_on_each_control_topic_is_counted_and_passed_over(client, texts, wait) -> None:
    calls, http = client
    garbage = (b"", b"{", b"\xff\x00", b"[1]", b'{"kind": "Pipeline"}', b'{"part": "engine"}', b"null")
    for topic in ("control.specs", "control.status", "control.owners"):
        for value in garbage:
            for key in (b"", b"Pipeline/p/1", b"\xff", b"a/b/c/d"):
                calls.append(topic, value, key)
    calls.append("control.workers", b"\xff", b"x")
    calls.load(texts.model("m", "add1"), texts.pipeline("p", ONE))
    assert await calls.ask("p", {"X": [1]}) == {"OUT": [2]}
    told = await numbers(http)
    assert told["dfml_unreadable_control_records_total"] >= 60
