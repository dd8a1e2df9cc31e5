"""Heat maps of a placed wafer: every cell shows the region that lies there."""

from __future__ import annotations

import numpy as np
import pytest

from wse_backend.errors import InvalidParams
from wse_backend.wafer.defects import draw
from wse_backend.wafer.floorplan import floorplan
from wse_backend.wafer.placement import place
from wse_backend.wafer.spec import WSE2


def test_cells_show_their_regions_layer_and_sram() -> None:
    placement = place("llama3-8b", WSE2)
    plan = floorplan(placement, cells=(85, 100))
    assert plan.region.shape == plan.sram.shape == (100, 85)
    for cell in ((0, 0), (30, 40), (99, 84)):
        region = plan.regions[plan.region[cell]]
        x, y = (cell[1] + 0.5) * 10, (cell[0] + 0.5) * 10
        assert region.x <= x < region.x + region.width
        assert region.y <= y < region.y + region.height
        assert plan.layer[cell] == (region.layers[0] if region.layers else -1)
        assert plan.sram[cell] == region.bytes_per_pe / 49152


def test_every_layer_of_the_wafer_is_seen() -> None:
    placement = place("llama3.1-70b", WSE2)
    seen = [set(np.unique(floorplan(placement, wafer).layer)) - {-1} for wafer in range(placement.wafers)]
    assert set.union(*seen) == set(range(80))
    assert sum(len(layers) for layers in seen) == 80


def test_every_defect_is_counted_once() -> None:
    found = draw(WSE2, 1.0, seed=4)
    plan = floorplan(place("llama3-8b", WSE2), defects=found, cells=(40, 50))
    assert plan.defects.sum() == found.per_row.sum()
    assert plan.spares.tolist() == found.per_row.reshape(50, 20).sum(axis=1).tolist()


def test_heat_map_of_a_wafer_stays_small() -> None:
    plan = floorplan(place("llama3-8b", WSE2))
    assert plan.region.size <= 10_000


@pytest.mark.parametrize("cells", [(0, 10), (900, 10), (400, 400)], ids=str)
def test_impossible_number_of_cells_is_refused(cells: tuple[int, int]) -> None:
    with pytest.raises(InvalidParams, match="cells"):
        floorplan(place("llama3-8b", WSE2), cells=cells)


def test_wafer_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidParams, match="wafer is 1; allowed: 0 to 0"):
        floorplan(place("llama3-8b", WSE2), wafer=1)
