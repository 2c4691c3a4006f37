"""Who is at work, as the log tells it."""

import pytest

from dfml.operations.owners import FORGET_MS, STALE_MS, Owner, Owners
from dfml.record import Record
from dfml.topics import Topics

TOPICS = Topics()
OWNER = Owner("engine", "host-1", "host", 1, (0, 3), 7, ("a*",), "http://x")


def record(append, at_ms=0):
    return Record(append.topic, append.partition, 0, append.key, append.value, append.headers, at_ms)


@pytest.fixture
def owners():
    class Clock:
        now_ms = 0

    return Owners(lambda: Clock.now_ms), Clock


def test_what_an_owner_says_of_itself_is_read_as_it_was_said(owners):
    known, _ = owners
    assert known.take(record(OWNER.to_append(TOPICS), 5))
    assert [(seen.owner, seen.seen_ms) for seen in known.all()] == [(OWNER, 5)]


def test_saying_it_again_is_no_news_but_keeps_it_alive(owners):
    known, clock = owners
    known.take(record(OWNER.to_append(TOPICS)))
    clock.now_ms = STALE_MS
    assert not known.take(record(OWNER.to_append(TOPICS), STALE_MS))
    clock.now_ms = 2 * STALE_MS
    assert known.live("engine") == [OWNER]


def test_who_leaves_is_gone_and_who_falls_silent_is_stale_and_later_forgotten(owners):
    known, clock = owners
    silent = Owner("engine", "host-2", "host", 2, (1,), 7)
    for each in (OWNER, silent):
        known.take(record(each.to_append(TOPICS)))
    assert known.take(record(OWNER.leave(TOPICS)))
    assert known.live("engine") == [silent]
    clock.now_ms = STALE_MS + 1
    assert (known.live("engine"), len(known.all()), known.forgotten()) == ([], 1, {})
    clock.now_ms = FORGET_MS + 1
    assert list(known.forgotten()) == [silent.key]


def test_a_clock_that_was_set_back_declares_nobody_dead(owners):
    known, clock = owners
    known.take(record(OWNER.to_append(TOPICS), 1_000_000))
    clock.now_ms = 0
    assert known.live("engine") == [OWNER]


@pytest.mark.parametrize("value", [b"{", b"[]", b"7", b'{"part": "engine"}', b"\xff\x00"])
def test_what_is_none_of_ours_is_refused_and_changes_nothing(owners, value):
    known, _ = owners
    append = OWNER.to_append(TOPICS)
    with pytest.raises((ValueError, KeyError, TypeError)):
        known.take(Record(append.topic, 0, 0, append.key, value, (), 0))
    with pytest.raises(ValueError, match="the key is b'other'"):
        known.take(Record(append.topic, 0, 0, b"other", append.value, (), 0))
    assert known.all() == []
