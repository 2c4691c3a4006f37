"""What every log promises of group membership; nothing here knows which one it runs on."""

from itertools import pairwise

import pytest

from dfml.errors import ConflictError, FencedError
from dfml.log import Commit, Log, Membership, TopicConfig
from dfml.record import Append, TopicPartition
from tests.dfml.log.backends import A0, A, Backend, read, until

N_PARTITIONS = 8
EVERY = set(range(N_PARTITIONS))


@pytest.fixture(autouse=True)
def _topic(log: Log) -> None:
    log.create_topics([TopicConfig(A, N_PARTITIONS)])


def settle(*members: Membership) -> list[frozenset[int]]:
    """Poll the members until they own every partition number between them; return what each owns."""
    owned: list[frozenset[int]] = []

    def is_shared_out() -> bool:
        owned[:] = [member.poll() for member in members]
        sizes = [len(numbers) for numbers in owned]
        return frozenset().union(*owned) == EVERY and max(sizes) - min(sizes) <= 1

    until(is_shared_out)
    return owned


def commit(log: Log, member: Membership, number: int, offset: int = 1) -> None:
    place = TopicPartition(A, number)
    record = Append(A, number, b"k", b"v")
    log.append([record], [Commit("g", {place: offset}, member.member, member.generation)])


def test_a_single_member_owns_every_partition_number(log: Log) -> None:
    member = log.join("g", N_PARTITIONS)
    assert settle(member) == [EVERY]


def test_members_share_evenly_and_own_nothing_in_common(log: Log, other: Log) -> None:
    owned = settle(log.join("g", N_PARTITIONS), other.join("g", N_PARTITIONS), other.join("g", N_PARTITIONS))
    assert sorted(map(len, owned)) == [2, 3, 3]
    assert sum(map(len, owned)) == N_PARTITIONS


def test_members_have_names_of_their_own(log: Log) -> None:
    assert log.join("g", N_PARTITIONS).member != log.join("g", N_PARTITIONS).member


def test_groups_do_not_share_with_each_other(log: Log) -> None:
    first, second = log.join("g", N_PARTITIONS), log.join("h", N_PARTITIONS)
    assert settle(first) == settle(second) == [EVERY]


def test_a_newcomer_moves_no_more_than_its_share(log: Log, other: Log) -> None:
    first, second = log.join("g", N_PARTITIONS), other.join("g", N_PARTITIONS)
    before = settle(first, second)
    after = settle(first, second, log.join("g", N_PARTITIONS))
    assert after[0] < before[0]
    assert after[1] < before[1]


def test_a_number_is_handed_over_only_when_its_owner_has_let_go(log: Log, other: Log) -> None:
    old = log.join("g", N_PARTITIONS)
    settle(old)
    new = other.join("g", N_PARTITIONS)
    for _ in range(3):
        assert new.poll() == frozenset()
    commit(log, old, 7)
    assert len(settle(old, new)[1]) == N_PARTITIONS // 2


def test_a_leaver_hands_over_at_once(log: Log, other: Log) -> None:
    leaver, stays = log.join("g", N_PARTITIONS), other.join("g", N_PARTITIONS)
    settle(leaver, stays)
    leaver.leave()
    assert settle(stays) == [EVERY]
    with pytest.raises(FencedError):
        leaver.poll()


def test_a_silent_member_is_replaced_and_fenced(log: Log, other: Log, backend: Backend) -> None:
    silent, lively = log.join("g", N_PARTITIONS), other.join("g", N_PARTITIONS)
    settle(silent, lively)
    backend.pass_ms(4000)
    lively.poll()
    backend.pass_ms(4000)
    assert settle(lively) == [EVERY]
    with pytest.raises(FencedError, match="join again"):
        silent.poll()


def test_a_member_that_polls_often_enough_is_not_replaced(log: Log, other: Log, backend: Backend) -> None:
    members = log.join("g", N_PARTITIONS), other.join("g", N_PARTITIONS)
    before = settle(*members)
    for _ in range(5):
        backend.pass_ms(4000)
        assert [member.poll() for member in members] == before


