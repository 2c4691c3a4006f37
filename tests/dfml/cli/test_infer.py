import json
import os
import subprocess
import sys

import pytest


def test_the_answer_is_a_table_of_tensors(run, body):
    found = run("infer", "numbers", body(2))
    assert found.code == 0
    assert found.out.splitlines()[-1].split() == ["small", "FP64", "[1]", "[4.0]"]


def test_the_answer_as_json_is_the_gateways_own(run, body):
    found = run("infer", "numbers", body(2), "--request-id", "cli-json", "-o", "json")
    assert found.data["outputs"] == [{"name": "small", "datatype": "FP64", "shape": [1], "data": [4.0]}]
    assert found.data["id"] == "cli-json"


def test_an_asynchronous_request_is_accepted_with_its_place(run, body):
    found = run("infer", "numbers", body(2), "--async", "--request-id", "cli-async", "-o", "json")
    assert (found.code, found.data["id"], found.data["status"]) == (0, "cli-async", "pending")


def test_a_files_answers_come_in_its_order_one_a_line(run, body, tmp_path):
    values = [value for value in range(40) if value != 13]
    (tmp_path / "f.jsonl").write_text("".join(body(value, id=f"o{value}") + "\n" for value in values))
    found = run("infer", "numbers", "--file", "f.jsonl", "--clients", "7")
    answers = [json.loads(line) for line in found.out.splitlines()]
    assert [(each["id"], each["outputs"][0]["data"]) for each in answers] == [(f"o{v}", [2.0 * v]) for v in values]
    assert "39 answered, 0 failed" in found.err
    assert found.code == 0


def test_failed_lines_say_which_and_why_and_are_counted(run, body, tmp_path):
    (tmp_path / "f.jsonl").write_text(f"{body(1)}\n\n{body(13)}\nnot json\n{body(2)}\n")
    found = run("infer", "numbers", "--file", "f.jsonl")
    said = [json.loads(line) for line in found.out.splitlines()]
    assert [each.get("status", 200) for each in said] == [200, 500, 400, 200]
    assert [each.get("line") for each in said] == [None, 3, 4, None]
    assert "thirteen brings bad luck" in said[1]["error"]
    assert "2 answered, 2 failed" in found.err
    assert found.code == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["numbers", "{"], 2, "body is not JSON"),
        (["numbers", "{}"], 2, "inputs"),
        (["nobody", "{}"], 1, "'nobody' is not loaded"),
        (["numbers"], 2, "give one of a JSON request and --file"),
        (["numbers", "{}", "--file", "x"], 2, "give one of a JSON request and --file"),
        (["numbers", "--file", "gone.jsonl"], 2, "gone.jsonl: it cannot be read"),
        (["numbers", "--file", "x", "--request-id", "r"], 2, "in a file each line gives its own"),
        (["numbers", "{}", "--url", "http://127.0.0.1:9"], 1, "no gateway answers at http://127.0.0.1:9"),
    ],
)
def test_what_goes_wrong_is_one_line_on_stderr_and_a_code(run, arguments, code, words):
    found = run("infer", *arguments)
    assert (found.code, found.out) == (code, "")
    assert words in found.err
    assert len(found.err.splitlines()) == 1


def test_a_model_that_raises_fails_the_verb(run, body):
    found = run("infer", "numbers", body(13))
    assert found.code == 1
    assert "thirteen brings bad luck" in found.err


def test_libraries_say_nothing_on_stderr(run, shared_stack, body):
    command = [sys.executable, "-m", "dfml.cli", "infer", "numbers", body(2), "--request-id", "quiet"]
    env = {**os.environ, **shared_stack.env}
    found = subprocess.run(command, env=env, cwd=shared_stack.folder, capture_output=True, text=True, check=True)
    assert found.stderr == "request quiet\n"
