"""The income classifier: does an applicant earn over 50,000; is the application odd; has the population drifted.

The applicants are synthetic, so the truth is known: ``generator.py`` has their distribution. None of the data sets that
scikit-learn ships is about income (iris, wine, digits, breast cancer, diabetes and linnerud; the census is a download),
and with real data nobody would know what an answer should be. The artefacts are made from the generator's draws, in
some seconds, and loaded only from where the operator allows it::

    python -m experiments.apps.income.train --out build/income
    DFML_ARTEFACT_PATHS=build/income dfml up --load experiments/apps/income/pipeline.yaml

``pipeline.yaml`` draws the steps; ``models.py`` holds those that are no artefacts; ``faults.py`` has the ways in which
it goes wrong.
"""
