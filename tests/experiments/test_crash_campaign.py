import subprocess
import sys

import pytest


def campaign(*options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "experiments.crash_campaign", "--callers", "4", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_short_campaign_finds_nothing_lost_or_doubled() -> None:
    ended = campaign("--kills", "3", "--seed", "5")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "unaccounted" in ended.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_disturbances_on_kafka_lose_and_double_nothing(kafka_address: str) -> None:
    ended = campaign("--log", kafka_address, "--kills", "10", "--seed", "4")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "10 disturbances on Kafka" in ended.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--log", "redis://host:1"), "expected sqlite, kafka or kafka://HOST:PORT"),
        (("--parts", "engine,web"), "--parts: got web"),
    ],
)
def test_what_the_campaign_cannot_do_is_refused(options: tuple[str, ...], said: str) -> None:
    ended = campaign(*options)
    assert ended.returncode == 2
    assert said in " ".join(ended.stderr.split())
