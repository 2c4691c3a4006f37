"""A campaign from its start to what the log says at its end."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from dfml.clock import wall_clock_ms
from dfml.lineage.audit import Audit, audit
from dfml.lineage.store import LineageStore
from dfml.lineage.tap import Tap
from dfml.log import Log, open_log
from dfml.record import TopicName, TopicPartition
from dfml.settings import Settings
from dfml.spec import parse_resources
from dfml.topics import Topics
from dfml_engine.control import Control
from dfml_engine.gateways.lookup import read_range
from experiments.crash_campaign.disturbing import Disturbance
from experiments.crash_campaign.house import House
from experiments.crash_campaign.load import Load
from experiments.crash_campaign.pipelines import documents

ANSWER_S = 90.0
"""Longer than anything that is known to pass by itself: what is not answered by then hangs."""
REST_S = 120.0
"""Twice the window of a join: what an `any` join has fired with is needed until the others have come, or it closes."""
LOOK_AGAIN_S = 0.1
SHOWN = 10
READERS = {("model", "inputs"): "model-gateway", ("model", "outputs"): "engine", ("pipeline", "inputs"): "engine"}
"""Whose positions tell that the records of a topic have their fate."""
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Course:
    """How a campaign went.

    Attributes
    ----------
    recovery_s
        For each disturbance, how long it took until all requests that were open then had their answer; the time that
        the broker was away does not count.
    stuck
        For each disturbance that some of these were still open ``ANSWER_S`` later: which.
    unanswered
        Requests that were not answered in ``ANSWER_S`` seconds at the end.
    needed
        Some of the records that engine and model gateway still needed at the end; they should need none.
    """

    recovery_s: tuple[float, ...]
    stuck: tuple[str, ...]
    unanswered: frozenset[str]
    needed: tuple[str, ...]


def run(house: House, load: Load, plan: Sequence[Disturbance], tell: Callable[[str], None]) -> Course:
    """Load the pipelines, start the parts and the callers, disturb, and wait until everything is at rest."""
    topics = Topics(house.settings.prefix, house.settings.namespace)
    with open_log(house.settings) as log:
        control = Control(log, topics, partitions=house.settings.partitions)
        control.load(parse_resources(documents(), source="campaign"))
    house.start()
    load.start()
    if not load.wait_for_answers(1, ANSWER_S):
        msg = f"no request was answered within {ANSWER_S:g} s of the start"
        raise RuntimeError(msg)
    recovery_s, stuck = [], []
    for number, disturbance in enumerate(plan, 1):
        time.sleep(disturbance.after_s)
        took_s, left = _disturb(house, load, disturbance)
        recovery_s.append(took_s)
        what = f"{disturbance.way.value} {disturbance.target}"
        tell(f"{number}/{len(plan)} {what}: recovered after {took_s:.2f} s, {len(load.answered_s)} requests answered")
        if left:
            stuck.append(f"{what}: {sorted(left)} were not answered within {ANSWER_S:g} s")
    unanswered = load.stop(ANSWER_S)
    with open_log(house.settings, read_only=True) as log:
        needed = _wait_for_rest(log, topics)
    return Course(tuple(recovery_s), tuple(stuck), unanswered, needed)


def _disturb(house: House, load: Load, disturbance: Disturbance) -> tuple[float, frozenset[str]]:
    """Disturb and return how long the requests that were open took, and those that are still open."""
    waiting = load.open()
    since_s = house.disturb(disturbance)
    load.wait_for(waiting, ANSWER_S)
    left = load.open() & waiting
    until_s = time.monotonic() if left else max((load.answered_s[request] for request in waiting), default=since_s)
    return max(until_s - since_s, 0.0), left


def _wait_for_rest(log: Log, topics: Topics) -> tuple[str, ...]:
    """Wait until engine and model gateway need no record any more; return some of those that they still do."""
    until_s = time.monotonic() + REST_S
    while (needed := _needed(log, topics)) and time.monotonic() < until_s:
        time.sleep(LOOK_AGAIN_S)
    return needed


def _needed(log: Log, topics: Topics) -> tuple[str, ...]:
    starts: dict[TopicPartition, int] = {}
    for name, config in log.topics().items():
        ref = topics.parse(name)
        group = None if ref is None else READERS.get((ref.kind, ref.port))
        if group is not None:
            places = [TopicPartition(name, number) for number in range(config.partitions)]
            starts |= log.beginning(places) | log.committed(group, places)
    # Offsets do not tell: a transaction's marker has one too.
    return tuple(str(record.position) for record in islice(read_range(log, starts), SHOWN))


def account(settings: Settings) -> Audit:
    """Read what the taps had not read yet, and account for every record, long after every deadline."""
    topics = Topics(settings.prefix, settings.namespace)
    with (
        open_log(settings, read_only=True) as log,
        LineageStore(settings.lineage_path, topics=topics) as store,
    ):
        tap = Tap(log, store, topics)
        tap.catch_up()
        tap.close()
        return audit(store, now_ms=wall_clock_ms() + HOUR_MS)


def remove_topics(settings: Settings) -> None:
    """Delete the campaign's topics: the cluster may be somebody's."""
    topics = Topics(settings.prefix, settings.namespace)
    with open_log(settings) as log:
        own = [name for name in log.topics() if name.startswith(f"{settings.prefix}.")]
        log.delete_topics([*own, TopicName(f"{topics.workers}.{settings.partitions}")])
