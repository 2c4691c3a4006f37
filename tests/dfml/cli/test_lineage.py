import pandas as pd
import pytest


@pytest.fixture
def asked(run, body, eventually):
    """Send a request and wait until the tap has its answer."""

    def ask(request: str, value: float) -> None:
        run("infer", "numbers", body(value), "--request-id", request)
        eventually(lambda: run("trace", request, "-o", "json").code == 0)
        eventually(lambda: run("trace", request, "-o", "json").data["status"] != "open")

    return ask


def test_a_trace_holds_every_record_of_the_request(run, asked):
    asked("t1", 3)
    found = run("trace", "t1", "-o", "json").data
    assert [each["name"] for each in found["records"]] == [
        "numbers.inputs", "double.inputs", "double.outputs", "sort.inputs", "sort.outputs", "numbers.outputs",
    ]  # fmt: skip
    assert "t1  numbers  answered" in run("trace", "t1").out


def test_an_unknown_request_is_not_found(run, asked):
    asked("t2", 3)
    assert run("trace", "nobody").code == 1


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("numbers.inputs", ["numbers.inputs"]),
        ("numbers.outputs", ["numbers.outputs"]),
        ("numbers.step.double", ["double.inputs", "double.outputs"]),
        ("numbers.double.inputs", ["double.inputs"]),
        ("numbers.step.sort.outputs.small", ["sort.outputs"]),
        ("numbers.step.sort.outputs.large", []),
    ],
)
def test_expressions_choose_topics_and_tensors(run, asked, expression, names):
    asked("i1", 3)
    found = run("inspect", expression, "--request-id", "i1", "-o", "json")
    assert [each["name"] for each in found.data] == names


def test_a_tensor_is_shown_alone_with_its_value(run, asked):
    asked("i2", 4)
    (found,) = run("inspect", "numbers.step.sort.outputs.small", "--request-id", "i2", "-o", "json").data
    assert found["tensors"] == [{"name": "small", "datatype": "FP64", "shape": [1], "data": [8.0], "n_left_out": 0}]


def test_the_newest_records_are_shown_by_time_and_bounded(run, asked):
    asked("i3", 4)
    asked("i4", 4)
    found = run("inspect", "numbers.outputs", "--limit", "2", "-o", "json").data
    assert [each["request"] for each in found] == ["i3", "i4"]
    assert len(run("inspect", "numbers", "--limit", "5", "-o", "json").data) == 5


def test_time_bounds_are_kept(run, asked):
    asked("i5", 4)
    assert run("inspect", "numbers", "--until", "2020-01-01", "-o", "json").data == []
    assert run("requests", "numbers", "--since", "now", "-o", "json").data == []


def test_errors_belong_to_the_pipeline(run, asked):
    asked("i6", 13)
    (found,) = run("inspect", "numbers.errors", "--request-id", "i6", "-o", "json").data
    assert found["name"] == "double.errors"
    assert "thirteen" in found["text"]
    assert "thirteen" in run("inspect", "numbers.double.errors").out


@pytest.mark.parametrize(
    ("expression", "code", "words"),
    [
        ("nobody", 1, "pipeline 'nobody': no record"),
        ("numbers.dubble", 1, "did you mean 'double'"),
        ("numbers..x", 2, "expected pipeline"),
    ],
)
def test_what_does_not_exist_is_said_with_what_does(run, asked, expression, code, words):
    asked("i7", 4)
    found = run("inspect", expression)
    assert found.code == code
    assert words in found.err


def test_requests_are_listed_with_how_they_ended(run, asked):
    asked("r1", 4)
    asked("r2", 13)
    found = {each["request"]: each["status"] for each in run("requests", "numbers", "-o", "json").data}
    assert (found["r1"], found["r2"]) == ("answered", "failed")
    newest = run("requests", "numbers", "--limit", "1").out.splitlines()[-1]
    assert newest.startswith("r2")
    assert "thirteen brings bad luck" in newest


def test_requests_of_an_unknown_pipeline_are_not_found(run, asked):
    asked("r3", 4)
    found = run("requests", "number")
    assert found.code == 1
    assert "did you mean 'numbers'" in found.err


@pytest.mark.parametrize(("name", "read"), [("f.csv", pd.read_csv), ("f.parquet", pd.read_parquet)])
def test_a_frame_is_written_with_a_row_per_request(run, asked, tmp_path, name, read):
    asked("f1", 4)
    found = run("frame", "numbers", "--since", "-1h", "--out", name, "-o", "json")
    table = read(tmp_path / name)
    assert found.data["requests"] == len(table)
    assert "sort.outputs.small" in table.columns


def test_a_frame_needs_a_known_kind_of_file(run):
    assert run("frame", "numbers", "--since", "-1h", "--out", "f.xlsx").code == 2


def test_every_record_is_accounted_for(run, asked):
    asked("a1", 4)
    found = run("audit", "numbers", "--since", "-1h", "-o", "json")
    assert (found.code, found.data["unaccounted"]) == (0, 0)
    assert "unaccounted = 0" in run("audit", "numbers").out
