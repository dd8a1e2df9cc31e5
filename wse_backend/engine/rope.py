"""Cosines and sines of RoPE's angles, to the same bits on every machine: not from a platform's libm."""

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

CHUNK = 256  # positions

_TWO_OVER_PI = 0.6366197723675814
_HALF_PI = (1.57079632673412561417, 6.07710050630396597660e-11, 2.02226624879595063154e-21)
# Minimax polynomials on |x| <= pi/4: fdlibm's k_sin.c and k_cos.c (Sun Microsystems, 1993).
_SIN = (
    1.58969099521155010221e-10,
    -2.50507602534068634195e-08,
    2.75573137070700676789e-06,
    -1.98412698298579493134e-04,
    8.33333333332248946124e-03,
    -1.66666666666666324348e-01,
)
_COS = (
    -1.13596475577881948265e-11,
    2.08757232129817482790e-09,
    -2.75573143513906633035e-07,
    2.48015872894767294178e-05,
    -1.38888888888741095749e-03,
    4.16666666666666019037e-02,
)


def rope_tables(
    n_ctx: int, frequencies: Doubles, factor: float = 1.0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """factor x cos and sin of position x frequency: float32 (n_ctx, frequencies), rounded from float64."""
    tables = np.empty((2, n_ctx, len(frequencies)), np.float32)
    for start in range(0, n_ctx, CHUNK):  # what a chunk needs on the way stays in a cache
        positions = np.arange(start, min(n_ctx, start + CHUNK), dtype=np.float64)
        cos, sin = cos_sin(positions[:, None] * frequencies)
        tables[0, start : start + CHUNK], tables[1, start : start + CHUNK] = cos * factor, sin * factor
    return tables[0], tables[1]


def cos_sin(angles: Doubles) -> tuple[Doubles, Doubles]:
    """cos and sin of angles from 0 to 2**20, to about one unit in float64's last place.

    Additions, multiplications and roundings only, each as IEEE 754 says. Cody & Waite's reduction: the first
    part of pi/2 has 33 bits, so that its product with the number of quarter turns is exact.
    """
    quarters = np.rint(angles * _TWO_OVER_PI)
    x = angles
    for part in _HALF_PI:
        x = x - quarters * part
    square = x * x
    sin, cos = np.full_like(x, _SIN[0]), np.full_like(x, _COS[0])
    for s, c in zip(_SIN[1:], _COS[1:], strict=True):
        sin, cos = sin * square + s, cos * square + c
    sin = x + x * square * sin
    cos = 1.0 - (0.5 * square - square * square * cos)
    turn = quarters.astype(np.int64) % 4
    swapped = turn % 2 == 1
    return (
        np.where(swapped, sin, cos) * np.where((turn == 1) | (turn == 2), -1.0, 1.0),
        np.where(swapped, cos, sin) * np.where(turn >= 2, -1.0, 1.0),
    )
