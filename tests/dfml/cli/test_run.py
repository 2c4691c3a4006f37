import os
import signal
import subprocess
import sys

import pytest

PARTS = ("tap", "engine", "model-gateway", "pipeline-gateway")


@pytest.fixture
def parts(start, tmp_path):
    """Give a function that starts a part beside the others; what is left is killed at the end."""
    start().end()  # its folder, its models, its environment
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    running = []

    def begin(part):
        command = [sys.executable, "-m", "dfml.cli", "run", part, "--log", "sqlite:///n.db", "--rest-port", "0"]
        with (tmp_path / f"{part}.err").open("w") as err:
            running.append(
                subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=err, text=True)
            )
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.slow
def test_four_processes_answer_as_one_stack_does(parts, run_alone, body, tmp_path, eventually, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    processes = {part: parts(part) for part in PARTS}
    said = {part: process.stdout.readline() for part, process in processes.items()}
    assert [said[part] for part in PARTS[:3]] == [f"ready {part}\n" for part in PARTS[:3]]
    assert said["pipeline-gateway"].startswith("ready http://")
    assert run_alone("load", "numbers.yaml").code == 0
    assert run_alone("status", "numbers", "--wait", "10").code == 0
    answer = run_alone("infer", "numbers", body(2), "--request-id", "apart", "-o", "json")
    assert answer.data["outputs"][0]["data"] == [4.0]
    eventually(lambda: run_alone("trace", "apart").code == 0)
    for process in processes.values():
        process.send_signal(signal.SIGTERM)
    assert [process.wait(timeout=20) for process in processes.values()] == [0, 0, 0, 0]


def test_a_part_does_not_join_a_whole_stack(parts, start, tmp_path):
    start().ready_url()
    process = parts("engine")
    assert process.wait(timeout=30) == 1
    assert "is held by process" in (tmp_path / "engine.err").read_text()


@pytest.mark.parametrize("verb", [("up",), ("run", "engine"), ("run", "tap")])
def test_a_log_that_is_not_embedded_is_wrong_usage_and_says_what_is_expected(verb, run_alone):
    ended = run_alone(*verb, "--log", "kafka://host:1")
    assert (ended.code, "got 'kafka://host:1', expected sqlite:///PATH" in ended.err) == (2, True)
