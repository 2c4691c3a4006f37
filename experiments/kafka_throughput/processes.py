"""Processes that are watched from outside: their CPU time and memory, as the kernel counts them."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dfml.settings import Settings, to_environment
from experiments.running import DFML

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
STOP_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Watched:
    """Processes that work side by side."""

    pids: tuple[int, ...]

    def cpu_s(self) -> float:
        """Return the CPU seconds that they have used."""
        return sum(sum(map(int, _stat(pid)[11:13])) for pid in self.pids) / TICKS_PER_S

    def memory_bytes(self) -> int:
        """Return the memory of the largest."""
        return max(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids) * PAGE_BYTES


def _stat(pid: int) -> list[str]:
    """Return the fields of ``/proc/PID/stat`` behind the name, which may hold blanks."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()


@contextmanager
def workers(settings: Settings, part: str, number: int) -> Iterator[Watched]:
    """Run some processes of one part until the block is left."""
    env = {**os.environ, **to_environment(settings)}
    with _running([[*DFML, "run", part]] * number, env) as watched:
        yield watched


@contextmanager
def bare_loop(servers: str, source: str, sink: str, n_partitions: int) -> Iterator[Watched]:
    """Run the bare loop until the block is left."""
    module = "experiments.kafka_throughput.bare"
    command = [sys.executable, "-m", module, servers, source, sink, str(n_partitions)]
    with _running([command], dict(os.environ)) as watched:
        yield watched


@contextmanager
def _running(commands: Sequence[Sequence[str]], env: dict[str, str]) -> Iterator[Watched]:
    started = [subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) for command in commands]
    try:
        yield Watched(tuple(process.pid for process in started))
    finally:
        for process in started:
            process.terminate()
        for process in started:
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
