"""``python -m experiments.crash_campaign --log sqlite --kills 300 --seed 0``: exit code 1 when anything went wrong."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Annotated, NoReturn

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from dfml.lineage.audit import Audit
from dfml.settings import KAFKA_SCHEME, SQLITE_SCHEME, Settings
from experiments.crash_campaign.campaign import Course, account, remove_topics, run
from experiments.crash_campaign.check import Finding, check
from experiments.crash_campaign.disturbing import BROKER, Disturbance, draw
from experiments.crash_campaign.house import House, free_port
from experiments.crash_campaign.load import Load
from experiments.kafka_broker import Broker
from experiments.running import ended_in_order

PARTS = ("engine", "model-gateway", "pipeline-gateway", "tap")
PARTITIONS = 4
TAKING_OVER = 2
"""Engines and model gateways: when one is gone another takes over. Callers know one pipeline gateway, by its port."""
errors = Console(stderr=True)


class Delivery(Enum):
    """How a Kafka log shows a result that was sent twice."""

    IDENTITY = "identity"
    TRANSACTIONAL = "transactional"


def main(
    log: Annotated[
        str, typer.Option(help="What topics live on: sqlite or kafka start one of their own; or kafka://HOST:PORT.")
    ] = "sqlite",
    kills: Annotated[int, typer.Option(help="How often a part is disturbed.")] = 20,
    seed: Annotated[int, typer.Option(help="Chooses parts, ways and moments.")] = 0,
    delivery: Annotated[Delivery, typer.Option(help="How a Kafka log shows results.")] = Delivery.IDENTITY,
    parts: Annotated[str, typer.Option(help="Parts to disturb, comma separated.")] = ",".join((*PARTS, BROKER)),
    callers: Annotated[int, typer.Option(help="Callers that keep asking.")] = 8,
) -> None:
    """Disturb parts at random under load, then prove from the log that nothing was lost or doubled.

    Engines and model gateways run twice, pipeline gateway and tap once. With `kafka` the broker is the campaign's own,
    and is killed, suspended and restarted too. When anything is wrong, what the processes said is kept,
    and the topics on a broker that was named.

    Example: python -m experiments.crash_campaign --log kafka --kills 10 --parts engine,broker --seed 3
    """
    if log not in {"sqlite", "kafka"} and not log.startswith(KAFKA_SCHEME):
        errors.print(f"[red]--log: got {log!r}, expected sqlite, kafka or kafka://HOST:PORT[/red]")
        raise typer.Exit(2)
    chosen = [part.strip() for part in parts.split(",")]
    if unknown := sorted(set(chosen) - {*PARTS, BROKER}):
        errors.print(f"[red]--parts: got {', '.join(unknown)}, expected some of {', '.join((*PARTS, BROKER))}[/red]")
        raise typer.Exit(2)
    folder = Path(mkdtemp(prefix="dfml-crash-"))
    with _log(log, folder) as (url, broker):
        settings = Settings(
            log=url,
            prefix=f"crash-{secrets.token_hex(3)}",
            partitions=PARTITIONS,
            delivery=delivery.value,
            lineage=folder / "lineage.db",
            rest_port=free_port(),
            python_paths=(Path.cwd(),),
        )
        house = House(settings, {part: 1 if part in PARTS[2:] else TAKING_OVER for part in PARTS}, folder, broker)
        proof = _prove(house, draw(house.names, chosen, kills, seed), callers)
        if proof.clean and broker is None:
            remove_topics(settings)
    _end(proof, folder)


def _prove(house: House, plan: Sequence[Disturbance], n_callers: int) -> "Proof":
    load = Load(house.settings.rest_port, n_callers)
    try:
        course = run(house, load, plan, errors.print)
    finally:
        house.stop()
    return Proof(house.settings, course, load, house, check(house.settings), account(house.settings))


def _end(proof: "Proof", folder: Path) -> NoReturn:
    proof.show(Console())
    if proof.clean:
        rmtree(folder)
    else:
        errors.print(f"what the processes said is in {folder}")
    raise typer.Exit(0 if proof.clean else 1)


@contextmanager
def _log(log: str, folder: Path) -> Iterator[tuple[str, Broker | None]]:
    """Give the log's URL, and the broker where it is the campaign's own."""
    if log == "sqlite":
        yield f"{SQLITE_SCHEME}{folder / 'log.db'}", None
    elif log == "kafka":
        with Broker(folder / "broker") as broker:
            yield broker.address, broker
    else:
        yield log, None


@dataclass(frozen=True, slots=True)
class Proof:
    """All that was found, and whether it is as it should be."""

    settings: Settings
    course: Course
    load: Load
    house: House
    finding: Finding
    audit: Audit

    @property
    def may_copy(self) -> bool:
        """Whether a result may stand on a topic twice, for readers to tell by its identity."""
        return self.settings.log.startswith(KAFKA_SCHEME) and self.settings.delivery == "identity"

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, doubled or unaccounted, nobody was told anything wrong, and nothing hangs."""
        wrong = (
            self.load.wrong,
            self.course.unanswered,
            self.course.stuck,
            self.course.needed,
            self.house.deaths,
        )
        open_records = self.audit.unaccounted + self.audit.counts["pending"]
        copies = 0 if self.may_copy else self.finding.copies + self.finding.entered_again
        return self.finding.clean and not any(wrong) and not open_records and not copies

    def rows(self) -> dict[str, object]:
        """Return the measures by name."""
        found, recovery_s = self.finding, self.course.recovery_s
        return {
            "requests accepted": found.accepted,
            "requests answered to callers": len(self.load.answered_s),
            "lost": len(found.lost),
            "with two answers that differ": len(found.doubled),
            "answers nobody asked for": len(found.foreign),
            "wrong answers (on the log, to callers)": f"{len(found.wrong)}, {len(self.load.wrong)}",
            "copies of answers, of requests": f"{found.copies}, {found.entered_again}",
            "records, unaccounted, pending": (
                f"{self.audit.n_records}, {self.audit.unaccounted}, {self.audit.counts['pending']}"
            ),
            "records dropped as copies": self.audit.counts["duplicate"],
            "processes that died by themselves": len(self.house.deaths),
            "recovery: p50, max": f"{np.median(recovery_s):.2f} s, {max(recovery_s):.2f} s",
        }

    def show(self, out: Console) -> None:
        """Print the table, and what is wrong on stderr."""
        log = "Kafka" if self.settings.log.startswith(KAFKA_SCHEME) else "SQLite"
        title = f"{len(self.course.recovery_s)} disturbances on {log}, delivery {self.settings.delivery}"
        table = Table("measure", "value", title=title)
        for name, value in self.rows().items():
            table.add_row(name, str(value))
        out.print(table)
        found = self.finding
        for what, items in {
            "lost": found.lost,
            "doubled": found.doubled,
            "foreign": found.foreign,
            "wrong on the log": found.wrong,
            "wrong to callers": self.load.wrong,
            "unaccounted": [str(position) for position in self.audit.positions],
            "hung": self.course.stuck,
            "never answered": sorted(self.course.unanswered),
            "died": self.house.deaths,
            "still needed": self.course.needed,
        }.items():
            for item in list(items)[:10]:
                errors.print(f"{what}: {item}", markup=False)


if __name__ == "__main__":
    with ended_in_order():
        typer.run(main)
