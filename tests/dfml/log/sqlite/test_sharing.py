"""Rules of the sharing out of partition numbers."""

from hypothesis import given
from hypothesis import strategies as st

from dfml.log.sqlite.sharing import share_out

MEMBERS = st.sets(st.sampled_from("abcdef"), min_size=1)
OWNERS = st.dictionaries(st.integers(0, 15), st.sampled_from("abcdefgone"))
LEAVING = st.sets(st.integers(0, 15))


@given(members=MEMBERS, n_partitions=st.integers(1, 16), owners=OWNERS, leaving=LEAVING)
def test_every_number_has_a_member_and_shares_differ_by_at_most_one(
    members: set[str], n_partitions: int, owners: dict[int, str], leaving: set[int]
) -> None:
    targets = share_out(members, n_partitions, owners, leaving)
    assert sorted(targets) == list(range(n_partitions))
    counts = [list(targets.values()).count(member) for member in members]
    assert max(counts) - min(counts) <= 1
    assert sum(counts) == n_partitions


@given(members=MEMBERS, n_partitions=st.integers(1, 16), owners=OWNERS)
def test_no_more_numbers_move_than_the_shares_require(
    members: set[str], n_partitions: int, owners: dict[int, str]
) -> None:
    targets = share_out(members, n_partitions, owners)
    owned = [sum(owners.get(number) == member for number in range(n_partitions)) for member in members]
    base, extra = divmod(n_partitions, len(members))
    shares = [base + (place < extra) for place in range(len(members))]
    could_stay = sum(map(min, sorted(owned, reverse=True), shares))
    assert sum(targets[number] == owners.get(number) for number in range(n_partitions)) == could_stay


@given(members=MEMBERS, n_partitions=st.integers(1, 16), owners=OWNERS)
def test_an_outcome_that_was_reached_is_kept(members: set[str], n_partitions: int, owners: dict[int, str]) -> None:
    targets = share_out(members, n_partitions, owners)
    assert share_out(members, n_partitions, targets) == targets


@given(members=MEMBERS, n_partitions=st.integers(1, 16), owners=OWNERS)
def test_what_is_being_given_up_stays_what_is_given_up(
    members: set[str], n_partitions: int, owners: dict[int, str]
) -> None:
    targets = share_out(members, n_partitions, owners)
    leaving = {number for number, target in targets.items() if owners.get(number) not in {None, target}}
    assert share_out(members, n_partitions, owners, leaving) == targets


def test_nobody_gets_anything_without_members() -> None:
    assert share_out([], 4, {0: "gone"}) == {}
