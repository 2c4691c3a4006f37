import json
import os
import signal
import subprocess
import sys

import httpx
import pytest

TWO = "sqlite:///two.db"
PARTS = ("tap", "engine", "model-gateway", "pipeline-gateway")


@pytest.fixture
def parts(start, tmp_path):
    """Give a function that starts a part beside the others; what is left is killed at the end."""
    start().end()  # its folder, its models, its environment
    running = []

    def begin(part, *options):
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [
            sys.executable,
            "-m",
            "dfml.cli",
            "run",
            part,
            "--log",
            "sqlite:///n.db",
            "--rest-port",
            "0",
            *options,
        ]
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


def read(url):
    return httpx.get(url, trust_env=False).text


@pytest.mark.slow
def test_four_processes_answer_as_one_stack_does(parts, run_alone, body, tmp_path, eventually, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    processes = {part: parts(part) for part in PARTS}
    said = {part: process.stdout.readline() for part, process in processes.items()}
    assert all(said[part].startswith(f"ready {part} http://127.0.0.1:") for part in PARTS[:3])
    assert said["pipeline-gateway"].startswith("ready http://")
    assert run_alone("load", "numbers.yaml").code == 0
    assert run_alone("status", "numbers", "--wait", "10").code == 0
    answer = run_alone("infer", "numbers", body(2), "--request-id", "apart", "-o", "json")
    assert answer.data["outputs"][0]["data"] == [4.0]
    eventually(lambda: run_alone("trace", "apart").code == 0)
    tap = said["tap"].split()[-1]
    assert json.loads(read(f"{tap}/readyz"))["ready"]
    assert 'dfml_records_read_total{part="tap"}' in read(f"{tap}/metrics")
    assert [each["part"] for each in run_alone("status", "--workers", "-o", "json").data] == sorted(PARTS)
    for process in processes.values():
        process.send_signal(signal.SIGTERM)
    assert [process.wait(timeout=20) for process in processes.values()] == [0, 0, 0, 0]


def test_a_part_does_not_join_a_whole_stack(parts, start, tmp_path):
    start().ready_url()
    process = parts("engine")
    assert process.wait(timeout=30) == 1
    assert "is held by process" in (tmp_path / "engine.err").read_text()


A_THREAD_THAT_STAYS = """
import asyncio, threading
from dfml.cli import stack
from dfml.cli.app import app
from dfml_engine.stack import Stack

async def stop(self, ended=Stack.stop):
    await ended(self)
    asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)

Stack.stop, stack.LEAVE_S = stop, 0.5
app(["run", "engine", "--log", "sqlite:///stays.db"])
"""


def test_a_part_that_is_told_to_stop_ends_although_a_thread_does_not(tmp_path):
    env = {**os.environ, "DFML_DRAIN_TIMEOUT_MS": "1000"}
    command = [sys.executable, "-c", A_THREAD_THAT_STAYS]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, env=env, text=True, **pipes) as process:
        process.stdout.readline()
        process.terminate()
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 1
    assert "not stopped after 1.5 s: a thread does not end; leaving, the log holds what was accepted" in said


def test_a_part_waits_for_a_log_that_is_not_there_yet_and_can_be_stopped_meanwhile(parts, tmp_path, eventually):
    process = parts("engine", "--log", "kafka://127.0.0.1:1")
    eventually(lambda: "waiting for the log: kafka://127.0.0.1:1" in (tmp_path / "engine.err").read_text())
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0


@pytest.mark.parametrize("verb", [("up",), ("run", "tap")])
def test_a_tap_of_a_log_without_a_folder_must_be_told_where_the_store_is(verb, run_alone):
    ended = run_alone(*verb, "--log", "kafka://127.0.0.1:1")
    assert (ended.code, "set lineage to a path" in ended.err) == (2, True)


def address(process):
    return process.stdout.readline().split()[-1]


@pytest.mark.slow
def test_sigterm_lets_a_model_gateway_finish_its_calls_and_hand_over(
    parts, run_alone, body, tmp_path, eventually, monkeypatch
):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    processes = {part: parts(part) for part in PARTS[1:]}
    pages = {part: address(process) for part, process in processes.items()}
    held = (tmp_path / "numbers.yaml").read_text().replace("cli_models:double", "cli_models:hold")
    (tmp_path / "held.yaml").write_text(held.replace("inline: true", "inline: false"))
    assert run_alone("load", "held.yaml").code == 0
    assert run_alone("status", "numbers", "--wait", "20").code == 0
    assert run_alone("infer", "numbers", body(2), "--request-id", "r1", "--async").code == 0
    eventually(lambda: 'dfml_calls_in_flight{model="double"} 1' in read(pages["model-gateway"] + "/metrics"))
    processes["model-gateway"].send_signal(signal.SIGTERM)
    eventually(lambda: "it is stopping" in read(pages["model-gateway"] + "/readyz"))
    (tmp_path / "go").touch()
    assert processes["model-gateway"].wait(timeout=20) == 0
    assert "it waits for model 'sort'" in run_alone("answer", "numbers", "r1").err  # the slow call has been answered
    parts("model-gateway")
    assert run_alone("answer", "numbers", "r1", "--wait", "20").code == 0


