"""What a process of parts shows of itself: whether it does its work, and its numbers."""

from collections.abc import Iterator, Sequence

from dfml.errors import LogError
from dfml.log.base import Log
from dfml.operations.metrics import Sample, Spread
from dfml.operations.pages import Pages
from dfml_engine.counts import BOUNDS_S
from dfml_engine.parts import Parts


def pages_of(parts: Parts, log: Log, part: str, partitions: int) -> Pages:
    """Return the pages of a process; they are answered on any thread.

    Parameters
    ----------
    parts : Parts
        What it runs.
    log : Log
        Asked for the ends of the topics when somebody wants the lag.
    part : str
        What the pages call the process.
    partitions : int
        The partition count of the namespace.
    """
    return Pages(part, parts.problems, lambda: parts.share.among(partitions), lambda: _samples(parts, log))


def _samples(parts: Parts, log: Log) -> Iterator[Sample]:
    yield from _of_loop(parts, log)
    yield from _lags(parts, log)
    yield Sample("dfml_unreadable_control_records_total", parts.registry.n_unreadable)
    if parts.engine is not None:
        yield Sample("dfml_held_records", parts.engine.n_held, (parts.engine.group,))
    if parts.models is not None:
        yield Sample("dfml_held_records", parts.models.n_held, (parts.models.group,))
        for model, n_calls in parts.models.calls_in_flight().items():
            yield Sample("dfml_calls_in_flight", n_calls, (model,))
    if parts.gateway is not None:
        yield Sample("dfml_requests_in_flight", parts.gateway.outstanding)
        yield Sample("dfml_requests_in_flight_bytes", parts.gateway.outstanding_bytes)
        yield Sample("dfml_requests_accepted_total", parts.gateway.n_accepted)
        for reason, n_refused in parts.gateway.admission.refused.copy().items():
            yield Sample("dfml_requests_refused_total", n_refused, (reason,))


def _of_loop(parts: Parts, log: Log) -> Iterator[Sample]:
    counts = parts.loop.counts
    for name, by_group in (
        ("dfml_records_read_total", counts.read),
        ("dfml_records_written_total", counts.written),
        ("dfml_errors_total", counts.failures),
    ):
        for group, count in by_group.copy().items():
            yield Sample(name, count, (group or "control",))
    for group, fired in counts.fired.copy().items():
        yield Sample("dfml_fire_seconds", Spread(tuple(fired.counts), BOUNDS_S, fired.sum_s), (group,))
    yield Sample("dfml_paused_topics", len(parts.loop.paused))
    yield Sample("dfml_unwritten_records", parts.loop.n_unwritten + log.n_unsettled)
    yield Sample("dfml_rebalances_total", counts.rebalances)
    yield Sample("dfml_fenced_total", counts.fenced)
    yield Sample("dfml_retries_total", counts.retries)


def _lags(parts: Parts, log: Log) -> Iterator[Sample]:
    """Yield the lags; none where the log cannot say: the other numbers are wanted most then."""
    positions = parts.loop.positions()
    try:
        ends = log.end(positions)
    except LogError:
        return
    for place, position in sorted(positions.items()):
        yield Sample("dfml_lag_records", max(ends[place] - position, 0), _named(place))


def _named(place: Sequence[object]) -> tuple[str, ...]:
    return tuple(map(str, place))
