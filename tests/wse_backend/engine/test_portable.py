"""The same bits on every processor: kernels compiled without the newest instructions, on this machine."""

import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numba.core.codegen import get_host_cpu_features

from tests.wse_backend.engine import kernel_digest
from wse_backend.engine.rope import cos_sin

ROOT = Path(__file__).resolve().parents[3]
# What is switched off, by the beginnings of LLVM's names.
TARGETS = {
    "AVX-512 without VNNI": ("avx512vnni", "avxvnni"),
    "AVX2": ("avx512", "avx10", "avxvnni"),
    "SSE only": ("avx", "fma", "f16c", "vaes", "vpclmul", "gfni", "xop", "sse4", "ssse3"),
}
ON_X86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names of x86 features")


@cache
def here() -> dict[str, str]:
    return kernel_digest.lines()


@ON_X86
@pytest.mark.parametrize("target", TARGETS)
def test_every_instruction_set_computes_the_same_bits(target: str, tmp_path: Path) -> None:
    features = [
        f"-{feature[1:]}" if feature[1:].startswith(TARGETS[target]) else feature
        for feature in get_host_cpu_features().split(",")
    ]
    env = {
        **os.environ,
        "NUMBA_CPU_NAME": "x86-64",
        "NUMBA_CPU_FEATURES": ",".join(features),
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.wse_backend.engine.kernel_digest"],
        cwd=ROOT, env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    features_line = "vnni, avx512, avx2, f16c"
    assert "True" not in found[features_line].split(",")[0]  # it was compiled without
    expected = {name: value for name, value in here().items() if name != features_line}
    assert {name: found[name] for name in expected} == expected


def test_the_angles_of_rope_are_those_of_libm_to_the_last_place_but_one() -> None:
    angles = np.concatenate([np.linspace(0, 8, 4001), np.random.default_rng(2).uniform(0, 2**20, 20_000)])
    cos, sin = cos_sin(angles)
    assert np.abs(cos - np.cos(angles)).max() <= 2.3e-16  # one unit in float64's last place below 1
    assert np.abs(sin - np.sin(angles)).max() <= 2.3e-16
