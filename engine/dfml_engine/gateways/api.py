"""What a face (REST, gRPC) needs of the pipeline gateway's core: submit, await, cancel, look up."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from dfml.inference.oip_pb2 import InferRequest
from dfml.record import Headers


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request ended: ``value`` is a serialised InferResponse when ``status`` is 200, else UTF-8 error text."""

    request_id: str
    status: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Pending:
    """A request that has not ended: ``waiting_for`` names the records it still needs."""

    request_id: str
    waiting_for: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PipelineStatus:
    """One loaded pipeline: ``reason`` says why it is not ready, ``synchronous`` whether it has an output to answer."""

    name: str
    version: int
    ready: bool
    reason: str = ""
    synchronous: bool = True


@dataclass(frozen=True, slots=True)
class SubmitOptions:
    """What the caller said beside the payload.

    ``request_id`` None asks the core to draw one; ``timeout_ms`` None takes the default; ``headers`` go on the record.
    """

    request_id: str | None = None
    headers: Headers = ()
    timeout_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """The core's receipt for a request: what :meth:`PipelineGatewayApi.result` and the others find it by.

    ``route`` names the candidate that an experiment chose; sent back by the caller it makes the choice sticky.
    """

    pipeline: str
    request_id: str
    route: str = ""


class PipelineGatewayApi(Protocol):
    """The core of the pipeline gateway, as its faces see it. All calls are made on one event loop."""

    def ready(self) -> bool:
        """Return whether requests can be taken: the log is open and the answers are being read."""
        ...

    def pipelines(self) -> Mapping[str, PipelineStatus]:
        """Return the loaded pipelines by name; asked for every request, so it must cost nothing."""
        ...

    def reading(self, n_bytes: int) -> AbstractContextManager[None]:
        """Keep room for a request's body of that size while it is read.

        Raises
        ------
        OverloadedError
            If requests and bodies together would hold more bytes than allowed.
        """
        ...

    def submit(self, pipeline: str, request: InferRequest, options: SubmitOptions) -> Submission:
        """Send a request on its way and return its receipt, without waiting for the log.

        Raises
        ------
        NotFoundError
            If there is no such pipeline.
        ConflictError
            If a request of that id is on its way already.
        OverloadedError
            If as many requests as allowed are on their way, or the pipeline is not ready.
        """
        ...

    async def result(self, submission: Submission) -> Answer:
        """Wait for the request's end.

        Raises
        ------
        DeadlineError
            If it does not end in time; the text says what it was waiting for.
        """
        ...

    async def accepted(self, submission: Submission) -> None:
        """Wait until the request is on the log, from where no crash can lose it."""
        ...

    def cancel(self, submission: Submission) -> None:
        """Forget a request whose caller went away: nobody waits for its answer. What is on the log stays there."""
        ...

    async def lookup(self, pipeline: str, request_id: str) -> Answer | Pending:
        """Return how a request ended, or what it waits for.

        Raises
        ------
        NotFoundError
            If that pipeline has had no such request.
        """
        ...
