"""What the demo shows on the terminal."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from dfml.lineage.store import LineageStore
from dfml.lineage.traces import trace
from experiments.demo.diagnosis import TARGET, Diagnosis
from experiments.demo.traffic import Window
from experiments.demo.walk import to_table, walk_back

if TYPE_CHECKING:
    import pandas as pd


def progress(console: Console) -> Progress:
    """Return the bars for the two windows."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def advancing(bars: Progress, description: str, total: int) -> Callable[[], None]:
    """Add a bar and return what moves it on by one."""
    task = bars.add_task(description, total=total)
    return lambda: bars.advance(task)


def show(console: Console, windows: Sequence[Window], diagnosis: Diagnosis) -> None:
    """Show what callers saw, and the verdict with its suspects."""
    console.print(_symptoms(windows, diagnosis))
    console.print(Panel(diagnosis.localisation, title="localisation", border_style="dim"))


def show_walk(console: Console, store: LineageStore, diagnosis: Diagnosis) -> None:
    """Show the first guilty request, walked back from its end to the first suspect and on to its entry."""
    suspect, pair = diagnosis.localisation.suspects[0], diagnosis.pairs[0]
    guilty, counterpart = trace(store, pair.guilty), trace(store, pair.counterpart)
    table = to_table(walk_back(guilty, counterpart, suspect), guilty, counterpart)
    console.print(Panel(table, title="one guilty request, from its end back to its entry", border_style="dim"))


def show_files(console: Console, files: Sequence[Path], seconds: float) -> None:
    """Say where everything is."""
    for path in files:
        console.print(f"  {path}", soft_wrap=True)
    console.print(f"Done in {seconds:.1f} s.")


def _symptoms(windows: Sequence[Window], diagnosis: Diagnosis) -> Table:
    pipeline = diagnosis.pipeline.pipeline
    table = Table("what callers saw", "normal window", "second window", box=None, pad_edge=False, header_style="dim")
    frames = (diagnosis.reference, diagnosis.current)
    table.add_row("requests", *(str(window.n_requests) for window in windows))
    table.add_row("failed", *(f"{window.n_failed / window.n_requests:.1%}" for window in windows))
    table.add_row("mean payout", *(f"{_mean(found[f'{pipeline}.{TARGET}']):,.0f}" for found in frames))
    table.add_row("median latency", *(f"{found[f'{pipeline}.latency_ms'].median():.0f} ms" for found in frames))
    return table


def _mean(column: "pd.Series[float]") -> float:
    return float(column.mean())
