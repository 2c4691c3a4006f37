"""Did a step become slower? A stricter question than whether its times differ.

Two normal windows on a busy machine never have quite the same latencies, and neighbouring requests share their luck.
So a step counts as slower only if, all at once:

* the share of requests over a *slow line* grew by ``MIN_SHARE``; the line is the largest of 1.5 medians, the median
  plus 1 ms, the median plus 3 MAD and the 98 % quantile of the reference, times the slowdown that most steps share
  (the machine's);
* blocks of consecutive requests agree (rank test on the blocks' shares: neighbours are not independent);
* what the latencies and waits that it is made of leave over grew as well (:func:`unexplained`);
* the step's parents do not explain it (:func:`dfml_analysis.evidence.numeric_evidence` on logarithms).

Where waits are recorded, what they and the calls leave over of a pipeline's latency is the machine's and the engine's
own work, which no step is to blame for: there half of the requests must be over the line (``MIN_SHARE_LEFT_OVER``).
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import mannwhitneyu

from dfml_analysis.columns import Kind
from dfml_analysis.evidence import Evidence
from dfml_analysis.variables import Floats, Variable

MIN_RATIO = 1.5
MIN_DIFFERENCE_MS = 1.0
MADS = 3.0
REFERENCE_QUANTILE = 0.98
MIN_SHARE = 0.1
MIN_SHARE_LEFT_OVER = 0.5
ROWS_PER_BLOCK = 5
MAX_BLOCKS = 20
MIN_STEPS_FOR_MACHINE = 3
"""The median slowdown over fewer steps than this could be the guilty step's own."""


def machine_slowdown(latencies: Iterable[Variable], window: Floats) -> float:
    """Return by which factor (1 or more) the typical step's median latency grew: the machine's part."""
    ratios = []
    for variable in latencies:
        reference = variable.values[variable.present & (window == 0)]
        current = variable.values[variable.present & (window == 1)]
        if reference.size and current.size:
            ratios.append(float(np.median(current) / max(float(np.median(reference)), 1e-6)))
    return max(1.0, float(np.median(ratios))) if len(ratios) >= MIN_STEPS_FOR_MACHINE else 1.0


def slow_line(reference: Floats, slowdown: float) -> float:
    """Return the latency above which a request counts as slow, in the values' unit (ms)."""
    median = float(np.median(reference))
    mad = float(np.median(np.abs(reference - median)))
    usual = max(MIN_RATIO * median, median + MADS * mad, float(np.quantile(reference, REFERENCE_QUANTILE)))
    return max(usual * slowdown, median * slowdown + MIN_DIFFERENCE_MS)


def grown(variable: Variable, parents: Sequence[Variable], window: Floats, slowdown: float) -> Evidence:
    """Return the evidence that a latency grew, and more than the latencies and waits that it is made of."""
    whole = slower(variable, window, slowdown)
    made_of = [parent for parent in parents if parent.kind in {Kind.LATENCY, Kind.QUEUE}]
    if whole.log_p == 0.0 or not made_of:
        return whole
    waits = any(parent.kind is Kind.QUEUE for parent in made_of)
    left_over = unexplained(variable, made_of)
    rest = slower(left_over, window, slowdown, MIN_SHARE_LEFT_OVER if waits else MIN_SHARE)
    return max(whole, rest, key=lambda evidence: evidence.log_p)


def unexplained(variable: Variable, made_of: Sequence[Variable]) -> Variable:
    """Return what a latency has beyond the sum of its parts; parts that run beside each other leave less than 0."""
    parts = np.nansum([part.values for part in made_of], axis=0)
    return replace(variable, values=variable.values - parts)


def slower(variable: Variable, window: Floats, slowdown: float, min_share: float = MIN_SHARE) -> Evidence:
    """Return the evidence that a latency grew; effect is the growth of the share of slow requests."""
    reference = variable.values[variable.present & (window == 0)]
    current = variable.values[variable.present & (window == 1)]
    n_rows = float(min(reference.size, current.size))
    if n_rows < 2 * ROWS_PER_BLOCK:
        return Evidence("slow requests", 0.0, 0.0, n_rows)
    line = slow_line(reference, slowdown)
    growth = float((current > line).mean() - (reference > line).mean())
    if growth < min_share:
        return Evidence("slow requests", 0.0, growth, n_rows)
    shares = [_block_shares(values > line) for values in (reference, current)]
    p = float(mannwhitneyu(shares[1], shares[0], alternative="greater", method="auto").pvalue)
    return Evidence("slow requests", float(np.log(max(p, 1e-300))), growth, n_rows)


def _block_shares(slow: np.ndarray) -> Sequence[float]:
    blocks = np.array_split(slow, int(min(max(slow.size // ROWS_PER_BLOCK, 1), MAX_BLOCKS)))
    return [float(block.mean()) for block in blocks]
