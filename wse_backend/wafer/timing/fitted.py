"""The fitted constants and what they leave unexplained; written by bench/fit_wafer.py --write.

Measured values: WaferLLM (He et al., OSDI 2025, arXiv 2502.04563v3, tables 3, 4 and 6) on a WSE-2.
"""

from wse_backend.wafer.timing.constants import Constants, Residual

FITTED = Constants(
    dispatch=4.5861,
    step=212.66,
    hop=1.4518,
    stage=7.976,
    local=184.22,
    element=20.484,
)

RESIDUALS = (
    Residual("decode", "llama3-8b", 420, 4096, 2699.9, 2711.1, "tokens/s"),
    Residual("decode", "llama3-8b", 540, 4096, 2501.5, 2489.1, "tokens/s"),
    Residual("decode", "llama3-8b", 660, 4096, 2243.3, 2241.6, "tokens/s"),
    Residual("decode", "qwen2-72b", 420, 4096, 839.7, 835.71, "tokens/s"),
    Residual("decode", "qwen2-72b", 540, 4096, 824.3, 828.56, "tokens/s"),
    Residual("decode", "qwen2-72b", 660, 4096, 787.1, 788.19, "tokens/s"),
    Residual("prefill", "llama3-8b", 480, 4096, 20320.6, 20074.0, "tokens/s"),
    Residual("prefill", "llama3-8b", 600, 4096, 25037.2, 25154.0, "tokens/s"),
    Residual("prefill", "llama3-8b", 720, 4096, 27686.5, 27763.0, "tokens/s"),
    Residual("prefill", "qwen2-72b", 480, 4096, 2785.2, 2825.8, "tokens/s"),
    Residual("prefill", "qwen2-72b", 600, 4096, 3775.5, 3750.3, "tokens/s"),
    Residual("prefill", "qwen2-72b", 720, 4096, 4421.6, 4413.4, "tokens/s"),
    Residual("gemv", "16384x16384", 0, 0, 0.0012, 0.0011998, "ms"),
)
