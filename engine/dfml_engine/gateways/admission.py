"""Which requests a pipeline gateway takes: within its bounds, on the partition numbers whose answers it reads."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Never
from zlib import crc32

from dfml.errors import OverloadedError
from dfml_engine.gateways.directory import Directory, LoadedPipeline
from dfml_engine.gateways.requests import RequestTable
from dfml_engine.share import Share


@dataclass(frozen=True, slots=True)
class PipelineGatewayOptions:
    """Limits: partition numbers, the default deadline (milliseconds), requests on their way at once and their size."""

    partitions: int = 1
    request_timeout_ms: int = 30_000
    max_outstanding_requests: int = 10_000
    max_outstanding_bytes: int = 256 * 1024 * 1024


class Admission:
    """Lets requests in, or refuses them with the reason; ``refused`` counts these by a word for it."""

    def __init__(self, options: PipelineGatewayOptions, share: Share, directory: Directory, requests: RequestTable):
        self._options = options
        self._share = share
        self._directory = directory
        self._requests = requests
        self.refused: Counter[str] = Counter()
        self.draining = False
        self._n_reading_bytes = 0

    @property
    def has_number(self) -> bool:
        """Whether this gateway has a partition number to send requests on."""
        return bool(self._share.among(self._options.partitions))

    def admit(self, pipeline: str) -> LoadedPipeline:
        """Return the pipeline that a request may go to now.

        Raises
        ------
        NotFoundError
            If it is not loaded.
        OverloadedError
            If it is not ready, the gateway is stopping, or a bound is reached.
        """
        try:
            loaded = self._directory.ready(pipeline)
        except OverloadedError:
            self.refused["not ready"] += 1
            raise
        if self.draining:
            self._refuse("stopping", "the gateway is shutting down")
        n_open, n_bytes = len(self._requests), self._requests.n_bytes
        if n_open >= self._options.max_outstanding_requests:
            self._refuse(
                "too many", f"{n_open} requests are on their way, which is the limit (max_outstanding_requests)"
            )
        if n_bytes >= self._options.max_outstanding_bytes:
            limit = f"{self._options.max_outstanding_bytes} bytes (max_outstanding_bytes)"
            self._refuse("too large", f"the requests on their way have {n_bytes} bytes, the limit is {limit}")
        return loaded

    @contextmanager
    def reading(self, n_bytes: int) -> Iterator[None]:
        """Keep room for a body of that size while the block runs; then it is a request on its way, or gone.

        One body finds room always when there is nothing else, whatever the bound.

        Raises
        ------
        OverloadedError
            If the requests on their way and the bodies being read would have more bytes than allowed.
        """
        held, limit = self._requests.n_bytes + self._n_reading_bytes, self._options.max_outstanding_bytes
        if held and held + n_bytes > limit:
            self._refuse("too large", f"requests of {held} bytes are on their way, of {limit} (max_outstanding_bytes)")
        self._n_reading_bytes += n_bytes
        try:
            yield
        finally:
            self._n_reading_bytes -= n_bytes

    def partition_for(self, request_id: str) -> int:
        """Choose one of the partition numbers whose answers this gateway reads.

        Raises
        ------
        OverloadedError
            If it has none.
        """
        numbers = self._share.among(self._options.partitions)
        if not numbers:
            self._refuse(
                "no partition number",
                "this gateway has no partition number now: others hold them all, or the log is away",
            )
        return number_for(request_id, numbers, self._options.partitions)

    def _refuse(self, reason: str, text: str) -> Never:
        self.refused[reason] += 1
        raise OverloadedError(text)


def number_for(request_id: str, owned: Sequence[int], partitions: int) -> int:
    """Choose one of the owned partition numbers for a request: the same for the same id, whatever else is owned then.

    So a request that is sent again after the gateway had to give its numbers up is recognised. One whose number is
    another's gets one of those that are owned.
    """
    chosen = crc32(request_id.encode())
    home = chosen % partitions
    return home if home in owned else owned[chosen % len(owned)]
