import json
import os
import random
import subprocess
import sys
import time

import pytest

from dfml.cli.question import Asked, ask

KEYS = {"verdict", "suspects", "method", "seed", "seconds", "status"}
SUSPECT_KEYS = {"step", "variable", "kind", "score", "p_value"}


@pytest.fixture
def tables(tmp_path):
    rng = random.Random(1)
    (tmp_path / "g.yaml").write_text("x: []\ny: [x]\nz: [y]\n")
    for name, moved_by in (("n.csv", 0.0), ("f.csv", 2.0)):
        lines = ["x,y,z"]
        for _ in range(200):
            x = rng.gauss(0, 1)
            y = 2 * x + moved_by + rng.gauss(0, 1)
            lines.append(f"{x},{y},{y + rng.gauss(0, 1)}")
        (tmp_path / name).write_text("\n".join(lines))
    return ("--graph", "g.yaml", "--reference", "n.csv", "--current", "f.csv", "--target", "z")


def test_tables_are_localised_without_any_stack(run_alone, tables):
    found = run_alone("localise", *tables, "-o", "json")
    assert found.code == 0
    assert (found.data["verdict"], found.data["suspects"][0]["variable"]) == ("fault", "y")


def test_the_json_has_exactly_the_documented_keys(run_alone, tables):
    found = run_alone("localise", *tables, "-o", "json", "--seed", "7").data
    assert set(found) == KEYS
    assert found["seed"] == 7
    assert all(set(suspect) == SUSPECT_KEYS for suspect in found["suspects"])


def test_other_methods_answer_in_the_same_form(run_alone, tables):
    found = run_alone("localise", *tables, "--method", "marginal_ks", "-o", "json").data
    assert set(found) == KEYS
    assert found["method"] == "marginal_ks"


def test_the_table_says_the_verdict_first(run_alone, tables):
    found = run_alone("localise", *tables)
    assert "y" in found.out.splitlines()[0]
    assert found.code == 0


def test_a_reader_that_has_seen_enough_is_no_error(tables, tmp_path):
    end, start = os.pipe()
    os.close(end)
    try:
        command = [sys.executable, "-m", "dfml", "localise", *tables, "-o", "json"]
        ended = subprocess.run(command, stdout=start, stderr=subprocess.PIPE, cwd=tmp_path, text=True, check=False)
    finally:
        os.close(start)
    assert (ended.returncode, ended.stderr) == (1, "")


