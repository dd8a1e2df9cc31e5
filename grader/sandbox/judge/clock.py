"""The clock of the sandbox's wall limits: it slows down while the machine has more to do than processors.

Wall limits only stop what waits or hangs; work has a limit in CPU time. On a machine that grades, serves and
generates at once an honest submission waits for its turn, and must not lose points for that.
"""

from __future__ import annotations

import time
from pathlib import Path

SLOWEST = 1 / 6  # of a second per second, where every processor is wanted all the time
_PRESSURE = Path("/proc/pressure/cpu")


def starved_s(pressure: Path = _PRESSURE) -> float:
    """Seconds since the start in which some task waited for a processor; 0 where the kernel does not say.

    Linux' pressure stall information: the line "some ... total=<microseconds>"
    (Documentation/accounting/psi.rst of the kernel).
    """
    try:
        some = pressure.read_text(encoding="ascii").partition("\n")[0]
        return int(some.rpartition("total=")[2]) / 1e6
    except (OSError, ValueError):
        return 0.0


def now_s(pressure: Path = _PRESSURE) -> float:
    """Seconds for differences, like `time.monotonic`: between a sixth of it and as fast."""
    return time.monotonic() - (1 - SLOWEST) * starved_s(pressure)
