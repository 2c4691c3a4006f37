"""``python -m experiments.engine_latency``: latency by steps, throughput by clients, what the tap costs."""

import csv
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from experiments.engine_latency.chain import PIPELINE, chain_yaml, is_right
from experiments.engine_latency.client import Connection, has_wrk, latencies_ms, requests_per_second
from experiments.engine_latency.hop import hops_ms
from experiments.engine_throughput.measure import measure
from experiments.engine_throughput.operators import CHAIN
from experiments.kafka_broker import Broker
from experiments.running import Stack, ended_in_order, running_parts, running_stack, wait_until_ready

WARM_REQUESTS = 300
errors = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement: ``unit`` is ms, or a count per second or per request."""

    measure: str
    setup: str
    value: float
    unit: str


def main(
    steps: Annotated[str, typer.Option(help="Numbers of steps, comma separated.")] = "1,2,5,10,20,40,80",
    requests: Annotated[int, typer.Option(help="Requests for each latency.")] = 1000,
    clients: Annotated[str, typer.Option(help="Numbers of clients for the throughput of one step.")] = "1,10,32",
    seconds: Annotated[int, typer.Option(help="Seconds for each throughput.")] = 5,
    records: Annotated[int, typer.Option(help="Records of the pre-filled topic.")] = 50_000,
    out: Annotated[Path | None, typer.Option(help="Folder for latency.csv.")] = None,
    log: Annotated[
        str, typer.Option(help="sqlite, or kafka: a broker of its own, a process for each part.")
    ] = "sqlite",
    delivery: Annotated[str, typer.Option(help="identity or transactional, on kafka.")] = "identity",
) -> None:
    """Measure; the table goes to the screen and, with --out, to latency.csv.

    Example: python -m experiments.engine_latency --steps 1,10 --clients 32

    Example: python -m experiments.engine_latency --log kafka --delivery transactional --steps 1,5,10
    """
    numbers = _numbers(steps)
    if log == "kafka":
        rows = list(_latencies_on_kafka(numbers, requests, delivery))
        _print(rows)
        if out is not None:
            _write(rows, out / f"latency_kafka_{delivery}.csv")
        return
    if not has_wrk():
        errors.print("no throughput: it is measured with wrk, which is not installed (Debian's package wrk)")
    rows = [*_latencies(numbers, requests), *_throughputs(_numbers(clients), seconds), *_tap(requests, seconds)]
    rows.append(Row("engine, pre-filled topic", "one hop", measure(CHAIN, records).records_per_second, "records/s"))
    _print(rows)
    if out is not None:
        _write(rows, out / "latency.csv")


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def _latencies(numbers: Sequence[int], n_requests: int) -> Iterable[Row]:
    for inline in (True, False):
        how = "inline" if inline else "pool"
        medians = []
        for n_steps in track(numbers, f"latency, {how}", console=errors):
            with TemporaryDirectory() as folder, _running_chain(folder, n_steps, inline=inline) as stack:
                _check(stack, n_steps)
                taken = latencies_ms(stack.port, n_requests, WARM_REQUESTS)
            medians.append(float(np.median(taken)))
            yield from _percentiles(f"{how}, N={n_steps}", taken)
        if len(numbers) > 1:
            yield Row("slope of p50", how, float(np.polyfit(numbers, medians, 1)[0]), "ms/step")


def _latencies_on_kafka(numbers: Sequence[int], n_requests: int, delivery: str) -> Iterator[Row]:
    """Measure one bare hop, then chains on that broker, each in a namespace of its own, a process for each part."""
    medians = []
    with TemporaryDirectory(prefix="dfml-kafka-") as data, Broker(Path(data)) as broker:
        yield from _percentiles(f"{delivery}, bare hop", hops_ms(broker.servers, delivery, n_requests, WARM_REQUESTS))
        for n_steps in track(numbers, f"latency on Kafka, {delivery}", console=errors):
            variables = {"DFML_DELIVERY": delivery, "DFML_PREFIX": f"chain{n_steps}"}
            with TemporaryDirectory() as folder:
                document = Path(folder) / "chain.yaml"
                document.write_text(chain_yaml(n_steps, inline=True))
                with running_parts(Path(folder), [document], broker.address, 1, variables) as stack:
                    wait_until_ready(stack, PIPELINE)
                    _check(stack, n_steps)
                    taken = latencies_ms(stack.port, n_requests, WARM_REQUESTS)
            medians.append(float(np.median(taken)))
            # The table comes at the end, and long chains take minutes.
            errors.print(f"{delivery}, N={n_steps}: p50 {medians[-1]:.1f} ms")
            yield from _percentiles(f"{delivery}, N={n_steps}", taken)
    if len(numbers) > 1:
        yield Row("slope of p50", delivery, float(np.polyfit(numbers, medians, 1)[0]), "ms/step")


def _percentiles(setup: str, taken_ms: NDArray[np.float64]) -> Iterator[Row]:
    for name, share in (("p50", 50), ("p95", 95), ("p99", 99)):
        yield Row(name, setup, float(np.percentile(taken_ms, share)), "ms")


@contextmanager
def _running_chain(folder: str, n_steps: int, *, inline: bool = True, tap: bool = False) -> Iterator[Stack]:
    """Run a stack of its own with the chain loaded."""
    document = Path(folder) / "chain.yaml"
    document.write_text(chain_yaml(n_steps, inline=inline))
    with running_stack(Path(folder), [document], tap=tap) as stack:
        yield stack


def _check(stack: Stack, n_steps: int) -> None:
    connection = Connection(stack.port)
    answer = connection.ask()
    connection.close()
    if not is_right(answer, n_steps):
        msg = f"the chain of {n_steps} steps answered wrongly: {answer!r}"
        raise RuntimeError(msg)


def _throughputs(clients: Sequence[int], seconds: int) -> Iterable[Row]:
    if not clients or not has_wrk():
        return
    with TemporaryDirectory() as folder, _running_chain(folder, 1) as stack:
        for number in track(clients, "throughput", console=errors):
            yield Row(
                "throughput",
                f"inline, N=1, {number} clients",
                requests_per_second(stack.port, number, seconds),
                "requests/s",
            )


def _tap(n_requests: int, seconds: int) -> Iterable[Row]:
    """Measure off, on, off, on: the ratio of neighbours holds where the machine's speed drifts."""
    for turn in track((1, 2), "tap off and on", console=errors):
        for tap in (False, True):
            setup = f"tap {'on' if tap else 'off'}, turn {turn}"
            with TemporaryDirectory() as folder:
                with _running_chain(folder, 1, tap=tap) as stack:
                    p50 = float(np.median(latencies_ms(stack.port, n_requests, WARM_REQUESTS)))
                    yield Row("p50", setup, p50, "ms")
                    if has_wrk():
                        yield Row("throughput", setup, requests_per_second(stack.port, 32, seconds), "requests/s")
                if tap:  # it has read everything once the stack has stopped
                    yield Row("lineage store", setup, _bytes_per_request(stack.store), "bytes/request")


def _bytes_per_request(store: Path) -> float:
    with closing(sqlite3.connect(store)) as connection:
        (n_requests,) = connection.execute("SELECT COUNT(DISTINCT request) FROM records").fetchone()
    return float(sum(path.stat().st_size for path in store.parent.glob(f"{store.name}*")) / n_requests)


def _print(rows: Sequence[Row]) -> None:
    table = Table("measure", "setup", "value", "unit", title="engine latency")
    for row in rows:
        table.add_row(
            row.measure, row.setup, f"{row.value:,.3f}" if row.unit.startswith("ms") else f"{row.value:,.0f}", row.unit
        )
    Console(file=sys.stdout).print(table)


def _write(rows: Sequence[Row], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["measure", "setup", "value", "unit"])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    errors.print(f"wrote {path}")


if __name__ == "__main__":
    with ended_in_order():
        typer.run(main)
