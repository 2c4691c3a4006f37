"""The partition numbers of a process: gained, lost, and given up while the log is away."""

from pathlib import Path

import pytest

from dfml.errors import FencedError
from dfml.log import TopicConfig
from dfml.log.sqlite import SqliteLog
from dfml.record import TopicName, TopicPartition
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
    assert share.owned == frozenset()
    assert share.look() == Handover(gained=gained)


def test_a_member_that_lost_its_share_commits_nothing(log: SqliteLog):
    share = MembersShare(log, "g", 2)
    share.look()
    share.lose()
    with pytest.raises(FencedError, match="may not commit"):
        log.append([], [share.commit("g", {TopicPartition(TOPIC, 0): 1})])
