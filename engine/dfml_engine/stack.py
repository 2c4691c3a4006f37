"""A stack of parts in one process on one event loop: all of them, or one beside other processes.

``async with Stack(settings) as stack`` starts everything and drains it at the end; the lineage tap is a child process.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Self

from dfml.clock import Clock, wall_clock_ms
from dfml.errors import LogUnavailableError
from dfml.log import open_log
from dfml.operations.pages import Pages, PagesServer
from dfml.settings import SQLITE_SCHEME, Settings
from dfml.spec.schema import AnyResource
from dfml.topics import Topics
from dfml_engine.control import Control
from dfml_engine.gateways.model import ModelGateway
from dfml_engine.gateways.pipeline import PipelineGateway
from dfml_engine.gateways.rest import RestServer, create_app, serve_rest
from dfml_engine.loop import EventLoop
from dfml_engine.parts import ALL_PARTS, Part, Parts
from dfml_engine.registry import LoadedSpec
from dfml_engine.selection import ALL, Selection
from dfml_engine.share import JointShare, MembersShare
from dfml_engine.stack_lock import StackLock
from dfml_engine.tap_child import TapChild
from dfml_engine.watch import pages_of

logger = logging.getLogger(__name__)

PATIENCE_S = 2.0
"""How long an event loop waits for the write of another process: callers wait with it, and are told 503 after that."""
DRAIN_LOOK_S = 0.01
WAIT_S = 1.0
"""Between two looks for a log that is not there yet."""


class Stack:
    """Engine, model gateway, pipeline gateway with its REST face, and the tap.

    Parameters
    ----------
    settings : Settings
        Everything that can be set.
    clock : Clock
        Milliseconds since the epoch.
    part : Part or None
        The one part that this process runs, sharing the log and the work with others; None runs all, and the tap.
    selection : Selection
        Which pipelines an engine runs, or which models a model gateway calls.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock = wall_clock_ms,
        part: Part | None = None,
        selection: Selection = ALL,
    ) -> None:
        self.settings = settings
        self.topics = Topics(settings.prefix, settings.namespace)
        self._clock = clock
        self._part = part
        embedded = settings.log.startswith(SQLITE_SCHEME)
        self._lock = StackLock(settings.log, shared=part is not None) if embedded else None
        self._exits = AsyncExitStack()
        self.tap: TapChild | None = None
        self._rest: RestServer | None = None
        self._selection = selection
        self._stop_by_s = 0.0
        self.url = ""
        """Where this process answers: its REST gateway, or its pages where it has none."""

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start everything; when it returns, requests are answered.

        Raises
        ------
        ConflictError
            If another stack holds the log, or its topics have another partition count.
        LogError
            If the log cannot be opened.
        """
        if self._lock is not None:
            self._lock.acquire()
            self._exits.callback(self._lock.release)
        try:
            await self._start()
        except BaseException:
            await self._exits.aclose()
            raise

    async def _start(self) -> None:
        """Start; a log that is somewhere else may come later than this process, or go while it starts."""
        said = ""
        while True:
            try:
                return await self._start_parts()
            except LogUnavailableError as error:
                if self._lock is not None:
                    raise
                await self._exits.aclose()
                if said != str(error):
                    logger.warning("waiting for the log: %s", error)
                said = str(error)
                await asyncio.sleep(WAIT_S)

    async def _start_parts(self) -> None:
        """Start part after part; each says how it is stopped, last in first out."""
        opened = await asyncio.to_thread(open_log, self._log_settings(), patience_s=PATIENCE_S)
        self.log = self._exits.enter_context(opened)
        kept = self.settings
        self.control = Control(
            self.log, self.topics, partitions=kept.partitions, retention_ms=kept.retention_ms, clock=self._clock
        )
        self.control.prepare()
        self.parts = self._make_parts()
        if self.settings.tap and self._part is None:
            self.tap = TapChild(self.settings)
            await self.tap.start()
            self._exits.push_async_callback(self.tap.stop)
        self._exits.push_async_callback(self.parts.stop)
        pages = pages_of(self.parts, self.log, self._part.value if self._part else "all", self.settings.partitions)
        if self.parts.gateway is None:
            server = PagesServer(pages, self.settings.metrics_host, self.settings.metrics_port)
            self._exits.callback(server.close)
            self.url = server.url
            self.parts.announcer.tell_url(self.url)
            self.parts.start()
        else:
            self.parts.start()
            await self._serve(pages)

    async def _serve(self, pages: Pages) -> None:
        app = create_app(self.gateway, pages, max_request_bytes=self.settings.max_request_bytes)
        self._rest = await serve_rest(app, self.settings.rest_host, self.settings.rest_port)
        self._exits.push_async_callback(self._close_rest, self._rest)
        self.url = f"http://{self.settings.rest_host}:{self._rest.port}"
        self.parts.announcer.tell_url(self.url)
        if self._lock is not None:
            self._lock.announce(self.url)

    async def _close_rest(self, rest: RestServer) -> None:
        await rest.close(max(self._stop_by_s - time.monotonic(), 0))

    def _make_parts(self) -> Parts:
        if self._lock is not None and self._part is None:
            return Parts(self.settings, self.log, ALL_PARTS, self._clock)
        chosen = ALL_PARTS if self._part is None else {self._part}
        groups = [self._selection.group(part.value) for part in chosen]
        shares = [MembersShare(self.log, group, self.settings.partitions) for group in groups]
        share = shares[0] if len(shares) == 1 else JointShare(shares)
        return Parts(self.settings, self.log, chosen, self._clock, share, self._selection)

    def _log_settings(self) -> Settings:
        """Return the settings of this part's log: what only enters and answers requests has no use for transactions."""
        return replace(self.settings, delivery="identity") if self._part is Part.PIPELINE_GATEWAY else self.settings

    async def stop(self) -> None:
        """Take no more work, finish what is under way (within the setting ``drain_timeout_ms``), stop the tap last."""
        self.parts.drain()
        self._stop_by_s = time.monotonic() + self.settings.drain_timeout_ms / 1000
        # Counts reach zero here; an event would have to be set on the way of every request.
        while not self.parts.drained and time.monotonic() < self._stop_by_s:  # noqa: ASYNC110
            await asyncio.sleep(DRAIN_LOOK_S)
        await self._exits.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # -- use ----------------------------------------------------------------------------------------------------------

    @property
    def loop(self) -> EventLoop:
        """What drives the workers."""
        return self.parts.loop

    @property
    def models(self) -> ModelGateway:
        """The model gateway."""
        assert self.parts.models is not None
        return self.parts.models

    @property
    def gateway(self) -> PipelineGateway:
        """The core of the pipeline gateway: submit, await, look up."""
        assert self.parts.gateway is not None
        return self.parts.gateway

    @property
    def rest_port(self) -> int:
        """The port that the REST gateway listens on."""
        assert self._rest is not None
        return self._rest.port

    def load(self, resources: Sequence[AnyResource], *, from_beginning: bool = False) -> list[LoadedSpec]:
        """Load resources and take them up at once; ``from_beginning`` as :meth:`Control.load` has it."""
        loaded = self.control.load(resources, from_beginning=from_beginning)
        self.loop.catch_up()
        self.parts.registry.take_up()
        self.loop.refresh()
        self.loop.write_now()
        return loaded
