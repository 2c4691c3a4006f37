"""The income classifier: does an applicant earn over 50,000; is the application odd; has the population drifted.

The applicants are synthetic, so the truth is known: ``generator.py`` has their distribution. The artefacts are made
from its draws, in some seconds, and loaded only from where the operator allows it::

    python -m experiments.apps.income.train --out build/income
    DFML_ARTEFACT_PATHS=build/income dfml up --load experiments/apps/income/pipeline.yaml

``pipeline.yaml`` draws the steps; ``models.py`` holds those that are no artefacts; ``faults.py`` has the ways in which
it goes wrong.
"""
