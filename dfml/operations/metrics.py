"""The metrics of every process: their names, kinds and labels in one table, and the text that Prometheus reads.

A process counts in plain numbers and is asked for them when somebody looks, so a record costs nothing here.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Kind(Enum):
    """What a metric's numbers mean: counted since the start, as it is now, or how durations are spread (seconds)."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name, what it says, its labels."""

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()


FAMILIES = (
    Family("dfml_ready", Kind.GAUGE, "1 when /readyz says so, else 0"),
    Family("dfml_partitions_owned", Kind.GAUGE, "partition numbers that this process owns"),
    Family("dfml_records_read_total", Kind.COUNTER, "records handed to a part", ("part",)),
    Family("dfml_records_written_total", Kind.COUNTER, "records written by a part", ("part",)),
    Family("dfml_errors_total", Kind.COUNTER, "of those written: records on the errors topic", ("part",)),
    Family("dfml_fire_seconds", Kind.HISTOGRAM, "append of a batch's oldest record to writing its results", ("part",)),
    Family("dfml_lag_records", Kind.GAUGE, "records not read yet", ("topic", "partition")),
    Family("dfml_held_records", Kind.GAUGE, "records that are still needed: in joins, in calls", ("part",)),
    Family("dfml_paused_topics", Kind.GAUGE, "topics that wait because a worker holds as much as it may"),
    Family("dfml_unwritten_records", Kind.GAUGE, "records that wait for the log to take them"),
    Family("dfml_rebalances_total", Kind.COUNTER, "handovers of partition numbers to or from this process"),
    Family("dfml_fenced_total", Kind.COUNTER, "times that this process had been replaced when it wrote"),
    Family("dfml_retries_total", Kind.COUNTER, "writes that were refused and tried again"),
    Family("dfml_unreadable_control_records_total", Kind.COUNTER, "records on control topics that are none of ours"),
    Family("dfml_calls_in_flight", Kind.GAUGE, "calls of a model under way or queued", ("model",)),
    Family("dfml_requests_in_flight", Kind.GAUGE, "requests that have no answer yet"),
    Family("dfml_requests_in_flight_bytes", Kind.GAUGE, "their size"),
    Family("dfml_requests_accepted_total", Kind.COUNTER, "requests that are on the log"),
    Family("dfml_requests_refused_total", Kind.COUNTER, "requests answered with 503", ("reason",)),
    Family("dfml_lost_records_total", Kind.COUNTER, "records that retention removed before the tap read them"),
)
"""Every metric; those of parts that a process does not run are left out of its answer."""


class Spread(NamedTuple):
    """How many durations there were in each class, the last one unbounded; the classes' upper bounds; their sum."""

    counts: Sequence[int]
    bounds_s: Sequence[float]
    sum_s: float


class Sample(NamedTuple):
    """One number of a metric, or one spread, with the values of its labels."""

    name: str
    value: float | Spread
    labels: tuple[str, ...] = ()


class Exposition(Collector):
    """The metrics as text.

    Parameters
    ----------
    samples : callable
        Returns the numbers of now; it is called on the thread that asks.
    """

    def __init__(self, samples: Callable[[], Iterable[Sample]]) -> None:
        self._samples = samples
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def render(self) -> bytes:
        """Return the text; the process's own memory, processor time and open files are in it too."""
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Return no names beforehand: nothing is asked of the process when it is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the families that have numbers, in the order of :data:`FAMILIES`."""
        found: dict[str, list[Sample]] = {}
        for sample in self._samples():
            found.setdefault(sample.name, []).append(sample)
        for family in FAMILIES:
            if family.name in found:
                yield _metric(family, found[family.name])


def _metric(family: Family, samples: Iterable[Sample]) -> Metric:
    if family.kind is Kind.HISTOGRAM:
        spreads = HistogramMetricFamily(family.name, family.text, labels=family.labels)
        for sample in samples:
            if isinstance(sample.value, Spread):
                spreads.add_metric(sample.labels, _cumulated(sample.value), sample.value.sum_s)
        return spreads
    made_by = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
    numbers = made_by(family.name, family.text, labels=family.labels)
    for sample in samples:
        if not isinstance(sample.value, Spread):
            numbers.add_metric(sample.labels, sample.value)
    return numbers


def _cumulated(spread: Spread) -> list[tuple[str, float]]:
    buckets, n_so_far = [], 0
    for bound, count in zip([*(f"{bound:g}" for bound in spread.bounds_s), "+Inf"], spread.counts, strict=True):
        n_so_far += count
        buckets.append((bound, float(n_so_far)))
    return buckets
