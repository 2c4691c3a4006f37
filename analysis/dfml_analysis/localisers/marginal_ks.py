"""``marginal_ks``: two-sample Kolmogorov-Smirnov on each variable by itself, no graph. A floor."""

import warnings

import numpy as np
from scipy.stats import ks_2samp

from dfml_analysis.localisers.base import Problem, Ranking, rank_by_p, split, testable

MAX_EXACT_ROWS = 100


class MarginalKs:
    """Suspects what changed most, so everything downstream of a fault too."""

    name = "marginal_ks"
    decides = True
    slow = False

    def rank(self, problem: Problem) -> Ranking:
        """Return the variables by KS p-value, ties (p = 0) by the distance."""
        windows = problem.windows
        log_p: dict[str, float] = {}
        for name in testable(windows):
            reference, current = split(windows, name)
            if reference.size and current.size:
                method = "exact" if max(reference.size, current.size) <= MAX_EXACT_ROWS else "asymp"
                with warnings.catch_warnings():
                    # Where the exact tail cannot be computed, scipy says so and takes the asymptotic one: so would we.
                    warnings.simplefilter("ignore", RuntimeWarning)
                    result = ks_2samp(reference, current, method=method)
                log_p[name] = float(np.log(max(result.pvalue, 1e-300))) - float(result.statistic) * 1e-9
        return rank_by_p(windows, log_p)
