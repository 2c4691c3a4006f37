"""``python -m experiments.demo --fault F --seed N --out FOLDER``: the whole line, from a request to a verdict."""

import json
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from dfml.errors import DfmlError
from dfml.lineage.store import LineageStore
from dfml.lineage.traces import trace
from dfml_analysis.report import write_report
from experiments.apps.insurance_claims.faults import APP
from experiments.apps.insurance_claims.generator import draw_claims
from experiments.demo import present
from experiments.demo.diagnosis import Diagnosis, diagnose
from experiments.demo.options import Options, read_options
from experiments.demo.starting import StartError, started
from experiments.demo.traffic import Window, send
from experiments.running import Stack, StackError, load

DOCUMENT = APP / "pipeline.yaml"
N_WARM_UP = 60
"""Requests before the normal window: the first ones pay for imports and caches that later ones find ready."""
N_PAIRS = 2
"""Guilty requests in the report, each with its counterpart; the terminal shows the first."""
INTERRUPTED = 130
"""What a shell expects of a process that ended by SIGINT."""
LEFT_BEHIND = ("log.db*", "log.lineage.db*", "dfml.log", "localisation.json", "report.html")


def main(arguments: list[str]) -> int:
    """Run the demo and return the exit code."""
    options = read_options(arguments)
    console = Console(highlight=False)
    started_s = time.perf_counter()
    console.print(f"Planting fault [bold]{options.fault.name}[/]: {options.fault.summary} (seed {options.seed})")
    try:
        clear(options.out)
        with started(options, DOCUMENT) as stack:
            windows = send_windows(stack, options, console)
            with LineageStore(stack.store, read_only=True) as store:
                diagnosis = diagnose(store, DOCUMENT, *windows, options.seed).on_log(stack.log, stack.store)
                present.show(console, windows, diagnosis)
                if diagnosis.pairs:
                    present.show_walk(console, store, diagnosis)
                files = write(options, store, diagnosis)
    except (StackError, StartError, DfmlError, TimeoutError, OSError) as error:
        Console(stderr=True).print(f"[red]error:[/] {error}", highlight=False)
        return 1
    except KeyboardInterrupt:
        Console(stderr=True).print("stopped, and with it all that was started", highlight=False)
        return INTERRUPTED
    present.show_files(console, files, time.perf_counter() - started_s)
    return 0


def clear(folder: Path) -> None:
    """Make the folder and remove what an earlier demo left in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for pattern in LEFT_BEHIND:
        for path in folder.glob(pattern):
            path.unlink()


def send_windows(stack: Stack, options: Options, console: Console) -> tuple[Window, Window]:
    """Send the normal window, let the fault happen, send the faulty window."""
    rng = np.random.default_rng(options.seed)
    fault = options.fault
    with present.progress(console) as bar:
        send(stack.url, draw_claims(N_WARM_UP, rng), "warm-up", lambda: None)
        claims = draw_claims(options.n_requests, rng)
        reference = send(stack.url, claims, "normal", present.advancing(bar, "normal window", len(claims)))
        if fault.rollout is not None and fault.step is not None:
            load(stack, fault.rollout, fault.step)
        claims = [fault.alter(claim) for claim in draw_claims(options.n_requests, rng)]
        current = send(stack.url, claims, fault.name, present.advancing(bar, "second window", len(claims)))
    return reference, current


def write(options: Options, store: LineageStore, diagnosis: Diagnosis) -> list[Path]:
    """Write the localisation and its report; return the files that are worth a look."""
    localisation = options.out / "localisation.json"
    localisation.write_text(json.dumps(diagnosis.localisation.to_json(), indent=2) + "\n", encoding="utf-8")
    on_log = "" if options.log == "sqlite" else f" LOG={options.log}"
    report = write_report(
        options.out / "report.html",
        diagnosis.localisation,
        graph=diagnosis.pipeline,
        reference=diagnosis.reference,
        current=diagnosis.current,
        traces=[
            trace(store, request) for pair in diagnosis.pairs[:N_PAIRS] for request in (pair.guilty, pair.counterpart)
        ],
        reproduce=f"make demo FAULT={options.fault.name} SEED={options.seed}{on_log}",
    )
    return [report, localisation, store.path]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
