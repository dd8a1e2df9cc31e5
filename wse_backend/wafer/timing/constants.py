"""The six constants of the timing model: what each costs on hardware, in cycles of one PE."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Constants:
    """Cycles per unit of work on the critical PE; fitted to hardware by bench/fit_wafer.py.

    dispatch: one vector instruction started on one scalar operand, or one fp16 element of a shifted tile
        taken in and passed on (the two cost the same within the precision of the measurements).
    step: one compute-shift step: four asynchronous transfers started, both neighbours waited for, buffers
        exchanged.
    hop: one PE further along the mesh. PLMR's alpha.
    stage: one routing stage of an allreduce, where a core takes a value from the router, adds to it and sends
        it on. PLMR's beta.
    local: one local operation between two products (norm, RoPE, softmax, activation, residual): scalar roots,
        divisions and exponentials, and their set-up.
    element: one element of an allreduced vector: accumulated, copied and taken through the local operation
        that follows it.
    """

    dispatch: float
    step: float
    hop: float
    stage: float
    local: float
    element: float


NAMES = tuple(field.name for field in fields(Constants))

# What is physically plausible, in cycles. A hop cannot take less than one; an instruction on short vectors
# takes a few to a few tens; a step and a local operation are short programs of tens to some hundreds of
# instructions.
PLAUSIBLE_RANGES: dict[str, tuple[float, float]] = {
    "dispatch": (1.0, 20.0),
    "step": (50.0, 500.0),
    "hop": (1.0, 3.0),
    "stage": (1.0, 40.0),
    "local": (20.0, 1000.0),
    "element": (1.0, 60.0),
}


@dataclass(frozen=True)
class Variant:
    """A way to count work and its mean absolute errors in percent, (decode, prefill) each.

    Of the fitted rows, and of rows left out of the fit: one at a time, a model at a time, a grid at a time.
    """

    name: str
    fitted: tuple[float, float]
    row_out: tuple[float, float]
    model_out: tuple[float, float]
    grid_out: tuple[float, float]


@dataclass(frozen=True)
class Residual:
    """A calibration row, what was measured on hardware and what the fitted model says, in the same unit.

    grid: side of the square grid, 0 for the best one. tokens: context (decode) or prompt (prefill).
    """

    phase: str
    model: str
    grid: int
    tokens: int
    measured: float
    predicted: float
    unit: str

    @property
    def error(self) -> float:
        """predicted / measured - 1"""
        return self.predicted / self.measured - 1
