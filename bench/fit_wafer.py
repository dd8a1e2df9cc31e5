"""Fit the timing model's six constants to measurements of a WSE-2, and say how far off it is on every row.

    python bench/fit_wafer.py                    # predicted, measured and error of every calibration row
    python bench/fit_wafer.py --write            # also replace wse_backend/wafer/timing/fitted.py
    python bench/fit_wafer.py --cross-validate   # also compare structural variants on rows left out of a fit

The counts of wse_backend.wafer.timing are linear in the constants, so the fit is a non-negative least-squares
problem in relative errors: exact, with no starting point and no random numbers.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from wse_backend.wafer.placement import place  # noqa: E402
from wse_backend.wafer.shapes import PRESETS, ModelShape  # noqa: E402
from wse_backend.wafer.spec import WSE2, WaferSpec  # noqa: E402
from wse_backend.wafer.timing import Constants, decode, gemv, prefill  # noqa: E402
from wse_backend.wafer.timing.constants import NAMES, PLAUSIBLE_RANGES, Variant  # noqa: E402
from wse_backend.wafer.timing.counts import (  # noqa: E402
    decode_counts,
    gemv_counts,
    head_counts,
    prefill_counts,
)
from wse_backend.wafer.timing.ops import Mesh, OpCount  # noqa: E402

CALIBRATION = ROOT / "bench" / "data" / "wafer_calibration.csv"
FITTED = ROOT / "wse_backend" / "wafer" / "timing" / "fitted.py"
GEMV_WEIGHT = 0.25  # the one GEMV row is published with two digits: 0.0012 ms is 0.00115 to 0.00125


@dataclass(frozen=True)
class Row:
    """One measured row. grid: side of the square grid, 0 for "best". tokens: context or prompt length."""

    phase: str
    model: str
    grid: int
    tokens: int
    value: float
    unit: str


@dataclass(frozen=True)
class Structure:
    """A way to count work; everything but the defaults is a variant to compare with.

    wide_kv: whether (decode, prefill) compute K and V as wide as Q. all_logits: the prefill's LM head runs
    for every token of the prompt. is_aligned: the prefill's left tiles take P / 2 steps to their first place.
    """

    name: str = "as built"
    spec: WaferSpec = WSE2
    wide_kv: tuple[bool, bool] = (False, True)
    all_logits: bool = False
    is_aligned: bool = False


def read_rows(path: Path = CALIBRATION) -> list[Row]:
    """The rows that the timing model is fitted to: decode, prefill and GEMV."""
    with path.open(encoding="utf-8") as file:
        found = list(csv.DictReader(line for line in file if not line.startswith("#")))
    rows = []
    for entry in found:
        if entry["phase"] in ("decode", "prefill", "gemv"):
            side = 0 if entry["grid"] == "best" else int(entry["grid"].split("x")[0])
            tokens = int(entry["context_or_tokens"] or 0)
            rows.append(
                Row(entry["phase"], entry["model"], side, tokens, float(entry["value"]), entry["unit"])
            )
    return rows


def measured_cycles(row: Row, spec: WaferSpec) -> float:
    """Cycles of the whole phase that the row's value stands for."""
    if row.phase == "gemv":
        return row.value * 1e-3 * spec.clock_hz
    tokens = row.tokens if row.phase == "prefill" else 1
    return tokens / row.value * spec.clock_hz


def counted(row: Row, side: int, structure: Structure) -> tuple[float, npt.NDArray[np.float64]]:
    """Cycles that no constant scales (multiply-accumulates), and one count per constant."""
    mesh = Mesh.of(structure.spec, side, side)
    if row.phase == "gemv":
        m, n = (int(part) for part in row.model.split("x"))
        ops: list[tuple[OpCount, int]] = [(gemv_counts(m, n, mesh), 1)]
    else:
        shape, (wide_decode, wide_prefill) = PRESETS[row.model], structure.wide_kv
        if row.phase == "decode":
            layer = decode_counts(shape, mesh, row.tokens, wide_kv=wide_decode)
        else:
            layer = prefill_counts(shape, mesh, row.tokens, wide_kv=wide_prefill)
            layer += _alignment(shape, mesh, row.tokens) if structure.is_aligned else []
        head = head_counts(shape, mesh)
        if row.phase == "prefill" and structure.all_logits:
            head = [_logits_of_all_tokens(shape, mesh, row.tokens)]
        ops = [(op, shape.n_layers) for op in layer] + [(op, 1) for op in head]
    free = sum(float(op.macs) * times for op, times in ops) / structure.spec.simd_width
    counts = sum((_per_constant(op) * times for op, times in ops), np.zeros(len(NAMES)))
    return free, counts


