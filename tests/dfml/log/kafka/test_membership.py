"""What a member owns while the log that it is to take over from, or to leave in order, does not answer."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from uuid import uuid4

import pytest

from dfml.aside import call_aside
from dfml.errors import FencedError, LogUnavailableError
from dfml.log import TopicConfig
from dfml.log.kafka import KafkaLog
from dfml.log.kafka.client import Clients, Health
from dfml.log.kafka.group import Handover, KafkaMembership
from dfml.record import TopicName
from dfml.settings import KafkaOptions
from tests.dfml.log.backends import until

Numbers = frozenset[int]


def done(_member: KafkaMembership, _numbers: Numbers) -> Future[None]:
    future: Future[None] = Future()
    future.set_result(None)
    return future


def nothing(_member: KafkaMembership, _numbers: Numbers) -> None: ...


def nobody(_member: KafkaMembership) -> None: ...


def away(_member: KafkaMembership, _numbers: Numbers) -> None:
    msg = "the log is away"
    raise LogUnavailableError(msg)


def prepared_never(_member: KafkaMembership, _numbers: Numbers) -> Future[None]:
    return call_aside(partial(away, _member, _numbers))


@pytest.fixture
def join(kafka_address: str) -> Iterator[Callable[..., KafkaMembership]]:
    """Join one group that shares four partition numbers."""
    options = KafkaOptions(kafka_address.removeprefix("kafka://"))
    group, members = f"g-{uuid4().hex[:8]}", []
    with KafkaLog(options) as log:
        log.create_topics([TopicConfig(TopicName(f"{group}.4"), 4)])

        def enter(
            prepare: Callable = done, release: Callable = nothing, lost: Callable = nobody, timeout_ms: int = 6_000
        ) -> KafkaMembership:
            clients, handover = (
                Clients(options, Health("", lambda: None), group),
                Handover(prepare, nothing, release, lost),
            )
            members.append(KafkaMembership(clients, group, TopicName(f"{group}.4"), timeout_ms, handover))
            return members[-1]

        yield enter
        for member in members:
            member.close()


def test_numbers_that_cannot_be_taken_up_are_none_of_the_members_until_they_can(join: Callable) -> None:
    answers = [prepared_never, done]

    def prepared_at_the_second_try(member: KafkaMembership, numbers: Numbers) -> Future[None]:
        return answers.pop(0)(member, numbers)

    member = join(prepared_at_the_second_try)
    with pytest.raises(LogUnavailableError, match="away"):
        until(member.poll)
    assert member.owned == frozenset()
    assert member.poll() == {0, 1, 2, 3}


def test_a_poll_does_not_wait_until_numbers_that_came_are_free(join: Callable) -> None:
    free: Future[None] = Future()
    asked = []
    member = join(lambda _member, numbers: (asked.append(numbers), free)[-1])
    until(lambda: (member.poll(), asked)[-1])
    assert member.poll() == frozenset()
    free.set_result(None)
    assert member.poll() == {0, 1, 2, 3}
    assert asked == [{0, 1, 2, 3}]


def test_numbers_go_although_their_positions_cannot_be_committed(join: Callable) -> None:
    old = join(release=away)
    until(old.poll)
    new = join()
    until(lambda: len(old.poll()) == len(new.poll()) == 2)
    assert old.owned | new.owned == {0, 1, 2, 3}


def test_who_was_silent_for_too_long_is_no_member_whether_or_not_the_client_knows_it_yet(join: Callable) -> None:
    told = []
    member = join(lost=told.append, timeout_ms=1_000)
    time.sleep(1.1)
    with pytest.raises(FencedError, match="was away too long"):
        member.poll()
    assert told == [member]


def test_numbers_that_were_never_taken_up_are_not_handed_over(join: Callable) -> None:
    released = []
    old = join(prepared_never, lambda _member, numbers: released.append(numbers))
    new = join()

    def is_shared() -> bool:
        with suppress(LogUnavailableError):
            old.poll()
        return len(new.poll()) == 2

    until(is_shared)
    assert released == []
