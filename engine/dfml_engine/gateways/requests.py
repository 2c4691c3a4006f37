"""The requests that a pipeline gateway knows: on their way, and ended of late.

Ended ones are remembered by the position of their answer and a digest of the request, so that a caller's second try is
recognised and answered alike. The table is bounded; what it forgot is found in the log, more slowly.
"""

import os
import re
import time
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from dfml import headers as h
from dfml.errors import ConflictError
from dfml.record import Headers, Position, Record
from dfml_engine.gateways.api import Answer

if TYPE_CHECKING:
    import asyncio

REMEMBER_MS = 600_000
"""How long a request that never ends is kept as being on its way, and how far back a new gateway looks."""
REMEMBER_REQUESTS = 100_000
"""How many ended requests are remembered by id."""
DIGEST_BYTES = 8
UUID_7 = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?7[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}")

RequestKey = tuple[str, str]
"""Pipeline and request id."""


@dataclass(slots=True)
class OpenRequest:
    """A request on its way. The futures are made when somebody waits for them."""

    key: RequestKey
    partition: int
    version: int
    digest: bytes
    since_ms: int
    deadline_ms: int | None
    n_bytes: int
    answer: "asyncio.Future[Answer] | None" = None
    accepted: "asyncio.Future[None] | None" = None
    waiters: int = 0
    on_log: bool = False

    def tell_accepted(self) -> None:
        """Wake who waits for the request to be on the log."""
        self.on_log = True
        if self.accepted is not None and not self.accepted.done():
            self.accepted.set_result(None)

    def tell_answer(self, answer: Answer) -> None:
        """Wake who waits for the answer."""
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(answer)

    def tell_failure(self, error: Exception) -> None:
        """Wake everybody with an error."""
        for future in (self.accepted, self.answer):
            if future is not None and not future.done():
                future.set_exception(error)


@dataclass(frozen=True, slots=True)
class EndedRequest:
    """Where a request's answer is; ``digest`` is empty where the request itself was not seen."""

    position: Position
    digest: bytes


class RequestTable:
    """Requests by pipeline and id."""

    def __init__(self) -> None:
        self._open: dict[RequestKey, OpenRequest] = {}
        self._ended: OrderedDict[RequestKey, EndedRequest] = OrderedDict()
        self.n_bytes = 0

    def __len__(self) -> int:
        """How many requests are on their way."""
        return len(self._open)

    def open(self, key: RequestKey) -> OpenRequest | None:
        """Return a request on its way."""
        return self._open.get(key)

    def ended(self, key: RequestKey) -> EndedRequest | None:
        """Return a request that ended of late."""
        return self._ended.get(key)

    def knows(self, key: RequestKey, digest: bytes) -> bool:
        """Return whether this very request is on its way or has ended.

        Raises
        ------
        ConflictError
            If another request has had this id.
        """
        before = self._open.get(key) or self._ended.get(key)
        if before is None:
            return False
        if before.digest != digest:
            msg = f"request id '{key[1]}' was used before for another request to pipeline '{key[0]}'; give a new id"
            raise ConflictError(msg)
        return True

    def enter(self, request: OpenRequest) -> None:
        """Take a request on its way; of one that has ended already, take what recognises it."""
        ended = self._ended.get(request.key)
        if ended is None:
            self.leave(request.key)
            self._open[request.key] = request
            self.n_bytes += request.n_bytes
        elif not ended.digest:
            self._ended[request.key] = EndedRequest(ended.position, request.digest)

    def prolong(self, key: RequestKey, deadline_ms: int) -> None:
        """Let the callers of a request on its way wait until then at least: one of them has just asked again."""
        request = self._open.get(key)
        if request is not None:
            request.deadline_ms = max(request.deadline_ms or 0, deadline_ms)

    def leave(self, key: RequestKey) -> None:
        """Forget a request on its way."""
        self._take_out(key)

    def _take_out(self, key: RequestKey) -> OpenRequest | None:
        request = self._open.pop(key, None)
        if request is not None:
            self.n_bytes -= request.n_bytes
        return request

    def leave_partitions(self, partitions: Collection[int]) -> list[OpenRequest]:
        """Forget the requests on their way on these partition numbers, and return them."""
        left = [request for request in self._open.values() if request.partition in partitions]
        for request in left:
            self._take_out(request.key)
        return left

    def end(self, key: RequestKey, position: Position) -> OpenRequest | None:
        """Take note of a request's answer and return the request, if it was on its way here."""
        request = self._take_out(key)
        self._ended[key] = EndedRequest(position, request.digest if request else b"")
        if len(self._ended) > REMEMBER_REQUESTS:
            self._ended.popitem(last=False)
        return request

    def forget_old(self, now_ms: int) -> None:
        """Forget requests on their way that nothing was heard of for too long; they stay findable in the log.

        One that somebody waits for is kept, whatever the clock says: that one's patience has an end of its own.
        """
        for key, request in list(self._open.items()):
            if max(request.since_ms, request.deadline_ms or 0) + REMEMBER_MS > now_ms:
                return
            if not request.waiters:
                self._take_out(key)


def reopen(record: Record) -> OpenRequest:
    """Make the state of a request from its record on the pipeline's inputs."""
    deadline, version = record.header(h.DEADLINE), record.header(h.VERSION) or b"0"
    return OpenRequest(
        key=request_key(record),
        partition=record.partition,
        version=int(version) if version.isdigit() else 0,
        digest=digest_of(record.value),
        since_ms=record.timestamp_ms,
        deadline_ms=int(deadline) if deadline is not None and deadline.isdigit() else None,
        n_bytes=len(record.value),
        on_log=True,
    )


def entry_headers(named: tuple[str, int, str], given: Headers, deadline_ms: int | None) -> Headers:
    """Return the headers of a request's first record: ours (pipeline, version, request id) before the caller's."""
    pipeline, version, request_id = named
    own: Headers = (
        (h.PIPELINE, pipeline.encode()),
        (h.VERSION, b"%d" % version),
        (h.REQUEST, request_id.encode()),
    )
    if deadline_ms is not None:
        own += ((h.DEADLINE, b"%d" % deadline_ms),)
    taken = {name for name, _ in own}
    return own + tuple(header for header in given if header[0] not in taken)


def request_key(record: Record) -> RequestKey:
    """Return the pipeline and the request that a record belongs to."""
    pipeline = record.header(h.PIPELINE) or b""
    return pipeline.decode(errors="replace"), record.key.decode(errors="replace")


def digest_of(value: bytes) -> bytes:
    """Return a short digest of a serialised request."""
    return blake2b(value, digest_size=DIGEST_BYTES).digest()


def new_request_id() -> str:
    """Draw a UUID of version 7 (RFC 9562) as 32 hex digits: it begins with the time, so ids sort by it."""
    drawn = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10))
    return f"{drawn & ~_UUID_MARKS | _UUID_7:032x}"


def time_of(request_id: str) -> int | None:
    """Return when an id was drawn, milliseconds since the epoch; None when it is no UUID of version 7."""
    if UUID_7.fullmatch(request_id) is None:
        return None
    return int(request_id.replace("-", "")[:12], 16)


_UUID_MARKS = 0xF << 76 | 0x3 << 62
_UUID_7 = 0x7 << 76 | 0x2 << 62
