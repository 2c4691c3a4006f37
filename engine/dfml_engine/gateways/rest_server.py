"""The HTTP server under a face: uvicorn on the running event loop, without its hold on signals and process."""

import asyncio
import math
import socket
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from dfml.errors import SettingsError


@dataclass(frozen=True, slots=True)
class RestServer:
    """A server that is listening."""

    port: int
    _server: uvicorn.Server
    _ticks: "asyncio.Task[None]"

    async def close(self, grace_s: float) -> None:
        """Take no more connections, let open calls end within the grace period, then close all."""
        self._server.config.timeout_graceful_shutdown = math.ceil(grace_s)
        self._server.should_exit = True
        await self._ticks
        await self._server.shutdown()


async def serve_rest(app: ASGIApp, host: str, port: int) -> RestServer:
    """Serve an application on the running event loop; port 0 takes a free one.

    Raises
    ------
    SettingsError
        If the address cannot be listened on: it is in use, not this machine's, or not allowed.
    """
    listening = _listen(host, port)
    config = uvicorn.Config(
        app,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listening])
    return RestServer(listening.getsockname()[1], server, asyncio.create_task(server.main_loop()))


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        msg = f"rest_host {host!r}, rest_port {port}: cannot listen there: {error.strerror or error}"
        raise SettingsError(msg) from error
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # not every event loop sets it by itself
    listening.setblocking(False)
    return listening
