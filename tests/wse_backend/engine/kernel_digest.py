"""Prints what the kernels compute for fixed inputs, a line per kernel, to be compared between processors.

A program of its own: which instructions numba may use is decided by the environment when it is imported.
"""

import hashlib

import numpy as np
from numba import cfunc, types

from tests.wse_backend.engine.test_kernels import multiply, random_rows
from wse_backend.engine.kernels import primitives, vectors
from wse_backend.engine.kernels.formats import FORMATS
from wse_backend.engine.sampling import Sampler, SamplingParams

USED = ("F16", "Q4_1", "Q5_0", "Q8_0", "Q4_K", "Q6_K")  # those of the known models, and floats


@cfunc(types.float32(types.int64, types.int64, types.int64))
def squares_and_swiglu(gate, up, n):
    total = primitives.sum_of_squares(gate, n)
    primitives.swiglu(gate, up, n)
    return total


@cfunc(types.void(types.int64, types.float32))
def store_half(address, value):
    primitives.store_half(address, value)


def digest(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()[
        :16
    ]


def halves(values: np.ndarray) -> np.ndarray:
    out = np.zeros(len(values), np.float16)
    for index, value in enumerate(values):
        store_half.ctypes(out.ctypes.data + 2 * index, value)
    return out


def lines() -> dict[str, str]:
    """A digest per kernel."""
    rng = np.random.default_rng(1)
    wide = [vectors.target_has(feature) for feature in ("avx512vnni", "avx512f", "avx2", "f16c")]
    found = {"vnni, avx512, avx2, f16c": str(wide)}
    for qtype, fmt in FORMATS.items():
        if fmt.name in USED:
            raw = np.ascontiguousarray(random_rows(qtype, 37, 512, rng))
            x = (rng.standard_normal((19, 512)) * np.exp(3 * rng.standard_normal((19, 1)))).astype(np.float32)
            found[fmt.name] = digest(*(multiply(qtype, raw, 512, x[:n]) for n in (1, 3, 19)))
    gate, up = (rng.standard_normal(480).astype(np.float32) * 9 for _ in range(2))
    total = squares_and_swiglu.ctypes(gate.ctypes.data, up.ctypes.data, 480)
    found["squares and SwiGLU"] = digest(gate, np.float32(total))
    spread = np.exp2(rng.uniform(-30, 20, 500)) * rng.choice([-1, 1], 500)
    found["float16"] = digest(halves(np.array([*spread, 65519.9, 65520, 2**-25, 2**-24, 0.0], np.float32)))
    logits = (rng.standard_normal(5000) * 4).astype(np.float32)
    sampler = Sampler(SamplingParams(temperature=0.9, top_p=0.9, seed=5))
    found["sampling"] = digest(np.array([sampler.choose(logits) for _ in range(50)]))
    return found


if __name__ == "__main__":
    for name, value in lines().items():
        print(f"{name}: {value}")
