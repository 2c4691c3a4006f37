"""The live suite records each app's faults in a running stack."""

import pytest

from dfml_analysis.evaluate.run import ask
from experiments.apps.catalogue import APPS
from experiments.apps.live import live_cases


def test_every_fault_of_every_app_is_a_case_of_each_seed():
    conditions = [case.condition for case in live_cases([0, 1])]
    assert len(conditions) == 2 * sum(len(app.faults) for app in APPS.values())
    assert {"insurance_claims none", "income gate", "road_counter dirt"} <= set(conditions)


@pytest.mark.slow
def test_a_fault_planted_in_a_running_stack_is_found():
    case = next(case for case in live_cases([0], quick=True) if case.condition == "insurance_claims classifier")
    posed = case.pose()
    assert posed.truth == ("classifier",)
    assert len(posed.problem.reference) == len(posed.problem.current) == 120
    answer = ask(case, posed, "dfml")
    assert (answer.suspects[0], answer.verdict) == ("classifier", "fault")
    assert case.pose() is posed
