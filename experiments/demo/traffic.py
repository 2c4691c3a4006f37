"""Sends claims through the REST gateway and says when they went and what came back."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import httpx

from experiments.apps.insurance_claims.faults import PIPELINE
from experiments.apps.insurance_claims.generator import Claim, to_request

N_CLIENTS = 8
"""Claims on their way at once: enough to keep two cores busy, few enough that latencies are not mere queueing."""
TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Window:
    """Requests sent in one go: ``since_ms`` <= every entry < ``until_ms``, milliseconds since the epoch."""

    since_ms: int
    until_ms: int
    n_answered: int
    n_failed: int

    @property
    def n_requests(self) -> int:
        """How many were sent."""
        return self.n_answered + self.n_failed


def send(url: str, claims: Sequence[Claim], prefix: str, advance: Callable[[], None]) -> Window:
    """Send the claims with several clients and wait for every answer; ``advance`` is called for each.

    An answer that says that the pipeline failed is counted, not raised. Request ids are ``PREFIX-00000`` and so on.

    Raises
    ------
    ConnectionError
        If the gateway cannot be reached or does not answer in time.
    """
    try:
        return asyncio.run(_send(url, claims, prefix, advance))
    except httpx.TransportError as error:
        msg = f"the gateway at {url} did not answer a request ({type(error).__name__}); what it said is in dfml.log"
        raise ConnectionError(msg) from error


async def _send(url: str, claims: Sequence[Claim], prefix: str, advance: Callable[[], None]) -> Window:
    waiting = enumerate(claims)
    since_ms = time.time_ns() // 1_000_000
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S) as client:
        counts = await asyncio.gather(*(_client(client, waiting, prefix, advance) for _ in range(N_CLIENTS)))
    n_failed = sum(counts)
    return Window(since_ms, time.time_ns() // 1_000_000 + 1, len(claims) - n_failed, n_failed)


async def _client(
    client: httpx.AsyncClient, waiting: Iterator[tuple[int, Claim]], prefix: str, advance: Callable[[], None]
) -> int:
    n_failed = 0
    for number, claim in waiting:
        body = to_request(claim, f"{prefix}-{number:05d}")
        answer = await client.post(f"/v2/pipelines/{PIPELINE}/infer", json=body)
        n_failed += answer.is_error
        advance()
    return n_failed
