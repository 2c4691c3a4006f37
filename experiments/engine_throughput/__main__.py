"""``python -m experiments.engine_throughput``: records a second through chain, joins, trigger and batch."""

import gc
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from experiments.engine_throughput.measure import measure
from experiments.engine_throughput.operators import OPERATORS
from experiments.running import ended_in_order


def main(requests: Annotated[int, typer.Option(help="Requests of each operator.")] = 50_000) -> None:
    """Measure each operator from pre-filled topics on the SQLite log, in this process.

    Example: python -m experiments.engine_throughput --requests 20000
    """
    gc.set_threshold(50_000, 20, 50)  # as dfml up has it
    table = Table(
        "operator", "records/s", "results/s", "CPU s per 100k records", title=f"{requests:,} requests, 16 FP32"
    )
    for operator in track(OPERATORS, "measuring", console=Console(stderr=True)):
        found = measure(operator, requests)
        row = (found.records_per_second, found.results_per_second)
        table.add_row(operator.name, *(f"{value:,.0f}" for value in row), f"{found.cpu_seconds_per_100k:.2f}")
    Console().print(table)


if __name__ == "__main__":
    with ended_in_order():
        typer.run(main)