def _per_constant(op: OpCount) -> npt.NDArray[np.float64]:
    by_name = {
        "dispatch": op.dispatches + op.moves,
        "step": op.steps,
        "hop": op.hops,
        "stage": op.stages,
        "local": op.locals,
        "element": op.elements,
    }
    return np.array([float(by_name[name]) for name in NAMES])


def _logits_of_all_tokens(shape: ModelShape, mesh: Mesh, tokens: int) -> OpCount:
    """The LM head as a compute-shift product: gate and up of a model whose FFN is half the vocabulary."""
    wide = replace(shape, hidden_dim=shape.vocab_size // 2)
    return next(op for op in prefill_counts(wide, mesh, tokens) if op.name == "gate and up")


def _alignment(shape: ModelShape, mesh: Mesh, tokens: int) -> list[OpCount]:
    """The left tiles of five products on their way to where the first step needs them, as published."""
    steps, left = mesh.rows / 2, mesh.y(tokens)
    tiles = 3 * mesh.x(shape.dim) + mesh.x(tokens) + mesh.x(shape.hidden_dim)
    return [OpCount("align", "", moves=steps * left * tiles, steps=5 * steps, hops=10 * steps)]


def fit(rows: Sequence[Row], structure: Structure | None = None) -> Constants:
    """The constants with the smallest squared relative errors over `rows`.

    The GEMV row was measured on its best grid, which depends on the constants: repeated until that is stable.
    """
    structure = structure or Structure()
    best = 480
    for _ in range(20):
        constants = _fit_once(rows, best, structure)
        found = gemv(16384, 16384, structure.spec, constants=constants).grid[0]
        if found == best or not any(row.phase == "gemv" for row in rows):
            break
        best = found
    return constants


def _fit_once(rows: Sequence[Row], best: int, structure: Structure) -> Constants:
    counts, rest = [], []
    for row in rows:
        cycles = measured_cycles(row, structure.spec)
        weight = (GEMV_WEIGHT if row.phase == "gemv" else 1.0) / cycles
        free, count = counted(row, row.grid or best, structure)
        counts.append(count * weight)
        rest.append((cycles - free) * weight)
    values = non_negative_least_squares(np.array(counts), np.array(rest))
    return Constants(*(float(f"{value:.5g}") for value in values))


def non_negative_least_squares(
    matrix: npt.NDArray[np.float64], target: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """min |matrix x - target| with x >= 0, by trying every set of positive entries: 63 sets for six."""
    n = matrix.shape[1]
    scale = np.maximum(np.abs(matrix).max(axis=0), 1e-300)
    best, best_error = np.zeros(n), float(target @ target)
    for size in range(1, n + 1):
        for chosen in itertools.combinations(range(n), size):
            columns = list(chosen)
            x = np.linalg.lstsq(matrix[:, columns] / scale[columns], target, rcond=None)[0] / scale[columns]
            error = float(np.sum((matrix[:, columns] @ x - target) ** 2))
            if (x >= 0).all() and error < best_error * (1 - 1e-12):
                best, best_error = np.zeros(n), error
                best[columns] = x
    return best


def predict(row: Row, constants: Constants, structure: Structure | None = None) -> float:
    """What the model says for a row, in the row's unit."""
    structure = structure or Structure()
    if structure == Structure():
        return _predict_by_api(row, constants)
    side = row.grid or gemv(16384, 16384, structure.spec, constants=constants).grid[0]
    free, counts = counted(row, side, structure)
    cycles = free + float(counts @ np.array([getattr(constants, name) for name in NAMES]))
    return row.value * measured_cycles(row, structure.spec) / cycles


def _predict_by_api(row: Row, constants: Constants) -> float:
    if row.phase == "gemv":
        m, n = (int(part) for part in row.model.split("x"))
        return gemv(m, n, WSE2, constants=constants).seconds * 1e3
    grid = (row.grid, row.grid)
    if row.phase == "decode":
        return decode(row.model, WSE2, grid, row.tokens, constants=constants).tokens_per_second
    return prefill(row.model, WSE2, grid, row.tokens, constants=constants).tokens_per_second


def table(rows: Iterable[Row], constants: Constants) -> list[tuple[Row, float, float]]:
    """Each row with its prediction and relative error (predicted / measured - 1)."""
    predicted = [(row, predict(row, constants)) for row in rows]
    return [(row, value, value / row.value - 1) for row, value in predicted]


def capacity_rows(path: Path = CALIBRATION) -> list[tuple[str, str, int, int, float]]:
    """The cache capacities: layout, model, grid, predicted tokens, measured tokens. Placed, not fitted."""
    with path.open(encoding="utf-8") as file:
        found = list(csv.DictReader(line for line in file if not line.startswith("#")))
    rows = []
    for entry in found:
        if entry["phase"].startswith("max_decode_tokens_"):
            kv, side = entry["phase"].rsplit("_", 1)[1], int(entry["grid"].split("x")[0])
            tokens = place(entry["model"], WSE2, 1, grid=(side, side), kv=kv).max_context
            rows.append((kv, entry["model"], side, tokens, float(entry["value"])))
    return rows


def mean_and_worst(errors: Iterable[float]) -> tuple[float, float]:
    """Mean and largest absolute error."""
    sizes = [abs(error) for error in errors]
    return sum(sizes) / len(sizes), max(sizes)


def write_constants(rows: Sequence[Row], constants: Constants, path: Path = FITTED) -> None:
    """Write constants and residuals as a module of the package, in the formatter's own style."""
    path.write_text(module_text(rows, constants, refits(rows), compare(rows)), encoding="utf-8")


def refits(rows: Sequence[Row], structure: Structure | None = None) -> list[Constants]:
    """Constants fitted to every subset of the rows that SPLITS leaves, without repetition."""
    found: dict[Constants, None] = {}
    for held in SPLITS.values():
        for key in dict.fromkeys(held(row) for row in rows if row.phase != "gemv"):
            found[fit([row for row in rows if row.phase == "gemv" or held(row) != key], structure)] = None
    return list(found)


def module_text(
    rows: Sequence[Row], constants: Constants, others: Sequence[Constants], compared: Sequence[Variant]
) -> str:
    """The source text of wse_backend/wafer/timing/fitted.py; others, compared: of `refits`, `compare`."""
    held_out = cross_validate(rows, Structure(), SPLITS["one row out"])
    errors = [f'"{phase}": {error:.4f}' for phase, error in held_out.items()]
    lines = [
        '"""The fitted constants and what they leave unexplained; written by bench/fit_wafer.py --write.',
        "",
        "Measured values: WaferLLM (He et al., OSDI 2025, arXiv 2502.04563v3, tables 3, 4 and 6) on a WSE-2.",
        '"""',
        "",
        "from wse_backend.wafer.timing.constants import Constants, Residual, Variant",
        "",
        "FITTED = Constants(",
        *(f"    {name}={getattr(constants, name)!r}," for name in NAMES),
        ")",
        "",
        "# Refits without one row, one model, or one phase's rows of one grid; the order of NAMES.",
        "REFITS = (",
        *(f"    Constants({', '.join(repr(getattr(found, name)) for name in NAMES)})," for found in others),
        ")",
        "",
        "# Mean absolute error of rows that were left out of the fit, one at a time.",
        f"HELD_OUT_ERROR = {{{', '.join(errors)}}}",
        "",
        "VARIANTS = (",
        *(f"    {_variant_text(variant)}," for variant in compared),
        ")",
        "",
        "RESIDUALS = (",
    ]
    for row, predicted, _ in table(rows, constants):
        cells = (row.phase, row.model, row.grid, row.tokens, row.value, float(f"{predicted:.5g}"), row.unit)
        text = ", ".join(f'"{cell}"' if isinstance(cell, str) else repr(cell) for cell in cells)
        lines.append(f"    Residual({text}),")
    return "\n".join([*lines, ")", ""])


def compare(rows: Sequence[Row]) -> list[Variant]:
    """Every structure with its errors in percent, two digits."""
    found = []
    for structure in variants():
        pairs = [(round(100 * d, 2), round(100 * p, 2)) for d, p in validated(structure, rows)]
        found.append(Variant(structure.name, *pairs))
    return found


def _variant_text(variant: Variant) -> str:
    pairs = (variant.fitted, variant.row_out, variant.model_out, variant.grid_out)
    return f'Variant("{variant.name}", ' + ", ".join(f"({d:.2f}, {p:.2f})" for d, p in pairs) + ")"


def validated(structure: Structure, rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Mean absolute errors of (decode, prefill): of the fitted rows, then of every split in SPLITS."""
    constants, cells = fit(rows, structure), []
    for phase in ("decode", "prefill"):
        chosen = [row for row in rows if row.phase == phase]
        errors = [predict(row, constants, structure) / row.value - 1 for row in chosen]
        cells.append(mean_and_worst(errors)[0])
    pairs = [(cells[0], cells[1])]
    for held in SPLITS.values():
        errors_of = cross_validate(rows, structure, held)
        pairs.append((errors_of["decode"], errors_of["prefill"]))
    return pairs


def variants() -> list[Structure]:
    """The structure that is built, and those it was chosen from."""
    return [
        Structure(),
        Structure("half a cycle per multiply-accumulate", spec=replace(WSE2, simd_width=2)),
        Structure("vectors not padded to whole words", spec=replace(WSE2, word_elements=1)),
        Structure("K and V grouped in both phases", wide_kv=(False, False)),
        Structure("K and V as wide as Q in both phases", wide_kv=(True, True)),
        Structure("left tiles aligned before a product", is_aligned=True),
        Structure("logits of every prompt token", all_logits=True),
    ]


SPLITS: dict[str, Callable[[Row], object]] = {
    "one row out": lambda row: row,
    "one model out": lambda row: row.model,
    "one grid out": lambda row: (row.phase, row.grid),
}


def cross_validate(
    rows: Sequence[Row], structure: Structure, held: Callable[[Row], object]
) -> dict[str, float]:
    """Mean absolute error by phase of rows that were left out of the fit that predicts them."""
    errors: dict[str, list[float]] = {"decode": [], "prefill": []}
    for key in dict.fromkeys(held(row) for row in rows if row.phase != "gemv"):
        constants = fit([row for row in rows if row.phase == "gemv" or held(row) != key], structure)
        for row in rows:
            if row.phase != "gemv" and held(row) == key:
                errors[row.phase].append(abs(predict(row, constants, structure) / row.value - 1))
    return {phase: sum(found) / len(found) for phase, found in errors.items()}


def print_fit(rows: Sequence[Row], constants: Constants) -> None:
    print("constant  cycles    plausible")
    for name in NAMES:
        low, high = PLAUSIBLE_RANGES[name]
        print(f"{name:9} {getattr(constants, name):8.2f}  {low:g} to {high:g}")
    print("\nphase    model        grid  tokens  predicted   measured  error")
    found = table(rows, constants)
    for row, predicted, error in found:
        grid = row.grid or "best"
        print(
            f"{row.phase:8} {row.model:12} {grid!s:>4} {row.tokens:7} "
            f"{predicted:10.5g} {row.value:10.5g} {error:+6.2%}"
        )
    for phase in ("decode", "prefill", "gemv"):
        mean, worst = mean_and_worst(error for row, _, error in found if row.phase == phase)
        print(f"{phase}: mean absolute error {mean:.2%}, worst {worst:.2%}")
    print("\nkv       model        grid    predicted   measured  error   (tokens held; nothing fitted)")
    for kv, model, side, tokens, measured in capacity_rows():
        print(f"{kv:8} {model:12} {side:4} {tokens:12} {measured:10.0f} {tokens / measured - 1:+6.2%}")


def print_cross_validation(rows: Sequence[Row]) -> None:
    print("\nmean absolute error, decode / prefill" + " " * 6 + "fitted rows   " + "   ".join(SPLITS))
    for found in compare(rows):
        pairs = (found.fitted, found.row_out, found.model_out, found.grid_out)
        print(f"{found.name:42} " + "   ".join(f"{d:4.2f}% / {p:4.2f}%" for d, p in pairs))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="replace the package's fitted constants")
    parser.add_argument("--cross-validate", action="store_true", help="compare structural variants")
    options = parser.parse_args(arguments)
    rows = read_rows()
    constants = fit(rows)
    print_fit(rows, constants)
    if options.cross_validate:
        print_cross_validation(rows)
    if options.write:
        write_constants(rows, constants)
        print(f"\nwrote {FITTED.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
