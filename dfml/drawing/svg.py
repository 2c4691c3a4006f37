"""The pieces of an SVG: elements, numbers, the room that a text takes, the colours of the light and the dark page."""

import unicodedata
from collections.abc import Mapping
from enum import Enum
from html import escape

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", Arial, sans-serif'

_WIDTHS = {
    0.30: "ijlI|!'.,:;`",
    0.42: 'frt()[]{}-/\\" *^',
    0.86: "mMGOQD#",
    1.00: "wW%@&+<>=~…→×≥≤±",
}
_WIDTH_OF = {letter: width for width, letters in _WIDTHS.items() for letter in letters}
LETTER_WIDTH = 0.66
CAPITAL_WIDTH = 0.76
SEMI_BOLD = 1.08


class Tone(Enum):
    """What a colour says: nothing special, fine, look here, at fault, shifted from outside, not in question."""

    PLAIN = "plain"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    SHIFT = "shift"
    MUTED = "muted"


LIGHT = {
    "surface": "#ffffff",
    "page": "#f7f8fa",
    "ink": "#1b2330",
    "soft": "#5d6878",
    "line": "#c9d0da",
    "edge": "#8b96a6",
    "plain": "#5b6b82",
    "good": "#1a7f4b",
    "warn": "#a86200",
    "bad": "#c3273a",
    "shift": "#5b3fd1",
    "muted": "#8b96a6",
    "plain-fill": "#ffffff",
    "good-fill": "#eaf7f0",
    "warn-fill": "#fff5e2",
    "bad-fill": "#fdecee",
    "shift-fill": "#f0edff",
    "muted-fill": "#f4f5f8",
    "before": "#3f7fbf",
    "after": "#d9622b",
}
DARK = {
    "surface": "#171c24",
    "page": "#0f1319",
    "ink": "#e7ebf1",
    "soft": "#9ba7b7",
    "line": "#364152",
    "edge": "#6c7a8d",
    "plain": "#a9b6c8",
    "good": "#56c48b",
    "warn": "#e6a94a",
    "bad": "#ff7585",
    "shift": "#ab9bff",
    "muted": "#6c7a8d",
    "plain-fill": "#1c222c",
    "good-fill": "#14291f",
    "warn-fill": "#2d2414",
    "bad-fill": "#341a20",
    "shift-fill": "#231d40",
    "muted-fill": "#171c24",
    "before": "#6aa9e6",
    "after": "#f28b55",
}


def colour(name: str) -> str:
    """Return the CSS variable of a colour of :data:`LIGHT`; a name it does not have raises ``KeyError``."""
    return f"var(--dfml-{name}, {LIGHT[name]})"


def theme_css(selector: str) -> str:
    """Return the CSS that gives a selector the colours, light or dark as the reader's system asks."""
    light = "".join(f"--dfml-{name}:{value};" for name, value in LIGHT.items())
    dark = "".join(f"--dfml-{name}:{value};" for name, value in DARK.items())
    return f"{selector}{{{light}}}@media (prefers-color-scheme: dark){{{selector}{{{dark}}}}}"


def element(tag: str, attributes: Mapping[str, object], *content: str) -> str:
    """Return one element; attributes are escaped, floats kept short, None left out; content is taken as it is."""
    spelled = "".join(
        f' {name}="{escape(number(value) if isinstance(value, float) else str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    inner = "".join(content)
    return f"<{tag}{spelled}>{inner}</{tag}>" if inner else f"<{tag}{spelled}/>"


def text(x: float, y: float, words: str, attributes: Mapping[str, object]) -> str:
    """Return a text element at its baseline."""
    return element("text", {"x": x, "y": y, **attributes}, clean(words))


def clean(words: str) -> str:
    """Escape text and replace what XML cannot hold (control characters, lone surrogates)."""
    return escape("".join(" " if unicodedata.category(letter) in {"Cc", "Cs", "Cn"} else letter for letter in words))


def number(value: float) -> str:
    """Return a coordinate with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value == value else "0"  # noqa: PLR0124


def text_width(words: str, size_px: float, *, bold: bool = False) -> float:
    """Return the room that a text takes at most, pixels.

    The widths are those of DejaVu Sans, the widest of the fonts in :data:`FONT`, so that no text is clipped in another.
    """
    ems = sum(_letter_width(letter) for letter in words)
    return ems * size_px * (SEMI_BOLD if bold else 1.0)


def wrap(words: str, n_letters: int) -> tuple[str, ...]:
    """Break a name into lines of at most that many letters, behind ``_-./:`` or a space, else before a capital."""
    lines: list[str] = []
    rest = words
    while len(rest) > n_letters:
        joints = (place for place in range(n_letters, n_letters // 3, -1) if _is_joint(rest, place))
        cut = next(joints, 0)
        cut = cut or _last_hump(rest, n_letters) or n_letters
        lines.append(rest[:cut])
        rest = rest[cut:]
    return (*lines, rest)


def _is_joint(words: str, place: int) -> bool:
    """Return whether a joint ends just before the place; ``::`` is one joint, not two."""
    return words[place - 1] in "_-./: " and words[place] != words[place - 1]


def _last_hump(words: str, n_letters: int) -> int:
    """Return where the last capital behind a small letter stands that leaves a line long enough; 0 without one."""
    places = range(n_letters, n_letters // 3, -1)
    return next((place for place in places if words[place - 1].islower() and words[place].isupper()), 0)


def _letter_width(letter: str) -> float:
    known = _WIDTH_OF.get(letter)
    if known is not None:
        return known
    if unicodedata.combining(letter):
        return 0.0
    if unicodedata.east_asian_width(letter) in {"W", "F"} or ord(letter) > 0x2E7F:
        return 1.1
    return CAPITAL_WIDTH if letter.isupper() or ord(letter) > 0x24F else LETTER_WIDTH
