"""How many examples are drawn of each kind."""

import os

from hypothesis import HealthCheck, Phase, settings

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
settings.register_profile("oracle", max_examples=200, deadline=None, derandomize=True, suppress_health_check=_SLOW)
settings.register_profile("oracle-nightly", max_examples=2_000, deadline=None, suppress_health_check=_SLOW)
PROFILE = settings.get_profile("oracle-nightly" if os.environ.get("DFML_SOAK") else "oracle")
KAFKA_PROFILE = settings(PROFILE, max_examples=PROFILE.max_examples // 20, phases=[Phase.explicit, Phase.generate])
"""Each example makes its topics, and each of its units is a transaction: some seconds on a broker."""
STACK_PROFILE = settings(PROFILE, max_examples=PROFILE.max_examples // 10, phases=[Phase.explicit, Phase.generate])
"""A stack of its own for each example takes ten times as long; making one smaller would take hours."""
