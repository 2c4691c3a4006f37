def test_what_is_loaded_is_listed_with_its_state(run):
    found = {(each["kind"], each["name"]): each["ready"] for each in run("list", "-o", "json").data}
    assert found.items() >= {("Model", "double"): True, ("Model", "sort"): True, ("Pipeline", "numbers"): True}.items()


def test_the_table_holds_the_same(run):
    lines = run("list").out.splitlines()
    assert [word in line for line in lines for word in ["numbers"]].count(True) == 1
    assert lines[0].split() == ["kind", "name", "version", "status"]


def test_status_waits_for_a_resource_to_be_ready(run, shared_stack):
    model = (shared_stack.folder / "numbers.yaml").read_text().split("---")[0].replace("name: double", "name: late")
    (shared_stack.folder / "late.yaml").write_text(model)
    assert run("load", shared_stack.folder / "late.yaml", "-o", "json").data == [
        {"kind": "Model", "name": "late", "version": 1}
    ]
    found = run("status", "late", "--wait", "10", "-o", "json")
    assert found.code == 0
    assert found.data[0]["ready"] is True


def test_an_unloaded_resource_is_gone(run, shared_stack):
    text = (shared_stack.folder / "numbers.yaml").read_text().split("---")[0].replace("name: double", "name: passing")
    (shared_stack.folder / "passing.yaml").write_text(text)
    assert run("load", shared_stack.folder / "passing.yaml").code == 0
    assert run("unload", "model", "passing").code == 0
    found = run("status", "passing")
    assert found.code == 1
    assert "nothing is loaded under the name 'passing'" in found.err


def test_loading_the_same_again_keeps_the_version(run, shared_stack):
    found = run("load", shared_stack.folder / "numbers.yaml", "-o", "json")
    assert {each["version"] for each in found.data if each["name"] == "numbers"} == {1}


def test_what_was_loaded_before_does_not_begin_anew_and_the_user_is_told(run, shared_stack):
    found = run("load", shared_stack.folder / "numbers.yaml", "--from-beginning")
    assert found.code == 0
    assert "pipeline numbers goes on where it was; unload it first" in found.err


def test_a_model_that_cannot_be_loaded_is_not_ready_and_says_why(run, shared_stack):
    text = (shared_stack.folder / "numbers.yaml").read_text().split("---")[0]
    (shared_stack.folder / "absent.yaml").write_text(
        text.replace("name: double", "name: absent").replace(":double", ":no")
    )
    assert run("load", shared_stack.folder / "absent.yaml").code == 0
    found = run("status", "absent", "--wait", "2")
    assert found.code == 1
    assert "absent was not ready after 2 s" in found.err
    assert run("unload", "Model", "absent").code == 0


def test_every_finding_of_a_wrong_document_is_told(run, tmp_path):
    (tmp_path / "bad.yaml").write_text(
        "apiVersion: mlops.seldon.io/v1alpha1\nkind: Model\nmetadata: {nam: x}\nspec: {storageUri: 5}\n"
    )
    found = run("load", "bad.yaml")
    assert found.code == 2
    assert found.out == ""
    assert "nam" in found.err
    assert "storageUri" in found.err


def test_unloading_what_is_not_loaded_fails(run):
    assert run("unload", "pipeline", "nobody").code == 1


def test_a_log_that_does_not_exist_is_not_made(run_alone, tmp_path):
    found = run_alone("list", "--log", "sqlite:///gone.db")
    assert found.code == 1
    assert "there is no log gone.db" in found.err
    assert not (tmp_path / "gone.db").exists()


def test_without_a_running_stack_it_is_said_how_to_start_one(run_alone):
    found = run_alone("list")
    assert found.code == 1
    assert "start one with 'dfml up'" in found.err


def test_where_no_stack_runs_nothing_is_ready(start, run_alone):
    up = start("--no-tap", "--load", "numbers.yaml")
    up.ready_url()
    up.end()
    found = run_alone("list", "--log", "sqlite:///n.db", "-o", "json")
    assert {each["reason"] for each in found.data} == {"no stack runs on this log"}
    assert not any(each["ready"] for each in found.data)


def test_what_a_pipeline_still_waits_for_is_said(run, shared_stack):
    text = (shared_stack.folder / "numbers.yaml").read_text().rpartition("---")[2]
    text = text.replace("numbers", "waiting").replace("double", "unwritten")
    (shared_stack.folder / "waiting.yaml").write_text(text)
    found = run("load", shared_stack.folder / "waiting.yaml")
    assert (found.code, found.err) == (0, "Pipeline waiting waits for model unwritten\n")
    assert run("unload", "pipeline", "waiting").code == 0
