"""What the demo is told on its command line."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from experiments.apps.fault import Fault
from experiments.apps.insurance_claims.faults import FAULTS
from experiments.apps.insurance_claims.generator import Claim

LOGS = ("sqlite", "kafka")


@dataclass(frozen=True, slots=True)
class Options:
    """The fault to plant, the seed of the claims, where files go, requests in each window, and the kind of log."""

    fault: Fault[Claim]
    seed: int
    out: Path
    n_requests: int
    log: str = LOGS[0]


def read_options(arguments: list[str]) -> Options:
    """Parse the command line; exits with 2 and the choices when it is wrong."""
    listed = "\n".join(f"  {fault.name:<12}{fault.summary}" for fault in FAULTS.values())
    parser = argparse.ArgumentParser(
        prog="python -m experiments.demo",
        description="Break the insurance claims pipeline and find the step that did it.",
        epilog=f"faults:\n{listed}\n\nexample: make demo FAULT=slow SEED=7",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--fault", type=_fault, default="classifier", help="what to break (default: classifier)")
    parser.add_argument("--seed", type=_at_least(0), default=0, help="draws other claims (default: 0)")
    parser.add_argument("--out", type=Path, default=Path("build/demo"), help="folder for files (default: build/demo)")
    parser.add_argument(
        "--requests", type=_at_least(50), default=600, help="requests in each window (default: 600, at least 50)"
    )
    parser.add_argument(
        "--log",
        choices=LOGS,
        default=LOGS[0],
        help="sqlite: embedded, one process; kafka: a broker of its own and a process for each part (default: sqlite)",
    )
    given = parser.parse_args(arguments)
    return Options(given.fault, given.seed, given.out, given.requests, given.log)


def _fault(text: str) -> Fault[Claim]:
    if text not in FAULTS:
        msg = f"no fault is called {text!r}; choose one of {', '.join(FAULTS)}"
        raise argparse.ArgumentTypeError(msg)
    return FAULTS[text]


def _at_least(minimum: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < minimum:
            msg = f"got {text!r}, expected a whole number of at least {minimum}"
            raise argparse.ArgumentTypeError(msg)
        return int(text)

    return read
