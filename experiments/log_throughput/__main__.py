"""``python -m experiments.log_throughput``: appends, reads and delays of the embedded log, in one table."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from experiments.log_throughput.measures import (
    N_TOPICS,
    Spread,
    append,
    delays_ms,
    idle_poll_us,
    open_fresh,
    read_records_per_second,
)

BATCHES = (1, 10, 100, 500)
PARTITIONS = (1, 16)
IDLE = (3, 3000)


def main(
    seconds: Annotated[float, typer.Option(help="Seconds for each kind of append.")] = 1.0,
    folder: Annotated[Path | None, typer.Option(help="Where the logs are made; default: a temporary folder.")] = None,
) -> None:
    """Measure; the table goes to the screen.

    Example: python -m experiments.log_throughput --seconds 3
    """
    table = Table("records", "partitions", "p50 µs", "p99 µs", "µs a record", "records/s", "read/s")
    table.title = "units of records (290 B) and one position"
    with tempfile.TemporaryDirectory(dir=folder) as name:
        spreads = [Spread(batch, partitions) for partitions in PARTITIONS for batch in BATCHES]
        for number, spread in enumerate(track(spreads, "appends", console=Console(stderr=True))):
            table.add_row(*_measure(Path(name) / f"{number}.db", spread, seconds))
        plain = list(_others(Path(name)))
    console = Console()
    console.print(table)
    for line in plain:
        console.print(line)


def _measure(path: Path, spread: Spread, seconds: float) -> list[str]:
    with open_fresh(path, spread.partitions) as log:
        appended = append(log, spread, seconds)
        p50, p99 = np.percentile(appended.unit_us, [50, 99])
        return [
            str(spread.batch),
            str(N_TOPICS * spread.partitions),
            f"{p50:.1f}",
            f"{p99:.1f}",
            f"{p50 / spread.batch:.2f}",
            f"{appended.records_per_second:,.0f}",
            f"{read_records_per_second(log, spread):,.0f}",
        ]


def _others(folder: Path) -> Iterator[str]:
    p50, p99 = np.percentile(delays_ms(folder / "delay.db"), [50, 99])
    yield f"from an append in another process to the record here: p50 {p50:.2f} ms, p99 {p99:.2f} ms"
    for n_assigned in IDLE:
        cost_us = idle_poll_us(folder / f"idle{n_assigned}.db", n_assigned)
        yield f"a poll that finds nothing, {n_assigned:,} topic partitions assigned: {cost_us:.1f} µs"


if __name__ == "__main__":
    typer.run(main)
