"""Numbers on an axis: round steps, and values spelled as short as a reader needs them."""

import math
from collections.abc import Sequence


def tick_step(span: float) -> float:
    """Return the round step (1, 2 or 5 times a power of ten) that cuts a span into at most six parts."""
    rough = span / 6
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


def ticks(low: float, high: float) -> list[float]:
    """Return the round numbers from ``low`` to ``high``, ascending; none where the two are equal."""
    if not high > low:
        return []
    step = tick_step(high - low)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def spell_ms(time_ms: float) -> str:
    """Return a duration with three digits in the unit that suits it."""
    if time_ms >= 1000:
        return f"{time_ms / 1000:.3g} s"
    if time_ms >= 1 or time_ms == 0:
        return f"{time_ms:.3g} ms"
    return f"{time_ms * 1000:.3g} µs"


def spell_ticks_ms(times_ms: Sequence[float]) -> list[str]:
    """Return the durations of one axis, all in the unit that suits the largest."""
    longest = max(times_ms, default=0.0)
    factor, unit = (1000.0, "µs") if longest < 1 else (1.0, "ms") if longest < 1000 else (0.001, "s")
    return [f"{time_ms * factor:.4g} {unit}" for time_ms in times_ms]


def spell_number(value: float) -> str:
    """Return a number with three significant digits; up to a million all digits before the point."""
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1e6:
        return f"{value / 1e6:.3g} M" if abs(value) < 1e9 else f"{value:.2e}"
    if abs(value) >= 1000:
        # No comma in four digits: it may be a year.
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.0f}"
    return f"{value:.3g}"


def spell_share(share: float) -> str:
    """Return a share of 1 as a percentage."""
    if 0 < share < 0.001:
        return "<0.1 %"
    return f"{100 * share:.3g} %"
