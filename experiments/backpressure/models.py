"""A model that stalls for as long as the file named in the environment is absent."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

GATE = "BACKPRESSURE_GATE"
LOOK_S = 0.05


def stall(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the first value of the input once the gate is there."""
    gate = Path(os.environ[GATE])
    while not gate.exists():
        time.sleep(LOOK_S)
    return {"OUT": inputs["X"][:1]}
