"""What is done to whom: drawn by a seed, so that a campaign can be told again."""

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum

BROKER = "broker"
PAUSE_S = (0.2, 1.5)
"""Between two disturbances."""


class Way(Enum):
    """SIGKILL; SIGTERM; SIGSTOP past the session time-out, then SIGCONT: a zombie that does not know of its end."""

    KILL = "kill"
    TERMINATE = "terminate"
    ZOMBIE = "zombie"


WEIGHTS = {Way.KILL: 3, Way.TERMINATE: 1, Way.ZOMBIE: 1}


@dataclass(frozen=True, slots=True)
class Disturbance:
    """Wait so long, then do this to the process of that name."""

    target: str
    way: Way
    after_s: float


def draw(names: Mapping[str, str], parts: Collection[str], n: int, seed: int) -> list[Disturbance]:
    """Draw disturbances: each chooses a part, one of its processes, a way and a moment.

    Parameters
    ----------
    names : Mapping of str to str
        The processes, and the part that each of them runs.
    parts : collection of str
        The parts to be disturbed; those that no process runs are left out.
    n, seed : int
        How many, and what chooses them.
    """
    chance = random.Random(seed)
    there = sorted(set(parts) & set(names.values()))
    ways, weights = list(WEIGHTS), list(WEIGHTS.values())
    found = []
    for _ in range(n):
        part = chance.choice(there)
        target = chance.choice([name for name, own in names.items() if own == part])
        [way] = chance.choices(ways, weights)
        found.append(Disturbance(target, way, chance.uniform(*PAUSE_S)))
    return found
