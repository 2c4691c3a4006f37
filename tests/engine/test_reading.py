"""What waits is read later, whole and in order; the rest goes on."""

import asyncio
from dataclasses import dataclass, field

import pytest

from dfml.errors import LogUnavailableError
from dfml.log import open_log
from dfml.log.base import TopicConfig
from dfml.record import Append, TopicName, TopicPartition
from dfml.settings import Settings
from dfml_engine.loop import EventLoop
from dfml_engine.outcome import Outcome
from dfml_engine.reading import Reading

SLOW, QUICK = TopicName("slow"), TopicName("quick")


@dataclass
class Reader:
    """A worker that keeps the values of two topics and lets one of them wait while it is told to."""

    group: str = "reader"
    inherits: str = "reader"
    values: dict[TopicName, list[bytes]] = field(default_factory=lambda: {SLOW: [], QUICK: []})
    waits: frozenset[TopicName] = frozenset()
    n_away: int = 0

    def topics(self, names=frozenset({SLOW, QUICK})):
        return names

    def paused(self):
        return self.waits

    def resume(self, log, starts):
        self.n_away -= 1
        if self.n_away >= 0:
            msg = "the log is away"
            raise LogUnavailableError(msg)

    def handle(self, batch):
        for record in batch:
            self.values[record.topic].append(record.value)
        return Outcome(self.group)

    def tick(self, now_ms):
        return Outcome(self.group)

    def wake_ms(self):
        return None


@pytest.fixture
def log(log_url):
    with open_log(Settings(log=log_url)) as opened:
        opened.create_topics([TopicConfig(SLOW), TopicConfig(QUICK)])
        yield opened


def outcome(topic, *values):
    return Outcome(appends=[Append(topic, 0, b"", value) for value in values])


async def test_what_cannot_begin_while_the_log_is_away_begins_later_and_once(log) -> None:
    loop, reader = EventLoop(log), Reader(n_away=1)
    log.append(outcome(SLOW, b"1", b"2").appends)
    with pytest.raises(LogUnavailableError, match="away"):
        loop.add(reader)
    loop.refresh()
    loop.refresh()
    loop.catch_up()
    assert reader.values[SLOW] == [b"1", b"2"]


async def test_a_topic_that_waits_is_read_on_where_it_was_left_and_the_others_go_on(log) -> None:
    loop, reader = EventLoop(log), Reader()
    loop.add(reader)
    for step, waits in enumerate((frozenset(), frozenset({SLOW}), frozenset())):
        reader.waits = waits
        loop.submit(outcome(QUICK, b"%d" % step))
        loop.write_now()
        loop.submit(outcome(SLOW, b"%d" % step))
        loop.write_now()
        assert len(reader.values[QUICK]) == step + 1
        assert loop.paused == waits
        assert len(reader.values[SLOW]) == (1 if waits else step + 1)
    assert reader.values[SLOW] == [b"0", b"1", b"2"]
    await loop.stop()


async def test_what_another_process_wrote_to_a_topic_that_waits_is_read_later(log, log_url) -> None:
    loop, reader = EventLoop(log), Reader(waits=frozenset({SLOW}))
    loop.add(reader)
    loop.submit(outcome(QUICK, b"0"))
    loop.write_now()
    with open_log(Settings(log=log_url)) as other:
        other.append([Append(SLOW, 0, b"", b"foreign")])
    loop.catch_up()
    assert reader.values[SLOW] == []
    reader.waits = frozenset()
    loop.submit(outcome(SLOW, b"own"))
    loop.write_now()
    loop.catch_up()
    assert reader.values[SLOW] == [b"foreign", b"own"]
    await loop.stop()


async def test_nothing_more_is_read_while_the_log_refuses_what_came_of_the_records_before(
    log, log_url, small_files
) -> None:
    loop, reader = EventLoop(log), Reader()
    loop.add(reader)
    with open_log(Settings(log=log_url)) as other:
        other.append([Append(SLOW, 0, b"", b"waits")])
    with small_files():
        loop.submit(outcome(QUICK, b"x" * 100_000))
        loop.write_now()
        assert isinstance(loop.refusal, LogUnavailableError)
        loop.catch_up()
        assert reader.values[SLOW] == []
    while loop.refusal is not None:  # noqa: ASYNC110 - it is tried again by a timer
        await asyncio.sleep(0.01)
    loop.catch_up()
    assert reader.values[SLOW] == [b"waits"]
    await loop.stop()


async def test_what_goes_to_a_topic_that_is_gone_is_kept_while_the_log_does_not_say_what_there_is(
    log, monkeypatch
) -> None:
    loop = EventLoop(log)
    loop.add(Reader())

    def away() -> None:
        msg = "the log is away"
        raise LogUnavailableError(msg)

    monkeypatch.setattr(log, "topics", away)
    loop.submit(outcome(TopicName("gone"), b"1"))
    loop.write_now()
    assert loop.n_unwritten == 1


def test_a_topic_that_the_log_does_not_list_for_a_moment_is_not_read_again(log) -> None:
    reading, place = Reading(log.reader()), TopicPartition(SLOW, 0)
    log.append(outcome(SLOW, b"1", b"2").appends)
    reading.begin(place, 0)
    assert len(reading.poll(10)) == 2
    reading.begin_anew({place: 2}, {})
    reading.begin_anew({place: 2}, {place: 2})
    assert reading.poll(10) == []
    reading.close()
