"""Score the localiser on live pipelines: ``python -m experiments.live_study [--apps a,b] [--seeds 0..2] [--out DIR]``.

A case is right when the verdict is the fault's and the first suspect is of its step. Table on stdout, each case on
stderr as it ends; with ``--out FOLDER`` also ``cases.csv``.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from dfml_analysis.evaluate.intervals import wilson
from experiments.live_study.apps import APPS
from experiments.live_study.running import Case, diagnose, record

COLUMNS = ("app", "fault", "seed", "verdict", "step", "kind", "n_suspects", "verdict_right", "step_right", "seconds")


def main(
    apps: Annotated[str, typer.Option(help="Comma-separated.")] = ",".join(APPS),
    seeds: Annotated[str, typer.Option(help="First and last, as 0..2.")] = "0..2",
    n_requests: Annotated[int, typer.Option(min=20, help="Requests a window.")] = 300,
    out: Annotated[Path | None, typer.Option(help="Where cases.csv goes.")] = None,
) -> None:
    """Plant each fault of each app in a running stack and score what the localiser says."""
    said = Console(stderr=True, highlight=False)
    rows = []
    for case in _cases(apps, seeds, n_requests):
        rows.append(_run(case))
        said.print(" ".join(f"{name}={value}" for name, value in rows[-1].items()))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        table.to_csv(out / "cases.csv", index=False)
    Console(width=None if sys.stdout.isatty() else 120).print(_render(table))


def _cases(apps: str, seeds: str, n_requests: int) -> Iterator[Case]:
    first, _, last = seeds.partition("..")
    unknown = sorted(set(apps.split(",")) - APPS.keys())
    if unknown or not first.isdecimal() or not (last or first).isdecimal():
        msg = f"got --apps {apps} --seeds {seeds}; expected apps of {', '.join(APPS)} and seeds like 0..2"
        raise typer.BadParameter(msg)
    for name in apps.split(","):
        for seed in range(int(first), int(last or first) + 1):
            yield from (Case(name, fault, seed, n_requests) for fault in APPS[name].faults)


def _run(case: Case) -> dict[str, object]:
    app = APPS[case.app]
    fault = app.faults[case.fault]
    with tempfile.TemporaryDirectory(prefix="dfml-live-") as folder:
        found = diagnose(app, *record(app, case, Path(folder)), case.seed)
    first = found.suspects[0] if found.suspects else None
    step = first.step if first is not None else None
    return {
        "app": case.app,
        "fault": case.fault,
        "seed": case.seed,
        "verdict": found.verdict.value,
        "step": step or "",
        "kind": first.kind.value if first is not None else "",
        "n_suspects": len(found.suspects),
        "verdict_right": found.verdict.value == fault.verdict,
        "step_right": step == fault.step,
        "seconds": round(found.seconds, 3),
    }


def _render(table: pd.DataFrame) -> Table:
    shown = Table(title="Live pipelines: verdict and step; 95 % Wilson interval of both right")
    shown.add_column("app", no_wrap=True)
    shown.add_column("fault", no_wrap=True)
    for heading in ("verdict", "step", "both", "interval", "suspects", "median"):
        shown.add_column(heading, justify="right")
    both = table.verdict_right & table.step_right
    groups = [*table.groupby(["app", "fault"], sort=False), (("all", ""), table)]
    for (app, fault), rows in groups:
        n, hits = len(rows), int(both[rows.index].sum())
        low, high = wilson(hits, n)
        counted = [f"{int(count)}/{n}" for count in (rows.verdict_right.sum(), rows.step_right.sum(), hits)]
        median = f"{rows.seconds.median() * 1000:.0f} ms"
        shown.add_row(app, fault, *counted, f"{low:.2f}-{high:.2f}", f"{rows.n_suspects.mean():.1f}", median)
    return shown


if __name__ == "__main__":
    typer.run(main)
