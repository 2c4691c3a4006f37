import os
import signal
from pathlib import Path

import httpx


def announced(folder: Path) -> list[Path]:
    return list((folder / "run" / f"dfml-{os.getuid()}" / "stacks").glob("*.json"))


def test_the_ready_line_is_where_requests_are_answered(start, body):
    up = start("--load", "numbers.yaml")
    answer = httpx.post(f"{up.ready_url()}/v2/pipelines/numbers/infer", content=body(2))
    assert answer.json()["outputs"][0]["data"] == [4.0]


def test_sigterm_drains_exits_0_and_takes_the_announcement_back(start, tmp_path):
    up = start()
    up.ready_url()
    assert len(announced(tmp_path)) == 1
    assert up.end(signal.SIGTERM) == 0
    assert announced(tmp_path) == []
    assert "INFO" not in (tmp_path / "up.err").read_text()


def test_ctrl_c_drains_too(start):
    up = start("--no-tap")
    up.ready_url()
    assert up.end(signal.SIGINT) == 0


def test_a_second_stack_on_the_log_says_who_holds_it(start, tmp_path):
    first = start()
    url = first.ready_url()
    second = start()
    assert second.process.wait(timeout=30) == 1
    said = (tmp_path / "up.err").read_text()
    assert f"held by process {first.process.pid}, which answers at {url}" in said
    assert "Traceback" not in said


def test_a_wrong_document_is_refused_before_anything_starts(start, tmp_path):
    (tmp_path / "bad.yaml").write_text("kind: Pipeline\n")
    up = start("--load", "bad.yaml")
    assert up.process.wait(timeout=30) == 2
    assert "bad.yaml" in (tmp_path / "up.err").read_text()
    assert not (tmp_path / "n.db").exists()


def test_without_the_tap_lineage_verbs_say_how_to_have_it(start, run_alone, tmp_path, monkeypatch):
    up = start("--no-tap", "--load", "numbers.yaml")
    up.ready_url()
    monkeypatch.setenv("XDG_RUNTIME_DIR", up.env["XDG_RUNTIME_DIR"])
    found = run_alone("requests", "numbers")
    assert found.code == 1
    assert "unless it is told --no-tap" in found.err


def test_a_wrong_setting_is_refused_with_its_place(start, tmp_path):
    (tmp_path / "dfml.yaml").write_text("rest_prt: 1\n")
    up = start()
    assert up.process.wait(timeout=30) == 2
    assert "dfml.yaml:1: no such setting 'rest_prt'; did you mean 'rest_port'?" in (tmp_path / "up.err").read_text()


def test_a_second_signal_leaves_at_once(start, run_alone, body, tmp_path, eventually):
    up = start("--load", "numbers.yaml")
    url = up.ready_url()
    hanging = (tmp_path / "wrong.yaml").read_text().replace("sort_wrong", "hang").replace("true", "false")
    (tmp_path / "hang.yaml").write_text(hanging)
    assert run_alone("load", "hang.yaml").code == 0
    ask = {"content": body(2), "headers": {"prefer": "respond-async"}}
    assert httpx.post(f"{url}/v2/pipelines/numbers/infer", **ask).status_code == 202
    up.process.send_signal(signal.SIGINT)
    eventually(lambda: "once more leaves at once" in (tmp_path / "up.err").read_text())
    assert up.end(signal.SIGINT) == 130
