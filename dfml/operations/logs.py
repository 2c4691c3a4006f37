"""The lines of log on stderr: as text for people, or one JSON object a line for what collects them.

Each line has time, level, part, worker and message, and the fields that were given as ``extra``. Positions are spelled
``topic[partition]@offset`` everywhere.
"""

import logging
import os
import socket
import sys
from datetime import UTC, datetime

import orjson

from dfml.settings import LogFormat

PACKAGES = ("dfml", "dfml_engine", "dfml_analysis")
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def worker_name() -> str:
    """Return the name of this process among those on one log: its host and its number."""
    return f"{socket.gethostname()}-{os.getpid()}"


class Lines(logging.Formatter):
    """Makes a line of a record of the standard library's logging.

    Parameters
    ----------
    form : str
        ``text`` or ``json``.
    part : str
        What the process runs; empty for verbs of the command line, whose lines name no part and worker.
    """

    def __init__(self, form: LogFormat, part: str = "") -> None:
        super().__init__()
        self._form = form
        self._named = {"part": part, "worker": worker_name()} if part else {}

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback follows it as text and is its field ``error`` as JSON."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(" ", "milliseconds")[:-6]
        fields = {name: value for name, value in vars(record).items() if name not in _OWN}
        message = record.getMessage()
        error = self.formatException(record.exc_info) if record.exc_info else ""
        if self._form == "json":
            line = {"time": f"{time.replace(' ', 'T')}Z", "level": record.levelname.lower(), **self._named}
            line |= {"logger": record.name, "message": message, **fields}
            return orjson.dumps(line | ({"error": error} if error else {}), default=str).decode()
        named = "".join(f" {value}" for value in self._named.values())
        given = "".join(f" {name}={value}" for name, value in fields.items())
        return f"{time} {record.levelname:<7}{named} {record.name}: {message}{given}" + (f"\n{error}" if error else "")


def set_up_logs(form: LogFormat, part: str = "", *, debug: bool = False) -> None:
    """Write the process's lines to stderr in this form, in place of what was set up before."""
    root, handler = logging.getLogger(), logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines(form, part))
    for before in [each for each in root.handlers if isinstance(each.formatter, Lines)]:
        root.removeHandler(before)
    root.addHandler(handler)
    for package in PACKAGES:
        logging.getLogger(package).setLevel(logging.DEBUG if debug else logging.INFO)
