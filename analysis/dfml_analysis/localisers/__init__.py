"""Every method of fault localisation, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from dfml.errors import DataError
from dfml_analysis.localisers.baro import Baro
from dfml_analysis.localisers.base import Localiser
from dfml_analysis.localisers.circa import Circa
from dfml_analysis.localisers.deepest_node import DeepestNode
from dfml_analysis.localisers.dowhy_anomalies import DowhyAnomalies
from dfml_analysis.localisers.dowhy_distribution_change import DowhyDistributionChange
from dfml_analysis.localisers.dowhy_robust import DowhyRobust
from dfml_analysis.localisers.first_node import FirstNode
from dfml_analysis.localisers.idi import Idi
from dfml_analysis.localisers.linear_chow import LinearChow
from dfml_analysis.localisers.marginal_ks import MarginalKs
from dfml_analysis.localisers.nsigma import NSigma
from dfml_analysis.localisers.own import Own
from dfml_analysis.localisers.random_node import RandomNode
from dfml_analysis.localisers.ranked_correlation import RankedCorrelation
from dfml_analysis.localisers.score_ordering import ScoreOrdering
from dfml_analysis.localisers.smooth_traversal import SmoothTraversal
from dfml_analysis.localisers.traversal import Traversal

LOCALISERS: Mapping[str, Localiser] = MappingProxyType(
    {
        method.name: method
        for method in (
            Own(),
            MarginalKs(),
            LinearChow(),
            NSigma(),
            Baro(),
            RankedCorrelation(),
            Traversal(),
            Circa(),
            SmoothTraversal(),
            ScoreOrdering(),
            Idi(),
            RandomNode(),
            FirstNode(),
            DeepestNode(),
            DowhyRobust(),
            DowhyAnomalies(),
            DowhyDistributionChange("dowhy_default", bootstrap=False),
            DowhyDistributionChange("dowhy_bootstrap", bootstrap=True),
        )
    }
)
"""The methods by name; ``dfml`` is this package's own."""


def localiser(name: str) -> Localiser:
    """Return the method of that name.

    Raises
    ------
    DataError
        If there is none.
    """
    if name not in LOCALISERS:
        msg = f"method {name!r} does not exist; expected one of {', '.join(LOCALISERS)}"
        raise DataError(msg)
    return LOCALISERS[name]