def test_the_time_out_is_the_members_own(log: Log, other: Log, backend: Backend) -> None:
    patient = log.join("g", N_PARTITIONS, session_timeout_ms=60_000)
    settle(patient)
    impatient = other.join("g", N_PARTITIONS)
    backend.pass_ms(5000)
    assert impatient.poll() == frozenset()
    backend.pass_ms(2000)
    assert patient.poll()


def test_an_owner_commits_and_its_records_are_written(log: Log) -> None:
    member = log.join("g", N_PARTITIONS)
    settle(member)
    commit(log, member, 0, offset=5)
    assert log.committed("g", [A0]) == {A0: 5}
    assert len(read(log, A0)) == 1


def test_a_replaced_member_writes_nothing(log: Log, other: Log, backend: Backend) -> None:
    silent = log.join("g", N_PARTITIONS)
    settle(silent)
    commit(log, silent, 0)
    backend.pass_ms(10_000)
    settle(other.join("g", N_PARTITIONS))
    with pytest.raises(FencedError, match="may not commit"):
        commit(log, silent, 0, offset=9)
    assert log.committed("g", [A0]) == {A0: 1}
    assert len(read(log, A0)) == 1


def test_a_member_that_comes_back_commits_as_a_new_one(log: Log, backend: Backend) -> None:
    silent = log.join("g", N_PARTITIONS)
    settle(silent)
    backend.pass_ms(10_000)
    again = log.join("g", N_PARTITIONS)
    settle(again)
    commit(log, again, 0)
    assert again.generation > silent.generation
    assert log.committed("g", [A0]) == {A0: 1}


def test_somebody_who_never_joined_is_fenced(log: Log) -> None:
    with pytest.raises(FencedError, match="'nobody' of generation 1 may not commit"):
        log.append([], [Commit("g", {A0: 1}, "nobody", 1)])
    assert log.committed("g", [A0]) == {}


def test_a_generation_from_before_the_member_came_is_stale(log: Log, other: Log) -> None:
    settle(log.join("g", N_PARTITIONS))
    late = other.join("g", N_PARTITIONS)
    with pytest.raises(FencedError, match="may not commit"):
        other.append([], [Commit("g", {}, late.member, late.generation - 1)])
    other.append([], [Commit("g", {}, late.member, late.generation)])


def test_without_a_generation_no_membership_is_needed(log: Log) -> None:
    settle(log.join("g", N_PARTITIONS))
    log.append([], [Commit("g", {A0: 1})])
    assert log.committed("g", [A0]) == {A0: 1}


def test_generations_grow_when_members_come_and_go(log: Log, other: Log) -> None:
    first = log.join("g", N_PARTITIONS)
    generations = [first.generation]
    second = other.join("g", N_PARTITIONS)
    settle(first, second)
    generations.append(first.generation)
    second.leave()
    settle(first)
    generations.append(first.generation)
    assert all(earlier < later for earlier, later in pairwise(generations))


def test_members_must_agree_on_the_number_of_partitions(log: Log, other: Log) -> None:
    log.join("g", N_PARTITIONS)
    with pytest.raises(ConflictError, match="shares 8 partition numbers among 1 members, expected 4"):
        other.join("g", 4)


def test_a_group_that_everybody_left_may_share_another_number(log: Log) -> None:
    log.join("g", N_PARTITIONS).leave()
    assert log.join("g", 4).poll() == {0, 1, 2, 3}


def test_who_abandons_its_place_leaves_it_to_the_others(log: Log, other: Log) -> None:
    gone, stays = log.join("g", N_PARTITIONS), other.join("g", N_PARTITIONS)
    settle(gone, stays)
    gone.abandon()
    assert settle(stays) == [EVERY]
    with pytest.raises(FencedError):
        commit(log, gone, 0)
