"""How much memory a piece of work took at its largest, as Linux counts it."""

from pathlib import Path

CLEAR_PEAK = "5"
"""Written to ``clear_refs``, sets the peak of the resident size back to the current size (proc(5))."""
_PROCESS = Path("/proc/self")


class PeakMemory:
    """Measures from its making on; pages that the process held before and uses again are not counted."""

    def __init__(self) -> None:
        self._before_kb = self._read("VmRSS") if self._cleared() else None

    @property
    def growth_mb(self) -> float | None:
        """The largest resident size since then less the size then, MB; None where the system does not tell."""
        peak_kb = self._read("VmHWM")
        if self._before_kb is None or peak_kb is None:
            return None
        return max(peak_kb - self._before_kb, 0) / 1024

    @staticmethod
    def _cleared() -> bool:
        try:
            (_PROCESS / "clear_refs").write_text(CLEAR_PEAK)
        except OSError:
            return False
        return True

    @staticmethod
    def _read(name: str) -> int | None:
        try:
            lines = (_PROCESS / "status").read_text(encoding="ascii").splitlines()
        except OSError:
            return None
        return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), None)
