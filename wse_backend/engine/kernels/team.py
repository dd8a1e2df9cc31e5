"""How threads share the work of a pass: units claimed from counters, phases that end when all are done."""

from numba import njit

from wse_backend.engine.kernels.arguments import LINE, Team
from wse_backend.engine.kernels.primitives import atomic_add, atomic_load, pause, yield_core

SPINS_BEFORE_YIELD = 4000

JIT = {"nogil": True, "error_model": "numpy"}
# For what is called by compiled code only, and cached as part of it: Python needs no way in.
INNER = {**JIT, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


@njit(**INNER)
def claim(team: Team, phase: int, n_units: int) -> int:
    """Take a unit of a phase, first of this thread's own share, then of the others'; n_units: none is left.

    A share is contiguous, so that a thread reads on where it has prefetched to.
    """
    for step in range(team.n_threads):
        owner = (team.thread + step) % team.n_threads
        first, stop = n_units * owner // team.n_threads, n_units * (owner + 1) // team.n_threads
        taken = team.claims.ctypes.data + (phase * team.n_threads + owner) * LINE * 8
        if first + atomic_load(taken) < stop:
            unit: int = first + atomic_add(taken, 1)
            if unit < stop:
                return unit
    return n_units


@njit(**INNER)
def finish(team: Team, phase: int) -> None:
    """Say that one unit is done."""
    atomic_add(team.finished.ctypes.data + phase * LINE * 8, 1)


@njit(**INNER)
def settle(team: Team, phase: int, n_units: int) -> None:
    """Wait until all units of a phase are done.

    Only units that another thread is working on are waited for: a thread that lost its core while it had
    nothing in hand holds nobody up, and finds its way through the phases it missed when it returns.
    """
    finished = team.finished.ctypes.data + phase * LINE * 8
    spins = 0
    while atomic_load(finished) < n_units:
        pause()
        spins += 1
        if spins > SPINS_BEFORE_YIELD:  # somebody else needs this core, perhaps the very thread waited for
            yield_core()
