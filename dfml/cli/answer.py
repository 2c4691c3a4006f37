"""``answer``: how a request ended that nobody waited for."""

import asyncio
import time
from typing import Annotated

import typer

from dfml.cli.gateway import Reply, UrlOption, call, open_client, pipeline_url, print_answer
from dfml.cli.output import FAILED, Output, OutputOption, complain, print_json
from dfml.cli.target import LogOption, find_target

POLL_S = 0.1
"""Between two looks while waiting."""


def answer(
    ctx: typer.Context,
    pipeline: Annotated[str, typer.Argument(help="The pipeline's name.")],
    request_id: Annotated[str, typer.Argument(help="The request's id.")],
    wait: Annotated[float, typer.Option(min=0.0, help="Wait up to so many seconds for the answer.")] = 0.0,
    url: UrlOption = None,
    log: LogOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Print the answer of a request that was sent with `dfml infer --async`; exit code 1 while there is none.

    Example: `dfml answer claims claim-17 --wait 10`
    """
    place = pipeline_url(url or find_target(ctx, log).rest_url, pipeline, "requests", request_id)
    reply = asyncio.run(_ask_until_ended(place, wait))
    reply.require()
    if not reply.pending:
        print_answer(reply, output)
        return
    if output is Output.JSON:
        print_json(reply.document)
    missing = ", ".join(reply.document.get("waiting_for", ())) or "its first step"
    complain(f"{request_id} has no answer yet; it waits for {missing}")
    raise typer.Exit(FAILED)


async def _ask_until_ended(place: str, wait_s: float) -> Reply:
    deadline_s = time.monotonic() + wait_s
    with open_client(place) as client:
        async with client:
            reply = await call(client, "GET", place, {})
            while reply.pending and time.monotonic() < deadline_s:
                await asyncio.sleep(POLL_S)
                reply = await call(client, "GET", place, {})
    return reply
