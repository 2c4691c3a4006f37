"""Points in time and windows as people write them on a command line.

================================  ====================================================
``now``                           the time of asking
``-5m``, ``-90s``, ``-1.5h``      that long ago (``ms``, ``s``, ``m``, ``h``, ``d``)
``1700000000000``                 milliseconds since the epoch
``2026-03-01``, ``2026-03-01T12:30:00Z``  ISO 8601; without an offset it is UTC
``A..B``                          from A (included) to B (not included); ``A..`` is up to now
================================  ====================================================
"""

import re
from datetime import UTC, datetime

from dfml.errors import BadInputError

_AGO = re.compile(r"-(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_FORMS = "now, -5m (ms, s, m, h, d), milliseconds since the epoch or an ISO time like 2026-03-01T12:30:00Z"


def parse_time(text: str, now_ms: int) -> int:
    """Return a point in time, milliseconds since the epoch.

    Raises
    ------
    BadInputError
        If the text is none of the forms above.
    """
    given = text.strip()
    if given == "now":
        return now_ms
    ago = _AGO.fullmatch(given)
    if ago:
        return now_ms - round(float(ago[1]) * _UNIT_MS[ago[2]])
    if given.isascii() and given.isdigit() and len(given) > len("20260301"):
        return int(given)
    try:
        moment = datetime.fromisoformat(given)
    except ValueError as error:
        msg = f"time {text!r}: expected {_FORMS}"
        raise BadInputError(msg) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def parse_window(text: str, now_ms: int) -> tuple[int, int]:
    """Return ``A..B`` as (since, until), milliseconds since the epoch; until is not included.

    Raises
    ------
    BadInputError
        If there are not two points in time, or the second does not lie after the first.
    """
    first, dots, second = text.partition("..")
    if not dots or not first.strip():
        msg = f"window {text!r}: expected A..B, each of {_FORMS}"
        raise BadInputError(msg)
    since_ms, until_ms = parse_time(first, now_ms), parse_time(second or "now", now_ms)
    if until_ms <= since_ms:
        msg = f"window {text!r}: it ends {since_ms - until_ms} ms before it begins, expected A before B"
        raise BadInputError(msg)
    return since_ms, until_ms
