"""Drawn examples are judged by what they show, not by how long they take, and are the same in every run.

``make soak`` (``DFML_SOAK``) draws others each time.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "dfml",
    deadline=None,
    derandomize="DFML_SOAK" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("dfml")
