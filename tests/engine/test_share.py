"""The partition numbers of a process: gained, lost, and given up while the log is away."""

from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest

from dfml.errors import FencedError, LogUnavailableError
from dfml.log import TopicConfig
from dfml.log.sqlite import SqliteLog
from dfml.log.sqlite.file_lock import FileLock
from dfml.record import Append, TopicName, TopicPartition
from dfml_engine.loop import EventLoop
from dfml_engine.outcome import Outcome
from dfml_engine.share import Handover, MembersShare

TOPIC = TopicName("t")


@pytest.fixture
def log(tmp_path: Path) -> SqliteLog:
    opened = SqliteLog(tmp_path / "log.db")
    opened.create_topics([TopicConfig(TOPIC, 2)])
    return opened


def test_a_share_that_is_lost_is_given_up_although_the_log_is_away(log: SqliteLog):
    share = MembersShare(log, "g", 2)
    gained = share.look().gained
    log.close()
    assert share.lose() == Handover(lost=gained)


def test_a_member_that_lost_its_share_joins_again_at_the_next_look(log: SqliteLog):
    share = MembersShare(log, "g", 2)
    gained = share.look().gained
    share.lose()
    assert (share.owned, share.joined) == (frozenset(), False)
    assert share.look() == Handover(gained=gained)
    assert share.joined


def test_a_look_does_not_wait_for_a_log_that_is_away_and_says_so_when_the_log_does(log: SqliteLog, tmp_path: Path):
    share = MembersShare(log, "g", 2)
    share.look()
    share.lose()
    holder = FileLock(tmp_path / "log.db-lock")
    assert holder.acquire(1)
    assert share.look() == Handover()
    assert not share.joined
    holder.close()
    until = Event()
    while not share.look():
        until.wait(0.01)
    assert share.joined


def test_a_member_that_lost_its_share_commits_nothing(log: SqliteLog):
    share = MembersShare(log, "g", 2)
    share.look()
    share.lose()
    with pytest.raises(FencedError, match="may not commit"):
        log.append([], [share.commit("g", {TopicPartition(TOPIC, 0): 1})])


@dataclass
class Idle:
    """A worker of a group that reads a topic and does nothing about it."""

    group: str = "g"
    inherits: str = "g"

    def topics(self, names=frozenset({TOPIC})):
        return names

    def paused(self, none=frozenset()):
        return none

    def resume(self, log, starts): ...

    def release(self, partitions): ...

    def handle(self, batch):
        return Outcome(self.group)

    def tick(self, now_ms):
        return Outcome(self.group)

    def wake_ms(self):
        return None


async def test_what_the_log_refused_is_left_to_the_next_owner_of_its_partition_number(tmp_path, monkeypatch, wait):
    now_ms = [0]
    log = SqliteLog(tmp_path / "log.db", clock=lambda: now_ms[0])
    log.create_topics([TopicConfig(TOPIC, 1)])
    loop = EventLoop(log, share=MembersShare(log, "g", 1))
    loop.add(Idle())
    loop.start()
    monkeypatch.setattr(log, "send", lambda _appends, _commits, settled: settled((), LogUnavailableError("full")))
    loop.submit(Outcome("g", [Append(TOPIC, 0, b"k", b"late")], {TopicPartition(TOPIC, 0): 1}))
    await wait(lambda: loop.refusal)
    now_ms[0] += 10_000
    other = log.join("g", 1)
    other.poll()
    other.leave()
    await wait(lambda: loop.n_unwritten == 0)
    monkeypatch.undo()
    await loop.stop()
    assert log.end([TopicPartition(TOPIC, 0)]) == {TopicPartition(TOPIC, 0): 0}
