"""Claims as requests, one JSON object a line: ``python -m experiments.apps.insurance_claims``."""

import argparse
import json
import sys

import numpy as np

from experiments.apps.insurance_claims.faults import FAULTS
from experiments.apps.insurance_claims.generator import draw_claims, to_request


def main(arguments: list[str]) -> None:
    """Print the claims that the arguments ask for."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.apps.insurance_claims",
        description="Print claims as requests, one JSON object a line, as 'dfml infer --file' reads them.",
    )
    parser.add_argument("--claims", type=int, default=400, help="how many (default: 400)")
    parser.add_argument("--seed", type=int, default=0, help="draws other claims (default: 0)")
    parser.add_argument("--prefix", default="claim", help="of the request ids (default: claim)")
    parser.add_argument(
        "--fault", choices=list(FAULTS), default="none", help="what the caller does to the claims (default: none)"
    )
    given = parser.parse_args(arguments)
    alter = FAULTS[given.fault].alter
    for number, claim in enumerate(draw_claims(given.claims, np.random.default_rng(given.seed))):
        print(json.dumps(to_request(alter(claim), f"{given.prefix}-{number:05d}")))


if __name__ == "__main__":
    main(sys.argv[1:])
