"""The engine's outputs, errors, fates and parents are the oracle's, whatever the order, the copies and the restarts."""

import tempfile
from pathlib import Path

from bench import Bench
from comparing import differences
from conftest import PROFILE
from hypothesis import given, settings
from interpreter import interpret
from oracle_models import model_of
from strategies import Case, cases


def compare(case: Case, folder: Path) -> list[str]:
    """Run the case and return what differs from the oracle, and what is unaccounted."""
    bench = Bench(folder, case.specs)
    try:
        for name, tensors in case.entries.items():
            bench.enter(name, tensors, case.partitions[name.request])
        bench.run(case.moves)
        steps = {step["name"] for spec in case.specs.values() for step in spec["steps"]}
        models = {step: model_of(step) for step in steps}
        told = interpret(case.specs, models, case.entries, bench.happenings)
        audit = bench.audit()
        lost = [f"unaccounted: {position}" for position in audit.positions]
        return differences(told, bench.written()) + lost
    finally:
        bench.close()


@settings(PROFILE)
@given(case=cases(faults=()))
def test_in_any_order(case: Case):
    with tempfile.TemporaryDirectory() as folder:
        assert compare(case, Path(folder)) == []
