"""``python -m experiments.crash_campaign --log sqlite --kills 300 --seed 0``: exit code 1 when anything went wrong."""

import random
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from dfml.lineage.audit import audit
from dfml.lineage.store import LineageStore
from dfml.log import open_log
from dfml.settings import Settings
from dfml.spec import parse_resources
from dfml.topics import Topics
from dfml_engine.control import Control
from experiments.crash_campaign.check import check
from experiments.crash_campaign.house import PARTITIONS, PARTS, House
from experiments.crash_campaign.load import Load
from experiments.crash_campaign.pipelines import documents

ANSWER_S = 60.0
WAYS = ("kill", "kill", "kill", "terminate", "zombie")
errors = Console(stderr=True)


def main(
    log: Annotated[str, typer.Option(help="What topics live on; sqlite makes a log in a temporary folder.")] = "sqlite",
    kills: Annotated[int, typer.Option(help="How often a part is disturbed.")] = 20,
    seed: Annotated[int, typer.Option(help="Chooses parts, ways and moments.")] = 0,
    parts: Annotated[str, typer.Option(help="Parts to disturb, comma separated.")] = ",".join(PARTS),
    callers: Annotated[int, typer.Option(help="Callers that keep asking.")] = 8,
) -> None:
    """Disturb parts at random under load, then prove from the log that nothing was lost or doubled.

    Example: python -m experiments.crash_campaign --kills 10 --parts engine,tap --seed 3
    """
    if log != "sqlite":
        errors.print(f"[red]--log: got {log!r}, expected sqlite[/red]")
        raise typer.Exit(2)
    with TemporaryDirectory(prefix="dfml-crash-") as folder:
        house = House(Path(folder))
        try:
            recovery_s, load = _campaign(house, [part.strip() for part in parts.split(",")], kills, seed, callers)
        finally:
            house.stop()
        clean = _report(house, recovery_s, load)
    raise typer.Exit(0 if clean else 1)


def _campaign(house: House, parts: list[str], n_kills: int, seed: int, n_callers: int) -> tuple[list[float], Load]:
    chance = random.Random(seed)
    with open_log(Settings(log=house.log)) as log:
        Control(log, Topics(), partitions=PARTITIONS).load(parse_resources(documents(), source="campaign"))
    for part in PARTS:
        house.start(part)
    load = Load(house.port, n_callers)
    load.wait_for_answer(ANSWER_S)
    recovery_s = []
    for _ in track(range(n_kills), "disturbing", console=errors):
        time.sleep(chance.uniform(0.2, 1.5))
        house.disturb(chance.choice(parts), chance.choice(WAYS))
        recovery_s.append(load.wait_for_answer(ANSWER_S))
    load.stop()
    return recovery_s, load


def _report(house: House, recovery_s: list[float], load: Load) -> bool:
    found = check(house.log)
    with LineageStore(house.store, read_only=True) as store:
        unaccounted = audit(store).unaccounted
    table = Table("measure", "value", title=f"{len(recovery_s)} disturbances")
    rows = {
        "requests answered to callers": len(load.answered),
        "accepted": found.accepted,
        "lost": found.lost,
        "with more than one answer": found.doubled,
        "with a wrong answer (log, callers)": f"{found.wrong}, {len(load.wrong)}",
        "accepted twice": found.accepted_twice,
        "unaccounted records": unaccounted,
        "until the next answer: p50, max": f"{np.median(recovery_s):.2f} s, {max(recovery_s):.2f} s",
    }
    for name, value in rows.items():
        table.add_row(name, str(value))
    Console().print(table)
    for text in load.wrong[:10]:
        errors.print(text)
    return found.clean and not load.wrong and unaccounted == 0


if __name__ == "__main__":
    typer.run(main)
