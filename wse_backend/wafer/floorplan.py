"""A placed wafer as arrays for a heat map: 900,000 PEs summed up into a few thousand cells.

Only numpy arrays leave this module; drawing is the pages' work.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from wse_backend.errors import InvalidParams
from wse_backend.wafer.defects import DefectMap
from wse_backend.wafer.placement import Placement, Region

CELLS_LIMIT = 40_000


@dataclass(frozen=True)
class Floorplan:
    """One wafer in (cell rows, cell columns) arrays.

    region: int64, index into `regions`, -1 where no region lies. layer: int64, first layer of that region, -1
    outside of layers. sram: float64, share of the critical PE's SRAM in use, 0 outside. defects: int64,
    defective PEs of the cell's stretch of the mesh. spares: int64 (cell rows,), spare PEs in use in those
    rows. cell_pes: columns and rows of PEs that one cell stands for.
    """

    regions: tuple[Region, ...]
    cell_pes: tuple[float, float]
    region: npt.NDArray[np.int64] = field(repr=False)
    layer: npt.NDArray[np.int64] = field(repr=False)
    sram: npt.NDArray[np.float64] = field(repr=False)
    defects: npt.NDArray[np.int64] = field(repr=False)
    spares: npt.NDArray[np.int64] = field(repr=False)


def floorplan(
    placement: Placement, wafer: int = 0, defects: DefectMap | None = None, cells: tuple[int, int] = (85, 100)
) -> Floorplan:
    """Return the floorplan of one wafer of a placement; `cells` are columns and rows of the heat map.

    Raises InvalidParams (no such wafer, too many cells).
    """
    spec = placement.spec
    if not 0 <= wafer < placement.wafers:
        raise InvalidParams("wafer", wafer, f"0 to {placement.wafers - 1}")
    columns, rows = cells
    if not (1 <= columns <= spec.columns and 1 <= rows <= spec.rows and columns * rows <= CELLS_LIMIT):
        raise InvalidParams("cells", cells, f"at least 1 x 1, at most {CELLS_LIMIT:,} in all")
    regions = tuple(region for region in placement.regions if region.wafer == wafer)
    x = (np.arange(columns) + 0.5) * spec.columns / columns
    y = (np.arange(rows) + 0.5) * spec.rows / rows
    owner = np.full((rows, columns), -1, np.int64)
    for index, found in enumerate(regions):
        inside_x = (found.x <= x) & (x < found.x + found.width)
        inside_y = (found.y <= y) & (y < found.y + found.height)
        owner[np.ix_(inside_y, inside_x)] = index
    first_layer = np.array([found.layers[0] if found.layers else -1 for found in regions] + [-1])
    used = np.array([found.bytes_per_pe / spec.sram_bytes_per_pe for found in regions] + [0.0])
    hits, spares = _defects_in_cells(defects, cells, placement)
    cell_pes = (spec.columns / columns, spec.rows / rows)
    return Floorplan(regions, cell_pes, owner, first_layer[owner], used[owner], hits, spares)


def _defects_in_cells(
    defects: DefectMap | None, cells: tuple[int, int], placement: Placement
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    columns, rows = cells
    hits, spares = np.zeros((rows, columns), np.int64), np.zeros(rows, np.int64)
    if defects is None:
        return hits, spares
    spec = placement.spec
    width = spec.columns + spec.spare_columns
    distinct = np.unique(defects.rows * width + defects.columns)
    cell_y = distinct // width * rows // spec.rows
    cell_x = distinct % width * columns // width
    np.add.at(hits, (cell_y, cell_x), 1)
    np.add.at(spares, cell_y, 1)
    return hits, spares
