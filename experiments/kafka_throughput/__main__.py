"""``python -m experiments.kafka_throughput``: the engine's operators on Kafka, beside the bare loop."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from experiments.engine_throughput.operators import HOP, OPERATORS
from experiments.kafka_broker import Broker
from experiments.kafka_throughput.measure import Throughput, bench
from experiments.running import ended_in_order

MEASURED = ("chain", "inner of 2", "any of 2", "trigger", "batch of 32")


def main(
    log: Annotated[str, typer.Option(help="kafka://HOST:PORT of a broker; kafka starts one.")] = "kafka",
    requests: Annotated[int, typer.Option(help="Requests of each operator.")] = 200_000,
    workers: Annotated[str, typer.Option(help="Numbers of processes, comma separated.")] = "1,2",
    bystanders: Annotated[str, typer.Option(help="Numbers of further pipelines on a topic.")] = "0,20,50",
) -> None:
    """Measure each operator from topics that were filled before, with engine processes as a user starts them.

    Example: python -m experiments.kafka_throughput --requests 50000 --workers 1 --bystanders 50
    """
    table = Table(title=f"{requests:,} requests, 16 FP32, 4 partitions, from the first result on")
    for column in ("what", "processes", "records/s", "of the bare loop", "results/s", "CPU s per 100k", "MB"):
        table.add_column(column)
    chosen = [operator for operator in OPERATORS if operator.name in MEASURED]
    numbers, crowds = _numbers(workers), _numbers(bystanders)
    with _address(log) as address, Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("measuring", total=1 + len(chosen) * len(numbers) + len(crowds))
        with bench(address) as one:
            bare = one.measure_bare(requests)
        _add(table, "bare loop", 1, bare, bare)
        progress.advance(task)
        for operator in chosen:
            for number in numbers:
                with bench(address) as one:
                    _add(table, operator.name, number, one.measure(operator, requests, number), bare)
                progress.advance(task)
        for crowd in crowds:
            with bench(address) as one:
                _add(table, f"hop, {crowd} more pipelines", 1, one.measure(HOP, requests, 1, crowd), bare)
            progress.advance(task)
    Console().print(table)


def _add(table: Table, what: str, number: int, found: Throughput, bare: Throughput) -> None:
    ratio = found.records_per_second / bare.records_per_second
    rates = (f"{found.records_per_second:,.0f}", f"{ratio:.2f}", f"{found.results_per_second:,.0f}")
    table.add_row(what, str(number), *rates, f"{found.cpu_seconds_per_100k:.2f}", f"{found.memory_mb:.0f}")


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


@contextmanager
def _address(log: str) -> Iterator[str]:
    if log != "kafka":
        yield log
        return
    with TemporaryDirectory(prefix="dfml-kafka-") as folder, Broker(Path(folder)) as broker:
        yield broker.address


if __name__ == "__main__":
    with ended_in_order():
        typer.run(main)
