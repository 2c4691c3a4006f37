"""``status --workers``: who is at work on a log, and which partition numbers each owns."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from dfml.cli.output import Output, print_json, print_table, say, spell_time
from dfml.cli.target import Target
from dfml.clock import wall_clock_ms

if TYPE_CHECKING:
    from dfml.operations.owners import Seen

PARTS_THAT_SHARE = ("engine", "model-gateway", "pipeline-gateway")


def show_workers(target: Target, output: Output) -> None:
    """Print every process and part that the log knows of; those not heard of for a while are called stale."""
    from dfml.topics import Topics
    from dfml_engine.control import Control

    with target.open_log(read_only=True) as log:
        topics = Topics(target.settings.prefix, target.settings.namespace)
        found = Control(log, topics).owners()
        there = log.topics().get(topics.errors)
    now_ms = wall_clock_ms()
    if output is Output.JSON:
        print_json([_as_json(each, now_ms) for each in found])
        return
    columns = ("part", "worker", "partitions", "selected", "since", "last seen", "state", "address")
    print_table(columns, [_as_row(each, now_ms) for each in found])
    for text in _unowned([each for each in found if not each.is_stale(now_ms)], there.partitions if there else 0):
        say(text)


def _as_json(seen: "Seen", now_ms: int) -> dict[str, object]:
    owner = seen.owner
    return {
        "part": owner.part,
        "worker": owner.worker,
        "host": owner.host,
        "pid": owner.pid,
        "partitions": list(owner.partitions),
        "selected": list(owner.selected),
        "since_ms": owner.since_ms,
        "seen_ms": seen.seen_ms,
        "stale": seen.is_stale(now_ms),
        "url": owner.url,
    }


def _as_row(seen: "Seen", now_ms: int) -> tuple[object, ...]:
    owner = seen.owner
    ago = f"{max(now_ms - seen.seen_ms, 0) / 1000:.0f} s ago"
    selected = ", ".join(owner.selected) or "all"
    state = "stale" if seen.is_stale(now_ms) else "live"
    numbers = "all" if owner.part == "tap" else spell_numbers(owner.partitions) or "none"
    return owner.part, owner.worker, numbers, selected, spell_time(owner.since_ms)[:-4], ago, state, owner.url


def spell_numbers(numbers: Iterable[int]) -> str:
    """Return numbers with those in a row joined: ``0-3, 7``."""
    runs = [
        [number for _, number in run] for _, run in groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0])
    ]
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _unowned(live: Sequence["Seen"], partitions: int) -> list[str]:
    """Say which partition numbers no live process of a part owns, for each selection of it."""
    absent = [part for part in PARTS_THAT_SHARE if all(each.owner.part != part for each in live)]
    owned: dict[tuple[str, tuple[str, ...]], set[int]] = {(part, ()): set() for part in absent}
    for each in live:
        if each.owner.part in PARTS_THAT_SHARE:
            owned.setdefault((each.owner.part, each.owner.selected), set()).update(each.owner.partitions)
    texts = []
    for (part, selected), numbers in sorted(owned.items()):
        missing = set(range(partitions)) - numbers
        if missing:
            of = f" of {', '.join(selected)}" if selected else ""
            texts.append(f"partition numbers without {part}{of}: {spell_numbers(missing)}")
    return texts
