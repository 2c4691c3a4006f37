"""The simulated suite has a condition for each question, and every case can be made."""

from dfml_analysis.evaluate.faults import FAULTS
from dfml_analysis.evaluate.mechanisms import FAMILIES
from dfml_analysis.evaluate.suites.simulated import simulated_cases


def test_the_catalogue_and_every_family_have_their_conditions():
    conditions = {case.condition for case in simulated_cases([0])}
    assert set(FAULTS) - {"none"} <= conditions
    assert {f"inputs shift only, {family}" for family in FAMILIES} <= conditions


def test_every_case_of_a_quick_run_can_be_made():
    for case in simulated_cases([0, 1], quick=True):
        posed = case.pose()
        assert bool(posed.truth) != case.condition.startswith("nothing"), case.condition
        assert set(posed.truth) <= set(posed.problem.graph)


def test_a_seed_is_another_pipeline_in_each_condition():
    first, second = (case.pose().problem for case in simulated_cases([0]) if case.condition in {"offset", "sign"})
    assert not first.reference.iloc[:, 0].equals(second.reference.iloc[:, 0])


def test_names_are_unique():
    cases = simulated_cases(range(3))
    assert len({(case.condition, case.name) for case in cases}) == len(cases)
