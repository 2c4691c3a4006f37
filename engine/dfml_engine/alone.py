"""Whether a whole stack in one process has its namespace for itself, where the log is one that many processes share.

It works on a partition number only while it owns it for every part. Beside processes of single parts some numbers
would have an engine and no gateway: their requests would wait for ever. On the embedded log a lock file says the same.
"""

import os
import socket
from collections import defaultdict
from collections.abc import Iterable, Sequence

from dfml.operations.owners import Owner


def company_problem(mine: Sequence[Owner], others: Iterable[Owner], n_parts: int) -> str:
    """Return why a process cannot work beside these others, or "".

    Parameters
    ----------
    mine : sequence of Owner
        One for each part of this process.
    others : iterable of Owner
        Who was heard of lately, this process too; those that died on this machine are passed over.
    n_parts : int
        How many parts make a whole stack.
    """
    at_work: dict[str, list[Owner]] = defaultdict(list)
    for owner in others:
        if owner.worker != mine[0].worker and not _has_died(owner):
            at_work[owner.worker].append(owner)
    for owners in at_work.values():
        what = f"{owners[0].worker} ({', '.join(owner.part for owner in owners)})"
        where = f", which answers at {owners[0].url}," if owners[0].url else ""
        until = "one that was killed on another machine counts as running for 20 seconds"
        if len(owners) == n_parts:
            return (
                f"process {what}{where} is a whole stack and has the namespace for itself: use it, or stop it and run "
                f"every part by 'dfml run' ({until})"
            )
        if len(mine) == n_parts:
            return (
                f"a whole stack wants the namespace for itself, and process {what} is at work in it: stop that, or run "
                f"the other parts by 'dfml run' too ({until})"
            )
    return ""


def _has_died(owner: Owner) -> bool:
    if owner.host != socket.gethostname():
        return False
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
