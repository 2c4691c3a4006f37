"""The tap of a whole stack: a child process, started again when it dies."""

import asyncio
import logging
import os
import sys

from dfml.settings import Settings, to_environment

logger = logging.getLogger(__name__)

RESTART_S = (1.0, 30.0)
"""First and longest wait before a tap that died is started again."""
LIVED_S = 60.0
"""A tap that ran for so long had a start that was good; the next wait is a short one."""


class TapChild:
    """A tap that runs for as long as the stack does. What it misses while it is dead waits for it on the log."""

    def __init__(self, settings: Settings) -> None:
        self._environment = {**os.environ, **to_environment(settings)}
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The process, 0 while there is none."""
        return self._process.pid if self._process is not None else 0

    async def start(self) -> None:
        """Start the tap, and start it again whenever it dies."""
        self._process = await self._run()
        self._keeping = asyncio.create_task(self._keep(self._process))

    async def stop(self) -> None:
        """Let the tap read what is there, and end it."""
        assert self._keeping is not None
        self._keeping.cancel()
        await asyncio.gather(self._keeping, return_exceptions=True)
        if self._process is not None:
            self._process.terminate()
            await self._process.wait()

    async def _run(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "dfml.lineage.tap_process", "--parent-pid", str(os.getpid()), "--metrics-port", "0"),
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )

    async def _keep(self, process: asyncio.subprocess.Process) -> None:
        now_s = asyncio.get_running_loop().time
        wait_s = RESTART_S[0]
        while True:
            began_s = now_s()
            code = await process.wait()
            self._process = None
            if now_s() - began_s > LIVED_S:
                wait_s = RESTART_S[0]
            logger.error("the tap ended with code %s; it is started again in %g s, and misses nothing", code, wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, RESTART_S[1])
            self._process = process = await self._run()
