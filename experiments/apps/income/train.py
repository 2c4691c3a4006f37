"""Makes the artefacts of the income classifier: ``python -m experiments.apps.income.train --out build/income``.

=============================  ========================================================================================
``preprocess.joblib``          scales the numbers, the capital gain as its logarithm, and spells the occupation in 0, 1
``classifier.joblib``          logistic regression on the columns of ``preprocess``
``outliers.joblib``            isolation forest on the same
``reference.npz``              mean and standard deviation of each of the columns
``preprocess-hours.joblib``    for a fault: made from hours per week of which half was lost
``classifier-labels.joblib``   for a fault: made from labels of which most of those that are 1 were lost
=============================  ========================================================================================
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from experiments.apps.income.generator import FIELDS, OCCUPATIONS, Applicant, draw_applicants, draw_labels

N_APPLICANTS = 20_000
N_TREES = 25
"""Few, since a request has one row and each tree costs it 0.1 ms; the odd ones are far out."""
ODD_SHARE = 0.01
"""The share of normal applications that the forest may call odd."""
LOST_LABELS = 0.7


def train(folder: Path, *, seed: int = 0, n_applicants: int = N_APPLICANTS) -> None:
    """Write all artefacts into the folder, which is made where it is missing."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    applicants = [applicant for applicant in draw_applicants(n_applicants, rng) if not applicant.is_odd]
    labels = draw_labels(applicants, rng)
    preprocess = _fit_preprocess(applicants)
    columns = preprocess.transform(_table(applicants))
    kept = np.where(rng.random(len(labels)) < LOST_LABELS, 0, labels)
    halved = [replace(applicant, hours_per_week=applicant.hours_per_week / 2) for applicant in applicants]
    forest = IsolationForest(n_estimators=N_TREES, contamination=ODD_SHARE, random_state=seed)
    made = {
        "preprocess": preprocess,
        "preprocess-hours": _fit_preprocess(halved),
        "classifier": LogisticRegression(max_iter=1000).fit(columns, labels),
        "classifier-labels": LogisticRegression(max_iter=1000).fit(columns, kept),
        "outliers": forest.fit(columns),
    }
    for name, estimator in made.items():
        joblib.dump(estimator, folder / f"{name}.joblib")
    np.savez(folder / "reference.npz", mean=columns.mean(axis=0), std=columns.std(axis=0))


def _table(applicants: Sequence[Applicant]) -> pd.DataFrame:
    return pd.DataFrame({name: [getattr(applicant, name) for applicant in applicants] for name in FIELDS})


def _fit_preprocess(applicants: Sequence[Applicant]) -> ColumnTransformer:
    steps = [
        ("numbers", StandardScaler(), ["age", "education_years", "hours_per_week"]),
        ("gain", make_pipeline(FunctionTransformer(np.log1p), StandardScaler()), ["capital_gain"]),
        ("occupation", OneHotEncoder(categories=[list(OCCUPATIONS)], handle_unknown="ignore"), ["occupation"]),
    ]
    return ColumnTransformer(steps, sparse_threshold=0).fit(_table(applicants))


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(prog="python -m experiments.apps.income.train", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("build/income"), help="the artefacts' folder")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    train(options.out, seed=options.seed)
    print(f"wrote {', '.join(sorted(path.name for path in options.out.iterdir()))} to {options.out}")


if __name__ == "__main__":
    main()
