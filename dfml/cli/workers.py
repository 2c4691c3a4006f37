"""``status --workers``: who is at work on a log, and which partition numbers each owns."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from dfml.cli.output import Output, print_json, print_table, say
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
    columns = ("part", "worker", "numbers", "for", "last seen", "address")
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
    from dfml.operations.owners import group_of

    owner = seen.owner
    ago = f"{spell_duration(now_ms - seen.seen_ms)} ago"
    numbers = "all" if owner.part == "tap" else spell_numbers(owner.partitions) or "none"
    return (
        group_of(owner.part, owner.selected),
        owner.worker,
        numbers,
        spell_duration(now_ms - owner.since_ms),
        f"stale: {ago}" if seen.is_stale(now_ms) else ago,
        owner.url.removeprefix("http://"),
    )


def spell_duration(duration_ms: int) -> str:
    """Return a duration in its largest whole unit; one that a clock made negative as 0 s."""
    seconds = max(duration_ms, 0) // 1000
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


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
