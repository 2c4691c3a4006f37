"""The tap as a process of its own: ``python -m dfml.lineage.tap_process``."""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from types import FrameType
from typing import TYPE_CHECKING

from dfml.clock import wall_clock_ms
from dfml.errors import ConflictError, DfmlError, LogUnavailableError
from dfml.lineage.rows import Kept
from dfml.lineage.store import LineageStore
from dfml.lineage.tap import Tap
from dfml.lineage.tap_watch import PART, TapWatch, keep_announced
from dfml.log import open_log
from dfml.log.base import Log
from dfml.operations.logs import set_up_logs
from dfml.operations.pages import PagesServer
from dfml.settings import Settings, load_settings
from dfml.topics import Topics

if TYPE_CHECKING:
    from dfml.spec.schema import AnyResource

_logger = logging.getLogger(__name__)

_PARENT_LOOK_S = 0.5
"""Between looks whether the parent is still there."""
_RETRY_S = (0.1, 5.0)
"""First and longest wait before a log that cannot be opened is tried again."""
_INTERRUPTED = 130
"""What a shell expects of a process that a second signal ended; the store's transaction under way is undone."""
_LEAVE_S = 2.0
"""How long the end waits for the log to take that the tap has left."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a tap is given beside its settings: what it keeps, and documents of pipelines that others run."""

    kept: Kept
    resources: Sequence["AnyResource"] = ()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a tap until SIGTERM (then what is there is read first) or until its parent dies; return the exit code."""
    options = _parser().parse_args(arguments)
    kept = Kept(options.payload_limit, options.payload_share)
    stop = Event()
    _listen(stop, options.parent_pid)
    watch = TapWatch()
    try:
        settings = _settings(options)
        resources = _documents(options.load)
        set_up_logs(settings.log_format, PART)
        server = PagesServer(watch.pages, settings.metrics_host, settings.metrics_port)
        topics = Topics(settings.prefix, settings.namespace)
        announcing = keep_announced(lambda: open_log(settings), topics, server.url, stop)
        _serve_until(settings, Given(kept, resources), stop, watch, server.url)
        announcing.join(_LEAVE_S)
        server.close()
    except DfmlError as error:
        _logger.error("%s", error)  # noqa: TRY400
        return 1
    return 0


def _settings(options: argparse.Namespace) -> Settings:
    """Put the options over environment and settings file, as everywhere."""
    names = ("log", "lineage", "prefix", "namespace", "metrics_port")
    return load_settings(None, os.environ, {name: getattr(options, name) for name in names})


def _documents(files: Sequence[Path]) -> Sequence["AnyResource"]:
    if not files:
        return ()
    # Imported here: only the tap of a foreign installation is given documents.
    from dfml.spec import load_files  # noqa: PLC0415

    return load_files(list(files))


def _serve_until(settings: Settings, given: Given, stop: Event, watch: TapWatch, url: str) -> None:
    wait_s = _RETRY_S[0]
    while not _serve(settings, given, stop, watch, url):
        stop.wait(wait_s)
        wait_s = min(2 * wait_s, _RETRY_S[1])


def _serve(settings: Settings, given: Given, stop: Event, watch: TapWatch, url: str) -> bool:
    """Open log and store, say so on stdout, and tap until ``stop``; return False where opening may work later."""
    topics = Topics(settings.prefix, settings.namespace)
    try:
        with (
            open_log(settings, read_only=True) as log,
            LineageStore(settings.lineage_path, topics=topics, kept=given.kept) as store,
        ):
            _keep(given.resources, log, store, topics)
            tap = Tap(log, store, topics)
            watch.tap = tap
            sys.stdout.write(f"ready tap {url}\n")
            sys.stdout.flush()
            tap.run(stop, settings.drain_timeout_ms / 1000)
            tap.close()
    except LogUnavailableError as error:
        if watch.waits_for != str(error):
            _logger.warning("the tap waits: %s", error)
        watch.waits_for = str(error)
        return stop.is_set()
    return True


def _keep(resources: Sequence["AnyResource"], log: Log, store: LineageStore, topics: Topics) -> None:
    if not resources:
        return
    if topics.specs in log.topics():
        msg = (
            f"--load is for pipelines that others run, but topic '{topics.specs}' is there: load them with 'dfml load'"
        )
        raise ConflictError(msg)
    from dfml.lineage.documents import keep_documents  # noqa: PLC0415

    keep_documents(store, topics, resources, wall_clock_ms())


def _listen(stop: Event, parent_pid: int | None) -> None:
    """Set ``stop`` on SIGTERM and when the parent is gone; a second signal ends at once.

    A child leaves the terminal's SIGINT to its parent.
    """

    def end(_signal: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(_INTERRUPTED)
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end if parent_pid is None else signal.SIG_IGN)
    if parent_pid is not None:
        Thread(target=_watch, args=(parent_pid, stop), daemon=True, name="parent watch").start()


def _watch(parent_pid: int, stop: Event) -> None:
    while not stop.wait(_PARENT_LOOK_S):
        # An orphan is handed to another process: the parent's number is then no longer our parent's.
        if os.getppid() != parent_pid:
            stop.set()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dfml.lineage.tap_process", description="Keep every record of a namespace in a lineage store."
    )
    parser.add_argument("--log", help="sqlite:///PATH or kafka://HOST:PORT (DFML_LOG)")
    parser.add_argument("--store", dest="lineage", type=Path, help="the store's file, made if need be (DFML_LINEAGE)")
    parser.add_argument("--prefix", help="first word of the topics (DFML_PREFIX)")
    parser.add_argument("--namespace", help="second word of the topics (DFML_NAMESPACE)")
    parser.add_argument("--metrics-port", type=int, help="port of health and metrics (DFML_METRICS_PORT)")
    parser.add_argument("--parent-pid", type=int, help="end when this process, which started the tap, is gone")
    parser.add_argument(
        "--load", type=Path, action="append", default=[], metavar="FILE", help="a document of pipelines that others run"
    )
    parser.add_argument("--payload-limit", type=int, metavar="BYTES", help="keep no payload longer than this")
    parser.add_argument(
        "--payload-share", type=float, default=1.0, metavar="0..1", help="keep the payloads of this share of requests"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
