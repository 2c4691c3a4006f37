"""Which stack a verb talks to where several namespaces are on one log."""

import os

import pytest

from dfml.running import RunningStack, announce

LOG = "kafka://127.0.0.1:1"


@pytest.fixture
def two_namespaces(run_alone):
    """Announce stacks of two namespaces on one log; their stores, which are not there, tell which was chosen."""
    stacks = [
        RunningStack(os.getpid() + at, LOG, "http://127.0.0.1:1", f"/{name}.db", "seldon", name, 1)
        for at, name in enumerate(("one", "two"))
    ]
    with announce(stacks[0], os.environ), announce(stacks[1], os.environ):
        yield run_alone


@pytest.mark.parametrize("namespace", ["one", "two"])
def test_the_namespace_chooses_between_stacks_on_one_log(two_namespaces, monkeypatch, namespace):
    monkeypatch.setenv("DFML_NAMESPACE", namespace)
    assert f"there is no lineage store /{namespace}.db" in two_namespaces("trace", "x", "--log", LOG).err


def test_without_a_namespace_the_choice_is_shown(two_namespaces):
    assert "DFML_NAMESPACE=two --log kafka://127.0.0.1:1" in two_namespaces("trace", "x", "--log", LOG).err


def test_the_stack_of_another_namespace_is_not_taken(two_namespaces, monkeypatch):
    monkeypatch.setenv("DFML_NAMESPACE", "three")
    assert "lineage: the log kafka://127.0.0.1:1 has no folder" in two_namespaces("trace", "x", "--log", LOG).err
