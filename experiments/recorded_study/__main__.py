"""Score every method on the recorded study: ``python -m experiments.recorded_study --data FOLDER``.

Table on stdout, progress on stderr; with ``--out FOLDER`` also ``scores.csv`` and ``scores.png``, written again after
each method. The slow methods (DoWhy's) come last and take seconds to minutes a case: ``--quick`` leaves them out.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dfml.errors import BadInputError
from dfml_analysis.localisers import LOCALISERS, localiser
from experiments.recorded_study.cases import Case, read_cases, thinned
from experiments.recorded_study.scoring import Score, run, score, to_frame
from experiments.recorded_study.tables import draw, render

if TYPE_CHECKING:
    from dfml_analysis.localisation import Localisation

SYSTEMS = ("scipipe", "seldon-insurance")
errors = Console(stderr=True)


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
        cases = [thinned(case, part) for case in read_cases(data)]
        scores = _study(cases, _chosen(methods, quick=quick), seed, out)
    except (BadInputError, OSError) as error:
        errors.print(f"[red]{error}[/red]")
        raise typer.Exit(2) from error
    for system in SYSTEMS:
        if not any(case.system == system for case in cases):
            errors.print(f"[yellow]{data} holds no recording of {system}; it is left out[/yellow]")
    Console(width=None if sys.stdout.isatty() else 140).print(render(scores))


def _chosen(methods: str | None, *, quick: bool) -> list[str]:
    names = [name.strip() for name in methods.split(",") if name.strip()] if methods else list(LOCALISERS)
    return [name for name in names if not (quick and localiser(name).slow)]


def _study(cases: Sequence[Case], names: Sequence[str], seed: int, out: Path | None) -> list[Score]:
    """Score method after method; what is done is written at once, and Ctrl-C ends the study with it."""
    results: dict[str, list[Localisation]] = {}
    scores: list[Score] = []
    columns = (TextColumn("{task.description:>20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors) as bar:
        task = bar.add_task("", total=len(cases) * len(names))
        for name in sorted(names, key=lambda name: localiser(name).slow):
            bar.update(task, description=name)
            try:
                results[name] = run(cases, name, seed=seed, progress=lambda: bar.update(task, advance=1))
            except KeyboardInterrupt:
                errors.print(f"[yellow]stopped during {name}: the methods before it are scored[/yellow]")
                break
            scores = score(cases, results, lambda method: localiser(method).decides)
            if out is not None:
                _write(scores, out)
    return scores


def _write(scores: Sequence[Score], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    to_frame(scores).to_csv(out / "scores.csv", index=False)
    draw(scores, out / "scores.png")


if __name__ == "__main__":
    typer.run(main)
