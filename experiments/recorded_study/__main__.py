"""Score every method on the recorded study: ``python -m experiments.recorded_study --data FOLDER``.

Table on stdout, progress on stderr; with ``--out FOLDER`` also ``scores.csv`` and ``scores.png``.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dfml.errors import BadInputError
from dfml_analysis.localisers import LOCALISERS, localiser
from experiments.recorded_study.cases import Case, read_cases, thinned
from experiments.recorded_study.scoring import Score, run, score, to_frame
from experiments.recorded_study.tables import draw, render

SYSTEMS = ("scipipe", "seldon-insurance")


def main(  # noqa: PLR0913 - one parameter an option
    data: Annotated[Path, typer.Option(help="Folder with scipipe.csv and seldon-insurance/.")],
    out: Annotated[Path | None, typer.Option(help="Where scores.csv and scores.png go.")] = None,
    methods: Annotated[str | None, typer.Option(help="Comma-separated; all without it.")] = None,
    seed: Annotated[int, typer.Option(help="For methods that draw random numbers.")] = 0,
    part: Annotated[int, typer.Option(min=1, help="Use every n-th row only.")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out the methods that take seconds a case.")] = False,
) -> None:
    """Score every method on the recorded study."""
    try:
        scores = _study(data, _chosen(methods, quick=quick), seed, part)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            to_frame(scores).to_csv(out / "scores.csv", index=False)
            draw(scores, out / "scores.png")
    except (BadInputError, OSError) as error:
        Console(stderr=True).print(f"[red]{error}[/red]")
        raise typer.Exit(2) from error
    Console(width=None if sys.stdout.isatty() else 140).print(render(scores))


def _chosen(methods: str | None, *, quick: bool) -> list[str]:
    names = [name.strip() for name in methods.split(",") if name.strip()] if methods else list(LOCALISERS)
    return [name for name in names if not (quick and localiser(name).slow)]


def _study(data: Path, names: list[str], seed: int, part: int) -> list[Score]:
    cases: list[Case] = [thinned(case, part) for case in read_cases(data)]
    console = Console(stderr=True)
    for system in SYSTEMS:
        if not any(case.system == system for case in cases):
            console.print(f"[yellow]{data} holds no recording of {system}; it is left out[/yellow]")
    columns = (TextColumn("{task.description:>20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=len(cases) * len(names))
        results = run(cases, names, seed=seed, progress=lambda method: bar.update(task, advance=1, description=method))
    return score(cases, results, lambda method: localiser(method).decides)


if __name__ == "__main__":
    typer.run(main)
