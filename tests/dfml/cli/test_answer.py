import pytest


@pytest.fixture
def promised(run, body):
    """Send a request and do not wait for its answer."""

    def send(request: str, value: float) -> str:
        found = run("infer", "numbers", body(value), "--async", "--request-id", request)
        assert found.code == 0
        return found.err

    return send


def test_an_answer_is_fetched_by_the_words_that_the_promise_gave(run, promised):
    command = promised("later-1", 2).strip().removeprefix("its answer: dfml ")
    found = run(*command.split())
    assert (found.code, found.out.splitlines()[-1].split()) == (0, ["small", "FP64", "[1]", "[4.0]"])


def test_the_answer_as_json_is_the_gateways_own(run, promised):
    promised("later-2", 2)
    found = run("answer", "numbers", "later-2", "--wait", "10", "-o", "json")
    assert (found.data["id"], found.data["outputs"][0]["data"]) == ("later-2", [4.0])


def test_a_request_that_failed_says_why(run, promised):
    promised("later-3", 13)
    found = run("answer", "numbers", "later-3", "--wait", "10")
    assert (found.code, found.out) == (1, "")
    assert "thirteen brings bad luck" in found.err


@pytest.mark.parametrize("place", [("numbers", "nobody"), ("nothing", "later-1")])
def test_an_unknown_request_is_not_found(run, place):
    found = run("answer", *place)
    assert found.code == 1
    assert len(found.err.splitlines()) == 1


def test_a_request_without_an_answer_says_what_it_waits_for(start, run_alone, body, tmp_path):
    up = start("--load", "numbers.yaml")
    up.ready_url()
    hanging = (tmp_path / "wrong.yaml").read_text().replace("sort_wrong", "hang").replace("true", "false")
    (tmp_path / "hang.yaml").write_text(hanging)
    assert run_alone("load", "hang.yaml").code == 0
    assert run_alone("status", "sort", "--wait", "10").code == 0
    assert run_alone("infer", "numbers", body(2), "--async", "--request-id", "never").code == 0
    found = run_alone("answer", "numbers", "never", "--wait", "0.5", "-o", "json")
    assert (found.code, found.data["status"]) == (1, "pending")
    assert "never has no answer yet; it waits for " in found.err
    assert "sort" in found.err


def test_a_file_of_requests_says_how_to_fetch_an_answer(run, body, tmp_path):
    (tmp_path / "f.jsonl").write_text(body(1, id="file-1") + "\n")
    found = run("infer", "numbers", "--file", "f.jsonl", "--async")
    assert "1 accepted, 0 failed" in found.err
    assert "dfml answer numbers ID" in found.err
    assert run("answer", "numbers", "file-1", "--wait", "10").code == 0
