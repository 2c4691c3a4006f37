"""A short run of the study: the bound holds, and nothing accepted is lost."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_what_a_stalled_model_gathers_is_bounded_and_answered_when_it_goes_on():
    command = [sys.executable, "-m", "experiments.backpressure", "--seconds", "3", "--kilobytes", "50", "--bound", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "without answer: 0" in done.stdout) == (0, True), done.stderr
    accepted = int(re.search(r"accepted (\d+) requests", done.stdout)[1])
    assert 0 < accepted <= 2 * 1024 // 50 + 4
    assert "503: " in done.stdout
