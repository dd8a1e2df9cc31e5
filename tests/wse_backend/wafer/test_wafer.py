"""The wafers' figures agree with one another and with what is published."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wse_backend.errors import GridTooLarge, InvalidParams, WseError
from wse_backend.wafer.spec import WAFERS, WSE2, WSE3, WaferSpec

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("spec", "pes", "gigabytes"),
    [(WSE2, 850_000, 40), (WSE3, 900_000, 44)],
    ids=lambda v: getattr(v, "name", v),
)
def test_pes_times_sram_is_the_published_memory(spec: WaferSpec, pes: int, gigabytes: int) -> None:
    assert spec.pes == pes
    # Vendors round: 850,000 x 48 KiB is 41.8e9 bytes, sold as 40 GB.
    assert spec.sram_bytes == pytest.approx(gigabytes * 1e9, rel=0.05)


def test_peak_of_wse2_is_its_pes_at_full_simd_width() -> None:
    assert 2 * WSE2.pes * WSE2.simd_width * WSE2.clock_hz == pytest.approx(WSE2.peak_flops, rel=0.01)


def test_wse3_has_about_970_000_pes_with_its_spares() -> None:
    assert (WSE3.columns + WSE3.spare_columns) * WSE3.rows == 970_000


def test_wafers_are_found_by_name() -> None:
    assert list(WAFERS) == ["WSE-2", "WSE-3"]


def test_too_large_a_grid_is_refused_with_both_sizes() -> None:
    with pytest.raises(GridTooLarge, match=r"851 x 20 PEs .* WSE-2, which has 850 x 1000") as caught:
        WSE2.check_grid((851, 20))
    assert (caught.value.grid, caught.value.largest) == ((851, 20), (850, 1000))
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, WseError)


@pytest.mark.parametrize("grid", [(0, 5), (5, -1), (5,), "55", None, (2.5, 3), (1, 2, 3)], ids=repr)
def test_what_is_no_grid_is_refused(grid: object) -> None:
    with pytest.raises(InvalidParams, match="grid"):
        WSE2.check_grid(grid)  # type: ignore[arg-type]


def test_importing_the_wafer_loads_neither_kernels_nor_pages() -> None:
    """Whoever wants the wafer's arithmetic waits for no compiler; scipy is for bench/ only."""
    code = (
        "import sys; from wse_backend.wafer import WSE2, WSE3; "
        "from wse_backend.wafer import economics, placement, replay, shapes, speculative, timing; "
        "print(sorted({'numba', 'scipy', 'streamlit'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