@pytest.mark.slow
def test_a_process_that_cannot_finish_in_time_leaves_the_rest_to_the_next(
    parts, run_alone, body, tmp_path, eventually, monkeypatch
):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("DFML_DRAIN_TIMEOUT_MS", "200")
    processes = {part: parts(part) for part in PARTS[1:]}
    for process in processes.values():
        address(process)
    hanging = (tmp_path / "numbers.yaml").read_text().replace("cli_models:double", "cli_models:hang_once")
    (tmp_path / "hanging.yaml").write_text(hanging.replace("inline: true", "inline: false"))
    assert run_alone("load", "hanging.yaml").code == 0
    assert run_alone("status", "numbers", "--wait", "20").code == 0
    assert run_alone("infer", "numbers", body(2), "--request-id", "r1", "--async").code == 0
    eventually((tmp_path / "called").exists)
    processes["model-gateway"].send_signal(signal.SIGTERM)
    assert processes["model-gateway"].wait(timeout=10) == 0
    parts("model-gateway")
    assert run_alone("answer", "numbers", "r1", "--wait", "20").code == 0


@pytest.mark.slow
def test_a_second_signal_ends_at_once_and_the_next_process_finishes_what_was_under_way(
    parts, run_alone, body, tmp_path, eventually, monkeypatch
):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    processes = {part: parts(part) for part in PARTS[1:]}
    pages = {part: address(process) for part, process in processes.items()}
    hanging = (tmp_path / "numbers.yaml").read_text().replace("cli_models:double", "cli_models:hang_once")
    (tmp_path / "hanging.yaml").write_text(hanging.replace("inline: true", "inline: false"))
    assert run_alone("load", "hanging.yaml").code == 0
    assert run_alone("status", "numbers", "--wait", "20").code == 0
    assert run_alone("infer", "numbers", body(2), "--request-id", "r1", "--async").code == 0
    eventually((tmp_path / "called").exists)
    first = processes["model-gateway"]
    first.send_signal(signal.SIGTERM)
    eventually(lambda: "it is stopping" in read(pages["model-gateway"] + "/readyz"))
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=5) == 130
    parts("model-gateway")
    assert run_alone("answer", "numbers", "r1", "--wait", "20").code == 0


@pytest.mark.slow
def test_the_answers_of_a_gateway_that_was_killed_are_found_at_the_other(
    parts, run_alone, body, tmp_path, eventually, monkeypatch
):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("DFML_PARTITIONS", "2")
    processes = [parts(part, "--log", TWO) for part in (*PARTS[1:], "pipeline-gateway")]
    *_, doomed, other = [address(process) for process in processes]
    assert run_alone("load", "numbers.yaml", "--log", TWO).code == 0
    eventually(lambda: all(json.loads(read(f"{url}/readyz"))["ready"] for url in (doomed, other)))
    eventually(lambda: run_alone("status", "numbers", "--log", TWO).code == 0)
    accepted = []
    for value in range(20):
        sent = run_alone("infer", "numbers", body(value + 20), "--async", "--url", doomed, "-o", "json")
        assert sent.code == 0
        accepted.append(sent.data["id"])
    processes[2].kill()
    found = [run_alone("answer", "numbers", each, "--wait", "20", "--url", other, "-o", "json") for each in accepted]
    assert [each.data["outputs"][0]["data"] for each in found] == [[2.0 * value + 40] for value in range(20)]


def test_who_is_at_work_is_told_by_the_log_alone_and_who_left_is_gone(parts, run_alone, tmp_path, eventually):
    engine, gateway = parts("engine"), parts("model-gateway", "--models", "d*", "--models", "sort")
    addresses = [address(engine), address(gateway)]
    shown = run_alone("status", "--workers", "--log", "sqlite:///n.db", "-o", "json").data
    assert [(each["part"], each["partitions"], each["selected"], each["url"]) for each in shown] == [
        ("engine", [0], [], addresses[0]),
        ("model-gateway", [0], ["d*", "sort"], addresses[1]),
    ]
    assert [each["pid"] for each in shown] == [engine.pid, gateway.pid]
    table = run_alone("status", "--workers", "--log", "sqlite:///n.db")
    assert "partition numbers without pipeline-gateway: 0" in table.err
    gateway.send_signal(signal.SIGTERM)
    assert gateway.wait(timeout=20) == 0
    left = run_alone("status", "--workers", "--log", "sqlite:///n.db", "-o", "json").data
    assert [each["part"] for each in left] == ["engine"]


@pytest.mark.parametrize(
    ("part", "option"), [("model-gateway", "--pipelines"), ("engine", "--models"), ("tap", "--models")]
)
def test_a_selection_is_for_its_part_alone(run_alone, part, option):
    ended = run_alone("run", part, option, "x", "--log", "sqlite:///n.db")
    assert (ended.code, f"got it for '{part}'" in ended.err) == (2, True)


def test_lines_of_log_are_objects_where_they_are_asked_for(parts, monkeypatch, tmp_path):
    monkeypatch.setenv("DFML_LOG_FORMAT", "json")
    engine = parts("engine")
    address(engine)
    engine.send_signal(signal.SIGTERM)
    assert engine.wait(timeout=20) == 0
    lines = [json.loads(line) for line in (tmp_path / "engine.err").read_text().splitlines()]
    assert {(line["part"], line["worker"].endswith(f"-{engine.pid}")) for line in lines} == {("engine", True)}
    assert "partition numbers: gained [0], lost []" in [line["message"] for line in lines]
