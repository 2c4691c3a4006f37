"""What can go wrong with the income classifier, each a switch with a known culprit.

A fault in a step is a new version of its model, loaded while the pipeline runs (``rollouts/``): another artefact that
the training makes, or another limit. A fault of the caller changes the applicants before they are sent.
"""

from dataclasses import replace
from pathlib import Path

from experiments.apps.fault import Fault
from experiments.apps.income.generator import Applicant

APP = Path(__file__).parent
PIPELINE = "income"
TARGET = "income.outputs.predict_proba[1]"
"""The variable whose change is to be explained: the probability of earning over 50,000."""
ARTEFACTS = Path("build/income")
"""Where the documents look for the artefacts, from the folder that the stack is started in."""

RECESSION_HOURS = 0.7


def _in_recession(applicant: Applicant) -> Applicant:
    return replace(applicant, hours_per_week=round(applicant.hours_per_week * RECESSION_HOURS), capital_gain=0.0)


_ALL: tuple[Fault[Applicant], ...] = (
    Fault("none", "nothing changes", "no_change"),
    Fault(
        "preprocess",
        "a new version of preprocess scales hours per week by what they were when half was lost",
        "fault",
        "preprocess",
        "value",
        APP / "rollouts" / "preprocess.yaml",
    ),
    Fault(
        "classifier",
        "a new version of the classifier was trained on labels of which many were lost",
        "fault",
        "income-classifier",
        "value",
        APP / "rollouts" / "classifier.yaml",
    ),
    Fault(
        "gate",
        "a new version of the outlier gate calls many applications odd",
        "fault",
        "outlier-gate",
        "value",
        APP / "rollouts" / "gate.yaml",
    ),
    Fault("recession", "applicants work less and gain nothing", "input_shift", PIPELINE, "input", alter=_in_recession),
)
FAULTS = {fault.name: fault for fault in _ALL}
"""Every switch by its name."""
