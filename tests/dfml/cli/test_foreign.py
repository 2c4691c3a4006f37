"""A tap beside a foreign Seldon installation on Kafka, and the verbs on what it kept."""

import os
import signal
import subprocess
import sys
import uuid

import numpy as np
import pytest

from dfml.log import TopicConfig
from dfml.log.kafka import KafkaLog
from dfml.settings import KafkaOptions
from dfml.topics import Topics
from tests.dfml.lineage.conftest import CLAIMS
from tests.dfml.lineage.seldon_topics import BAD_AMOUNT, SeldonTopics

N_CLAIMS = 150
START_MS = 1_700_000_000_000
MIDDLE_MS = START_MS + 1_000_000


@pytest.fixture(scope="module")
def topics():
    return Topics(prefix="mlops.seldon", namespace=f"t{uuid.uuid4().hex[:8]}")


@pytest.fixture(scope="module")
def tapped(kafka_address, topics, tmp_path_factory):
    """Write two windows of claims, the second by a broken model, keep them by a tap, and stop it."""
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "claims.yaml").write_text(CLAIMS)
    seldon = SeldonTopics(kafka_address.removeprefix("kafka://"), topics, START_MS)
    rng = np.random.default_rng(1)
    for window, factor in ((START_MS, 1.05), (MIDDLE_MS, 1.6)):
        seldon.now_ms, seldon.factor = window, factor
        for number, amount in enumerate(rng.uniform(20, 180, N_CLAIMS)):
            seldon.claim(f"{window}-{number}", float(amount))
    seldon.claim("bad", BAD_AMOUNT)
    seldon.flush()
    place = {"DFML_PREFIX": topics.prefix, "DFML_NAMESPACE": topics.namespace}
    env = {"DFML_LOG": kafka_address, "DFML_LINEAGE": str(folder / "store.db"), **place}
    command = [sys.executable, "-m", "dfml", "run", "tap", "--load", "claims.yaml"]
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, cwd=folder, env={**os.environ, **env, **paths}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as tap:
        assert tap.stdout.readline().startswith(b"ready tap")
        tap.send_signal(signal.SIGTERM)
        said = tap.communicate(timeout=60)[1].decode()
    assert tap.returncode == 0, said
    return env, said


@pytest.fixture
def run(tapped, run_alone, monkeypatch):
    for name, value in tapped[0].items():
        monkeypatch.setenv(name, value)
    return run_alone


def test_the_tap_says_nothing_of_what_is_foreign(tapped):
    assert [line for line in tapped[1].splitlines() if "WARNING" in line or "ERROR" in line] == []


def test_a_foreign_request_is_traced(run):
    found = run("trace", f"{START_MS}-0", "-o", "json")
    assert found.code == 0, found.err
    names = [record["name"] for record in found.data["records"]]
    assert names[0] == "claims.inputs"
    assert names[-1] == "claims.outputs"
    assert all(record["parents"] for record in found.data["records"][1:])


def test_a_foreign_error_is_told(run):
    assert "13 brings bad luck" in run("trace", "bad").out


def test_a_window_of_foreign_requests_is_a_frame(run, tmp_path):
    found = run("frame", "claims", "--since", START_MS, "--out", "claims.csv")
    assert found.code == 0, found.err
    lines = (tmp_path / "claims.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 * N_CLAIMS + 1
    assert "value.outputs.value" in lines[0]


def test_foreign_records_have_the_fates_that_the_others_imply(run):
    found = run("audit", "claims", "--since", START_MS, "-o", "json")
    assert found.code == 0, found.out
    counts = found.data["counts"]
    assert (counts["unaccounted"], counts["failed"], counts["answered"]) == (0, 1, 2 * N_CLAIMS + 1)


def test_the_broken_model_of_a_foreign_installation_is_found(run):
    windows = ("--reference", f"{START_MS}..{MIDDLE_MS}", "--current", f"{MIDDLE_MS}..{MIDDLE_MS + 1_000_000}")
    found = run("localise", "claims", *windows, "--target", "claims.outputs.payout", "-o", "json")
    assert found.data["suspects"][0]["step"] == "value", found.err


def test_documents_are_not_taken_where_specs_are_loaded(tapped, kafka_address, topics, tmp_path):
    ours = Topics(topics.prefix, f"{topics.namespace}-ours")
    with KafkaLog(KafkaOptions(kafka_address.removeprefix("kafka://"))) as log:
        log.create_topics([TopicConfig(ours.specs)])
    (tmp_path / "claims.yaml").write_text(CLAIMS)
    paths = {"PYTHONPATH": os.pathsep.join(sys.path), "DFML_LINEAGE": str(tmp_path / "x.db")}
    env = {**os.environ, **tapped[0], **paths, "DFML_NAMESPACE": ours.namespace}
    command = [sys.executable, "-m", "dfml.lineage.tap_process", "--load", "claims.yaml"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "load them with 'dfml load'" in done.stderr
