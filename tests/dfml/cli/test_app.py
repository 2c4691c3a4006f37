import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from dfml.cli import app
from dfml.cli.output import complain

ROOT = Path(__file__).resolve().parents[3]
DOCS = (ROOT / "docs" / "command-line.md").read_text()
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
SLOW = ("pandas", "numpy", "dowhy", "uvicorn", "starlette", "matplotlib", "networkx", "httpx", "pydantic", "yaml")


def options_of(command: object) -> set[str]:
    found = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}  # type: ignore[attr-defined]
    return {name for name in found if name.startswith("--")} - {"--help"}


def test_help_imports_nothing_slow():
    code = "import sys\nfrom dfml.cli import app\ntry:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
    code += f"print([name for name in {SLOW} if name in sys.modules], file=sys.stderr)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert found.stderr.strip() == "[]"
    assert "localise" in found.stdout


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_shows_an_example(verb):
    assert f"Example: `dfml {verb} " in (COMMANDS[verb].help or "")


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_and_option_is_documented(verb):
    section = re.search(rf"^### `dfml {verb}\b.*?(?=^##|\Z)", DOCS, re.MULTILINE | re.DOTALL)
    assert section, f"docs/command-line.md has no section for {verb}"
    documented = set(re.findall(r"`(--[a-z-]+)", section[0]))
    common = {"--log", "--output"}
    assert options_of(COMMANDS[verb]) - common == documented - common


def test_only_verbs_that_exist_are_documented():
    assert re.findall(r"^### `dfml ([a-z]+)", DOCS, re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize("verb", [verb for verb in COMMANDS if verb not in {"up", "run", "unload"}])
def test_every_verb_that_prints_data_prints_json_too(verb):
    assert "--output" in options_of(COMMANDS[verb])


def test_an_unknown_verb_is_wrong_usage(run_alone):
    assert run_alone("lisst").code == 2


def test_an_error_is_one_line_and_debug_shows_where(run_alone):
    quiet = run_alone("list")
    assert (quiet.code, len(quiet.err.splitlines())) == (1, 1)
    assert "Traceback" not in quiet.err
    command = [sys.executable, "-m", "dfml.cli", "--debug", "list", "--log", "sqlite:///gone.db"]
    loud = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert "Traceback" in loud.stderr
    assert loud.returncode == 1


def test_settings_come_from_the_named_file(run_alone, tmp_path):
    (tmp_path / "other.yaml").write_text("log: sqlite:///elsewhere.db\n")
    found = run_alone("--config", "other.yaml", "list")
    assert "there is no log elsewhere.db" in found.err


def test_the_environment_names_the_log(run_alone, monkeypatch):
    monkeypatch.setenv("DFML_LOG", "sqlite:///from-env.db")
    assert "there is no log from-env.db" in run_alone("list").err


def test_a_wrong_setting_is_wrong_usage(run_alone, monkeypatch):
    monkeypatch.setenv("DFML_TAP", "perhaps")
    found = run_alone("list")
    assert found.code == 2
    assert "environment variable DFML_TAP: got 'perhaps', expected true or false" in found.err


def test_several_running_stacks_are_told_apart(start, run_alone, tmp_path):
    first, second = start("--no-tap"), start("--no-tap", "--log", "sqlite:///other.db")
    first.ready_url(), second.ready_url()
    found = run_alone("list")
    assert found.code == 1
    assert f"--log sqlite:///{tmp_path}/n.db" in found.err
    assert f"--log sqlite:///{tmp_path}/other.db" in found.err
    assert run_alone("list", "--log", "sqlite:///other.db", "-o", "json").data == []


def test_the_version_is_told(run_alone):
    assert re.fullmatch(r"dfml \d+\.\d+\.\d+\n", run_alone("--version").out)


def test_complaints_go_to_stderr(capsys):
    complain("no")
    assert capsys.readouterr() == ("", "error: no\n")


def test_a_missing_extra_is_named(tmp_path):
    code = "import sys; sys.modules['pandas'] = None\nfrom dfml.cli import app\napp(sys.argv[1:])"
    (tmp_path / "g.yaml").write_text("x: []\n")
    (tmp_path / "t.csv").write_text("x\n1\n")
    tables = ["--graph", "g.yaml", "--reference", "t.csv", "--current", "t.csv", "--target", "x"]
    paths = os.pathsep.join(str(ROOT / part) for part in ("", "engine", "analysis"))
    command = [sys.executable, "-c", code, "localise", *tables]
    found = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, check=False, env={**os.environ, "PYTHONPATH": paths}
    )
    assert found.returncode == 1
    assert "pip install 'dfml[analysis]'" in found.stderr
