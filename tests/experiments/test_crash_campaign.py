import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_short_campaign_finds_nothing_lost_or_doubled() -> None:
    command = [sys.executable, "-m", "experiments.crash_campaign", "--kills", "3", "--callers", "4", "--seed", "5"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "unaccounted records" in ended.stdout


def test_a_log_that_the_campaign_cannot_make_is_refused() -> None:
    command = [sys.executable, "-m", "experiments.crash_campaign", "--log", "kafka://host:1"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, "expected sqlite" in ended.stderr) == (2, True)
