"""What verbs print: tables for people or JSON for programs on stdout, everything else on stderr."""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress


OK, FAILED, BAD_USAGE = 0, 1, 2
"""Exit codes: done; could not be done, or was done with errors; the command or what it was given is wrong."""


class Output(StrEnum):
    """How data is printed."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print what was asked for.")]


def console(*, stderr: bool = False) -> "Console":
    """Return a console; tables are not cut to 80 columns where nobody looks."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else 200, highlight=False)


def print_json(data: object) -> None:
    """Print one JSON document, indented; NaN and infinities as null."""
    import orjson

    typer.echo(orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, stderr: bool = False) -> None:
    """Print a table; None is an empty cell."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console(stderr=stderr).print(table)


def show(rendered: "RenderableType") -> None:
    """Print something that rich renders, on stdout."""
    console().print(rendered)


def say(words: str) -> None:
    """Tell the person something on stderr."""
    typer.echo(words, err=True)


def complain(words: str) -> None:
    """Print an error on stderr, red where the terminal has colours."""
    typer.secho(f"error: {words}", err=True, fg=typer.colors.RED)


def spell_time(time_ms: int) -> str:
    """Return a time of the log for people, UTC: ``2024-05-01 12:00:00.250``."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(" ", "milliseconds")[:-6]


def progress() -> "Progress":
    """Return a progress bar on stderr that vanishes when done; nothing is drawn where nobody looks."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    parts = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*parts, console=console(stderr=True), transient=True, disable=not sys.stderr.isatty())
