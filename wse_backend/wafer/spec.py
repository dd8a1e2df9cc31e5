"""What a wafer-scale engine is made of: the figures that placement and timing need, each with its source.

Kinds of figures, kept apart everywhere in this project: *published* (a vendor or a paper says so), *measured*
(on hardware, by the paper named) and *modelled* (computed here). Everything in this file is published, except
where the comment says "derived".
"""

from __future__ import annotations

from dataclasses import dataclass

from wse_backend.errors import GridTooLarge, InvalidParams

KIB = 1024


@dataclass(frozen=True)
class WaferSpec:
    """A wafer: a mesh of `columns` x `rows` processing elements (PEs), each with its own SRAM and router.

    columns, rows: the working PEs as one rectangle. The products columns * rows are published, the sides are
        a drawing convention: the outline of the mesh that software sees is not (see docs/wafer.md).
    spare_columns: PEs of each row beyond `columns`, fused in where a row has a defect.
    simd_width: fp16 multiply-accumulates of one PE per cycle at best.
    word_elements: fp16 values of one 32-bit word; tiles are padded to whole words.
    link_bytes_per_cycle: one 32-bit packet per cycle, link and direction.
    routing_paths: routes ("colours") that one router can tell apart; the R of PLMR.
    io_bytes_per_s: into and out of the system over its network ports.
    system: the product that one wafer is sold in.
    is_measured: whether the timing constants were fitted to hardware of this kind.
    """

    name: str
    columns: int
    rows: int
    spare_columns: int
    clock_hz: float
    simd_width: int
    sram_bytes_per_pe: int
    memory_bytes_per_s: float
    peak_flops: float
    area_mm2: float = 46_225.0
    word_elements: int = 2
    link_bytes_per_cycle: int = 4
    routing_paths: int = 24
    io_bytes_per_s: float = 150e9
    system_power_w: float = 23_000.0
    system: str = "CS-3"
    is_measured: bool = False

    @property
    def pes(self) -> int:
        """Working PEs."""
        return self.columns * self.rows

    @property
    def sram_bytes(self) -> int:
        """SRAM of all working PEs together."""
        return self.pes * self.sram_bytes_per_pe

    @property
    def largest_square(self) -> int:
        """Side of the largest square grid that lies on this wafer."""
        return min(self.columns, self.rows)

    def check_grid(self, grid: tuple[int, int]) -> tuple[int, int]:
        """Return `grid` as (columns, rows). Raises InvalidParams (no grid), GridTooLarge."""
        try:
            columns, rows = (int(side) for side in grid)
        except (TypeError, ValueError) as exc:
            raise InvalidParams("grid", grid, "two whole numbers, (columns, rows)") from exc
        if columns < 1 or rows < 1 or (columns, rows) != tuple(grid):
            raise InvalidParams("grid", grid, "two whole numbers of at least 1, (columns, rows)")
        if columns > self.columns or rows > self.rows:
            raise GridTooLarge((columns, rows), self.name, (self.columns, self.rows))
        return columns, rows


# PEs, clock, SRAM per PE, 40 GB, 20 PB/s, 46,225 mm2: Cerebras, "Wafer Scale Engine 2" product page (2021);
# S. Lie, "Cerebras Architecture Deep Dive", IEEE Micro 43(3), 2023 (48 KB and a 4-wide fp16 SIMD unit per PE,
# 1.1 GHz, 24 colours per router). Peak, dense fp16: 850,000 PEs x 4 multiply-accumulates x 2 x 1.1 GHz = 7.5
# PFLOP/s. Spare PEs: about 1.5 % (S. Lie, Hot Chips 31, 2019). 23 kW, 1.2 Tb/s of Ethernet: CS-2 data sheet.
WSE2 = WaferSpec(
    name="WSE-2",
    columns=850,
    rows=1000,
    spare_columns=13,
    clock_hz=1.1e9,
    simd_width=4,
    sram_bytes_per_pe=48 * KIB,
    memory_bytes_per_s=20e15,
    peak_flops=7.5e15,
    system="CS-2",
    is_measured=True,
)

# 900,000 active of about 970,000 PEs, 44 GB, 21 PB/s, 8-wide fp16 SIMD, 125 PFLOP/s (sparse fp16): Cerebras,
# "Wafer Scale Engine 3" product page (2024), and S. Lie, "Wafer-Scale AI", Hot Chips 36, 2024. The clock is
# derived: 21 PB/s over 900,000 PEs is 23.3 GB/s each, within 1 % of a PE of WSE-2 at 1.1 GHz (23.5 GB/s).
WSE3 = WaferSpec(
    name="WSE-3",
    columns=900,
    rows=1000,
    spare_columns=70,
    clock_hz=1.1e9,
    simd_width=8,
    sram_bytes_per_pe=48 * KIB,
    memory_bytes_per_s=21e15,
    peak_flops=125e15,
)

WAFERS = {spec.name: spec for spec in (WSE2, WSE3)}
