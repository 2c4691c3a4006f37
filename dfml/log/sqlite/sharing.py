"""Which member of a group should own which partition number: even shares, and as few moves as possible."""

from collections.abc import Collection, Mapping


def share_out(
    members: Collection[str], n_partitions: int, owners: Mapping[int, str], leaving: Collection[int] = ()
) -> dict[int, str]:
    """Return the member that each partition number 0 to ``n_partitions - 1`` should belong to.

    Shares differ by at most one. Nobody loses a number unless its share is over; the larger shares go to those who
    own most already. Of an owner with too many, numbers in ``leaving`` (it is giving them up already) go first, then
    the highest. The outcome depends on the arguments alone, so every member that computes it agrees.
    """
    if not members:
        return {}
    owned = _owned(members, n_partitions, owners, leaving)
    by_load = sorted(members, key=lambda member: (-len(owned[member]), member))
    base, extra = divmod(n_partitions, len(members))
    shares = {member: base + (place < extra) for place, member in enumerate(by_load)}
    kept = {member: owned[member][: shares[member]] for member in by_load}
    targets = {number: member for member, numbers in kept.items() for number in numbers}
    free = (number for number in range(n_partitions) if number not in targets)
    for member in by_load:
        for _ in range(shares[member] - len(kept[member])):
            targets[next(free)] = member
    return targets


def _owned(
    members: Collection[str], n_partitions: int, owners: Mapping[int, str], leaving: Collection[int]
) -> dict[str, list[int]]:
    owned: dict[str, list[int]] = {member: [] for member in members}
    for number in sorted(owners, key=lambda number: (number in leaving, number)):
        if owners[number] in owned and number < n_partitions:
            owned[owners[number]].append(number)
    return owned
