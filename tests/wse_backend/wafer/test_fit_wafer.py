"""The stored constants are what bench/fit_wafer.py finds, and it predicts rows it did not see."""

from __future__ import annotations

import csv
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from wse_backend.wafer.timing import FITTED
from wse_backend.wafer.timing.constants import NAMES
from wse_backend.wafer.timing.fitted import REFITS, VARIANTS

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def fit_wafer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fit_wafer", ROOT / "bench" / "fit_wafer.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fit_wafer"] = module
    spec.loader.exec_module(module)
    return module


def test_stored_module_is_what_the_script_writes(fit_wafer: ModuleType) -> None:
    rows = fit_wafer.read_rows()
    fitted = fit_wafer.fit(rows)
    # Five digits are stored; the last may differ between linear algebra libraries.
    for name in NAMES:
        assert getattr(fitted, name) == pytest.approx(getattr(FITTED, name), rel=1e-3), name
    for found, kept in zip(fit_wafer.refits(rows), REFITS, strict=True):
        values = [[getattr(constants, name) for name in NAMES] for constants in (found, kept)]
        assert values[0] == pytest.approx(values[1], rel=5e-3, abs=0.5)
    stored = (ROOT / "wse_backend" / "wafer" / "timing" / "fitted.py").read_text(encoding="utf-8")
    assert fit_wafer.module_text(rows, FITTED, REFITS, VARIANTS) == stored


def test_every_timed_row_of_the_calibration_file_is_fitted(fit_wafer: ModuleType) -> None:
    with (ROOT / "bench" / "data" / "wafer_calibration.csv").open(encoding="utf-8") as file:
        listed = list(csv.DictReader(line for line in file if not line.startswith("#")))
    timed = [entry for entry in listed if not entry["phase"].startswith("max_decode_tokens")]
    rows = fit_wafer.read_rows()
    assert [(row.phase, row.model, row.value) for row in rows] == [
        (entry["phase"], entry["model"], float(entry["value"])) for entry in timed
    ]
    assert len(rows) == 13


@pytest.mark.parametrize("split", ["one row out", "one grid out"])
def test_rows_left_out_are_predicted(fit_wafer: ModuleType, split: str) -> None:
    errors = fit_wafer.cross_validate(fit_wafer.read_rows(), fit_wafer.Structure(), fit_wafer.SPLITS[split])
    assert errors["decode"] < 0.01
    assert errors["prefill"] < 0.0125


def test_least_squares_finds_known_constants_and_never_a_negative_one(fit_wafer: ModuleType) -> None:
    rng = np.random.default_rng(5)
    matrix = rng.uniform(1, 10, (9, 4)) * np.array([1, 1e3, 1e-3, 1])
    known = np.array([2.0, 3e-3, 5e2, 0.0])
    assert fit_wafer.non_negative_least_squares(matrix, matrix @ known) == pytest.approx(known, abs=1e-9)
    # Without the bound (2, -1) is exact; with x2 = 0 the best x1 minimises (x1 - 1)^2 + x1^2.
    found = fit_wafer.non_negative_least_squares(np.array([[1.0, 1.0], [1.0, 2.0]]), np.array([1.0, 0.0]))
    assert found == pytest.approx([0.5, 0.0])


def test_printed_figures_are_those_of_the_documentation(
    fit_wafer: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    fit_wafer.main(["--cross-validate"])
    printed = [line for line in capsys.readouterr().out.splitlines() if line]
    documented = (ROOT / "docs" / "wafer.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in printed if line not in documented] == []
    for variant in VARIANTS:  # what the Evidence tab shows is what is printed
        pairs = (variant.fitted, variant.row_out, variant.model_out, variant.grid_out)
        cells = "   ".join(f"{decode:4.2f}% / {prefill:4.2f}%" for decode, prefill in pairs)
        assert f"{variant.name:42} {cells}" in printed
    assert sum(line.startswith(("decode  ", "prefill ", "gemv    ")) for line in printed) == 13