def test_a_report_of_tables_is_written_and_named(run_alone, tables, tmp_path):
    found = run_alone("report", *tables, "--out", "r.html", "-o", "json")
    assert set(found.data) == KEYS | {"out"}
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "r.html").as_uri() in found.err


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"--graph": "gone.yaml"}, "graph gone.yaml"),
        ({"--current": "gone.csv"}, "table gone.csv"),
        ({"--target": "w"}, "'w'"),
        ({"--method": "guess"}, "method 'guess' does not exist"),
    ],
)
def test_wrong_input_is_one_line_and_code_2(run_alone, tables, changed, words):
    options = dict(zip(tables[::2], tables[1::2], strict=True)) | changed
    found = run_alone("localise", *[part for option in options.items() for part in option])
    assert (found.code, found.out) == (2, "")
    assert words in found.err
    assert "Traceback" not in found.err


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [
        ("--graph", "x: [z]\ny: [x]\nz: [y]\n", "is a cycle"),
        ("--graph", "x: [\n", "it is not YAML"),
        ("--graph", "- x\n", "expected a mapping of each node"),
        ("--current", "", "it cannot be read"),
        ("--current", "x,y,z\n", "it has 0 rows"),
        ("--current", "x,y,z\n1,2\n1,2,3,4,5\n", "Expected 3 fields in line 3, saw 5"),
        ("--current", "a,b\n1,2\n", "share no column"),
        ("--current", "x,y,y,z\n1,2,3,4\n", "has the columns ['y'] more than once"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_one_line(run_alone, tables, tmp_path, option, text, words):
    (tmp_path / "odd").write_text(text)
    options = dict(zip(tables[::2], tables[1::2], strict=True)) | {option: "odd"}
    found = run_alone("localise", *[part for pair in options.items() for part in pair])
    assert (found.code, found.out, len(found.err.splitlines())) == (2, "", 1)
    assert words in found.err


def _without(options, *names):
    return [
        part
        for name, value in zip(options[::2], options[1::2], strict=True)
        if name not in names
        for part in (name, value)
    ]


def test_one_request_of_a_table_is_explained_by_the_others(run_alone, tables, tmp_path):
    (tmp_path / "n.csv").write_text((tmp_path / "n.csv").read_text() + "\n0.1,9.5,9.4\n")
    options = _without(tables, "--current", "--target")
    found = run_alone("localise", *options, "--request", "201", "-o", "json")
    assert (found.data["verdict"], found.data["suspects"][0]["variable"]) == ("fault", "y")
    assert "one request against 200 normal ones" in run_alone("localise", *options, "--request", "201").out
    ordinary = run_alone("localise", *options, "--request", "7", "-o", "json").data
    assert ordinary["verdict"] in {"no_change", "undecided"}


def test_a_request_goes_by_its_name_where_the_table_has_names(run_alone, tables, tmp_path):
    lines = (tmp_path / "f.csv").read_text().splitlines()
    named = [f"request,{lines[0]}", *(f"r{number},{line}" for number, line in enumerate(lines[1:]))]
    (tmp_path / "f.csv").write_text("\n".join([*named, "odd,0.1,9.5,9.4"]))
    found = run_alone("localise", *tables, "--request", "odd", "-o", "json").data
    assert (found["verdict"], found["suspects"][0]["variable"]) == ("fault", "y")


def test_rows_of_a_table_are_counted_from_1_wherever_they_are_named(tables, tmp_path):
    windows = (str(tmp_path / "n.csv"), str(tmp_path / "f.csv"))
    question = ask(None, Asked(None, tmp_path / "g.yaml", *windows, "z"))
    assert [*question.reference.index] == [*question.current.index] == [str(number) for number in range(1, 201)]


def test_requests_of_a_named_table_are_shown_by_their_names(run_alone, tables, tmp_path):
    for name in ("n.csv", "f.csv"):
        header, *rows = (tmp_path / name).read_text().splitlines()
        (tmp_path / name).write_text("\n".join([f"request,{header}", *(f"r{at},{row}" for at, row in enumerate(rows))]))
    found = run_alone("localise", *tables, "--detail", "-o", "json").data
    assert all(pair["guilty"].startswith("r") for pair in found["suspects"][0]["pairs"])


def test_a_request_that_is_not_there_is_told_with_what_names_one(run_alone, tables):
    found = run_alone("localise", *tables, "--request", "999")
    assert found.code == 1
    assert "has 0 such rows" in found.err


def test_neither_a_window_nor_a_request_is_told_what_is_needed(run_alone, tables):
    found = run_alone("localise", *_without(tables, "--current"))
    assert found.code == 2
    assert "--request ID for one request against normal ones" in found.err


def test_a_declared_series_answers_in_the_same_form(run_alone, tables):
    for option in ("--series", "--no-series"):
        assert set(run_alone("localise", *tables, option, "-o", "json").data) == KEYS


def test_pipeline_and_tables_exclude_each_other(run_alone, tables):
    found = run_alone("localise", "numbers", *tables)
    assert found.code == 2
    assert "give one of a pipeline" in found.err


@pytest.fixture
def two_windows(run, body, eventually, shared_stack, tmp_path):
    """Requests before and after a wrong version of a step; gives the windows as the verbs take them."""

    def send(name: str) -> str:
        rng = random.Random(name)
        lines = [body(rng.uniform(0, 10), id=f"{name}-{tmp_path.name}-{index}") for index in range(80)]
        (tmp_path / "w.jsonl").write_text("\n".join(lines))
        since_ms = time.time_ns() // 1_000_000
        assert run("infer", "numbers", "--file", "w.jsonl").code == 0
        until_ms = time.time_ns() // 1_000_000 + 1
        last = f"{name}-{tmp_path.name}-{len(lines) - 1}"
        eventually(lambda: run("trace", last, "-o", "json").code == 0)
        eventually(lambda: run("trace", last, "-o", "json").data["status"] == "answered")
        return f"{since_ms}..{until_ms}"

    reference = send("before")
    assert run("load", shared_stack.folder / "wrong.yaml").code == 0
    probe = body(9)
    eventually(lambda: json.loads(run("infer", "numbers", probe, "-o", "json").out)["outputs"][0]["name"] == "small")
    current = send("after")
    yield ("--reference", reference, "--current", current, "--target", "sort.outputs.small")
    right = (shared_stack.folder / "numbers.yaml").read_text()
    (shared_stack.folder / "again.yaml").write_text(right)
    assert run("load", shared_stack.folder / "again.yaml").code == 0
    eventually(lambda: json.loads(run("infer", "numbers", probe, "-o", "json").out)["outputs"][0]["name"] == "large")


def test_a_broken_step_of_a_running_pipeline_is_found_and_reported_with_its_requests(run, two_windows, tmp_path):
    found = run("report", "numbers", *two_windows, "--out", "r.html", "-o", "json")
    assert (found.code, found.data["verdict"]) == (0, "fault"), found.err
    assert {suspect["step"] for suspect in found.data["suspects"]} == {"sort"}
    text = (tmp_path / "r.html").read_text()
    assert "sort behaves differently." in text
    assert 'class="dfml-waterfall"' in text
    assert "reference window" in text
    assert f"--reference {two_windows[1]}" in text


def test_one_request_of_a_running_pipeline_is_explained_and_shown(run, two_windows, tmp_path):
    request = f"after-{tmp_path.name}-3"
    found = run("localise", "numbers", *two_windows[:2], *two_windows[4:], "--request", request)
    assert found.code == 0, found.err
    assert "sort" in found.out.splitlines()[0]
    assert f"dfml trace {request}" in found.out
    unknown = run("localise", "numbers", "--reference", two_windows[1], "--request", "nobody")
    assert (unknown.code, "nobody" in unknown.err) == (1, True)
    both = run("localise", "numbers", *two_windows, "--request", request)
    assert (both.code, "leave --current out" in both.err) == (2, True)


def test_a_window_without_requests_says_where_to_look(run):
    window = ("--reference", "2020-01-01..2020-01-02", "--current", "-1h..now", "--target", "x")
    found = run("localise", "numbers", *window)
    assert found.code == 1
    assert "dfml requests numbers" in found.err


def test_an_unknown_pipeline_is_told(run):
    found = run("localise", "nobody", "--reference", "-2h..-1h", "--current", "-1h..now", "--target", "x")
    assert found.code == 1
    assert "'nobody'" in found.err
