import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dfml.errors import ConflictError, LogUnavailableError, NotFoundError
from dfml.running import RunningStack, announce, find_stack, running_stacks, stacks_folder

STACK = RunningStack(os.getpid(), "sqlite:////x.db", "http://127.0.0.1:1", "/x.lineage.db", "seldon", "default", 5)
CHILD = """
import os, sys
from dfml.running import RunningStack, announce
with announce(RunningStack(os.getpid(), "sqlite:////child.db", "http://h", "", "p", "n", 1), os.environ):
    print("announced", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"XDG_RUNTIME_DIR": str(tmp_path)}


def test_an_announced_stack_is_found_until_its_block_ends(env: dict[str, str]) -> None:
    with announce(STACK, env) as file:
        assert find_stack(env) == STACK
        assert file == stacks_folder(env) / f"{os.getpid()}.json"
    assert running_stacks(env) == []
    assert not file.exists()


def test_the_stack_of_a_killed_process_is_passed_over_and_its_file_removed(env: dict[str, str]) -> None:
    command = [sys.executable, "-c", CHILD]
    with subprocess.Popen(command, env={**os.environ, **env}, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdout.readline() == b"announced\n"
        assert [stack.log for stack in running_stacks(env)] == ["sqlite:////child.db"]
        child.send_signal(signal.SIGKILL)
    assert running_stacks(env) == []
    assert list(stacks_folder(env).iterdir()) == []


def test_several_running_stacks_are_listed_with_the_option_that_chooses(env: dict[str, str]) -> None:
    other = replace(STACK, pid=STACK.pid + 1, log="sqlite:////y.db")
    with announce(STACK, env), announce(other, env), pytest.raises(ConflictError, match="2 stacks run") as error:
        find_stack(env)
    assert "--log sqlite:////x.db" in str(error.value)
    assert "--log sqlite:////y.db" in str(error.value)


def test_gateways_of_one_namespace_are_one_stack(env: dict[str, str]) -> None:
    other = replace(STACK, pid=STACK.pid + 1, rest_url="http://127.0.0.1:2")
    with announce(STACK, env), announce(other, env):
        assert find_stack(env) in {STACK, other}


def test_stacks_of_two_namespaces_on_one_log_are_listed_with_the_variables_that_choose(env: dict[str, str]) -> None:
    other = replace(STACK, pid=STACK.pid + 1, namespace="other")
    with announce(STACK, env), announce(other, env), pytest.raises(ConflictError, match="2 stacks run") as error:
        find_stack(env)
    assert "DFML_PREFIX=seldon DFML_NAMESPACE=other --log sqlite:////x.db" in str(error.value)


def test_no_running_stack_says_how_to_start_one(env: dict[str, str]) -> None:
    with pytest.raises(NotFoundError, match="start one with 'dfml up'"):
        find_stack(env)


def test_a_file_of_another_version_is_left_out(env: dict[str, str]) -> None:
    with announce(STACK, env) as file:
        file.write_text('{"pid": 1}')
        assert running_stacks(env) == []


def test_a_folder_that_others_can_write_to_is_refused(env: dict[str, str]) -> None:
    folder = stacks_folder(env).parent
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(LogUnavailableError, match="others may write"), announce(STACK, env):
        pass


def test_the_folder_follows_the_environment() -> None:
    assert stacks_folder({"TMPDIR": "/t"}) == Path(f"/t/dfml-{os.getuid()}/stacks")
    assert stacks_folder({}) == Path(f"/tmp/dfml-{os.getuid()}/stacks")
