"""Peak memory is that of the work, not of what came before."""

import numpy as np
import pytest

from dfml_analysis.evaluate.memory import PeakMemory


def test_memory_that_was_taken_and_given_back_counts_and_what_came_before_does_not():
    before = np.ones(10_000_000)
    memory = PeakMemory()
    if memory.growth_mb is None:
        pytest.skip("this system does not tell how much memory a process took at its largest")
    taken = np.ones(5_000_000)
    del taken
    assert before.size
    assert 35 < memory.growth_mb < 75
