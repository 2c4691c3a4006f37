"""Synthetic applicants with a known probability of earning over 50,000, reproducible by seed.

===================  ==================================================================================================
``age``              normal, mean 40, standard deviation 12, limited to 18 .. 80, years
``education_years``  normal, 12 and 2.5, limited to 8 .. 20
``hours_per_week``   normal, 40 and 10, limited to 5 .. 70
``capital_gain``     0 with probability 0.85, else log-normal, median 4,000, sigma 0.8, limited to 40,000
``occupation``       clerical, craft, manager, professional, service with probability 0.25, 0.2, 0.15, 0.2, 0.2
odd                  in 3 % of the applications age, education and hours are typed three times too large
===================  ==================================================================================================

All are independent. The probability is the logistic function of
``-1.6 + 0.04 (age - 40) + 0.35 (education_years - 12) + 0.05 (hours_per_week - 40) + 0.2 log(1 + capital_gain)
+ effect of the occupation``, where the effects are 0, -0.3, 1.2, 0.9 and -0.9.
"""

from dataclasses import dataclass, fields

import numpy as np

from experiments.apps.income.models import Tensors

OCCUPATIONS = ("clerical", "craft", "manager", "professional", "service")
OCCUPATION_PROBABILITIES = (0.25, 0.2, 0.15, 0.2, 0.2)
OCCUPATION_EFFECTS = dict(zip(OCCUPATIONS, (0.0, -0.3, 1.2, 0.9, -0.9), strict=True))
GAIN_PROBABILITY, GAIN_MEDIAN, GAIN_SIGMA, GAIN_MAX = 0.15, 4_000.0, 0.8, 40_000.0
ODD, ODD_FACTOR = 0.03, 3.0


@dataclass(frozen=True, slots=True)
class Applicant:
    """One application, as its caller sends it."""

    age: float
    education_years: float
    hours_per_week: float
    capital_gain: float
    occupation: str
    is_odd: bool = False

    @property
    def probability(self) -> float:
        """How probable it is that this applicant earns over 50,000."""
        logit = (
            -1.6
            + 0.04 * (self.age - 40)
            + 0.35 * (self.education_years - 12)
            + 0.05 * (self.hours_per_week - 40)
            + 0.2 * np.log1p(self.capital_gain)
            + OCCUPATION_EFFECTS[self.occupation]
        )
        return float(1 / (1 + np.exp(-logit)))


FIELDS = tuple(field.name for field in fields(Applicant) if field.name != "is_odd")
"""The tensors of a request."""


def draw_applicants(n_applicants: int, rng: np.random.Generator) -> list[Applicant]:
    """Draw that many applicants from the distribution of the module's table."""
    odd = rng.random(n_applicants) < ODD
    factor = np.where(odd, ODD_FACTOR, 1.0)
    gains = GAIN_MEDIAN * np.exp(rng.normal(0, GAIN_SIGMA, n_applicants))
    has_gain = rng.random(n_applicants) < GAIN_PROBABILITY
    columns = (
        np.round(np.clip(rng.normal(40, 12, n_applicants), 18, 80)) * factor,
        np.round(np.clip(rng.normal(12, 2.5, n_applicants), 8, 20)) * factor,
        np.round(np.clip(rng.normal(40, 10, n_applicants), 5, 70)) * factor,
        np.where(has_gain, np.round(np.minimum(gains, GAIN_MAX)), 0.0),
    )
    occupations = rng.choice(OCCUPATIONS, size=n_applicants, p=OCCUPATION_PROBABILITIES)
    drawn = zip(*(column.tolist() for column in columns), occupations.tolist(), odd.tolist(), strict=True)
    return [Applicant(*values) for values in drawn]


def draw_labels(applicants: list[Applicant], rng: np.random.Generator) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Draw who earns over 50,000: 1 or 0 for each applicant."""
    probabilities = np.array([applicant.probability for applicant in applicants])
    return (rng.random(len(applicants)) < probabilities).astype(np.int64)


def to_tensors(applicant: Applicant) -> Tensors:
    """Return the tensors of the applicant's request."""
    numbers = {name: np.array([getattr(applicant, name)]) for name in FIELDS if name != "occupation"}
    return {**numbers, "occupation": np.array([applicant.occupation.encode()], dtype=object)}
