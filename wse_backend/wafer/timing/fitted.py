"""The fitted constants and what they leave unexplained; written by bench/fit_wafer.py --write.

Measured values: WaferLLM (He et al., OSDI 2025, arXiv 2502.04563v3, tables 3, 4 and 6) on a WSE-2.
"""

from wse_backend.wafer.timing.constants import Constants, Residual, Variant

FITTED = Constants(
    dispatch=4.0006,
    step=248.52,
    hop=1.4165,
    stage=9.6528,
    local=155.25,
    element=21.052,
)

# Refits without one row, one model, or one phase's rows of one grid; the order of NAMES.
REFITS = (
    Constants(4.0003, 248.29, 1.5347, 7.1742, 125.19, 21.825),
    Constants(4.0008, 248.56, 1.3982, 10.111, 166.09, 20.62),
    Constants(4.0006, 248.5, 1.4244, 9.4738, 156.61, 21.006),
    Constants(4.0001, 248.55, 1.3956, 10.079, 137.92, 22.216),
    Constants(4.0008, 248.55, 1.4008, 9.9503, 162.42, 20.698),
    Constants(4.0007, 248.56, 1.3965, 10.1, 157.26, 20.94),
    Constants(3.9982, 248.51, 1.4163, 9.662, 155.14, 21.053),
    Constants(4.0053, 245.38, 1.4167, 9.641, 155.47, 21.047),
    Constants(3.9844, 254.42, 1.4154, 9.7024, 154.45, 21.066),
    Constants(3.9573, 255.21, 1.4137, 9.7797, 153.15, 21.092),
    Constants(4.0381, 243.54, 1.4186, 9.5485, 157.14, 21.013),
    Constants(4.0074, 247.86, 1.4168, 9.6354, 155.6, 21.044),
    Constants(4.0919, 205.37, 0.84838, 22.04, 456.88, 11.273),
    Constants(4.0418, 242.65, 1.6807, 3.8661, 0.0, 30.363),
    Constants(4.0001, 248.41, 1.4728, 8.446, 125.07, 22.366),
    Constants(4.0009, 248.59, 1.3833, 10.393, 172.88, 20.282),
    Constants(4.0007, 248.57, 1.3908, 10.227, 157.02, 20.943),
    Constants(3.9473, 255.86, 1.4129, 9.8138, 152.71, 21.097),
    Constants(4.0412, 240.89, 1.4188, 9.541, 157.29, 21.01),
    Constants(3.9911, 253.92, 1.4157, 9.6853, 154.8, 21.058),
)

# Mean absolute error of rows that were left out of the fit, one at a time.
HELD_OUT_ERROR = {"decode": 0.0079, "prefill": 0.0087}

VARIANTS = (
    Variant("as built", (0.35, 0.56), (0.79, 0.87), (5.40, 2.06), (0.62, 0.93)),
    Variant("half a cycle per multiply-accumulate", (0.70, 1.93), (1.32, 2.75), (5.49, 10.27), (1.35, 2.97)),
    Variant("vectors not padded to whole words", (0.36, 1.23), (0.81, 1.89), (5.25, 6.81), (0.67, 2.07)),
    Variant("K and V grouped in both phases", (0.35, 0.71), (0.79, 1.07), (5.70, 2.77), (0.61, 0.93)),
    Variant("K and V as wide as Q in both phases", (0.40, 0.56), (0.90, 0.88), (5.53, 2.07), (0.81, 0.95)),
    Variant("left tiles aligned before a product", (0.35, 0.69), (0.79, 1.03), (5.05, 1.78), (0.62, 0.93)),
    Variant("logits of every prompt token", (0.35, 0.67), (0.79, 1.00), (5.22, 1.72), (0.61, 0.90)),
)

RESIDUALS = (
    Residual("decode", "llama3-8b", 420, 4096, 2699.9, 2711.2, "tokens/s"),
    Residual("decode", "llama3-8b", 540, 4096, 2501.5, 2488.9, "tokens/s"),
    Residual("decode", "llama3-8b", 660, 4096, 2243.3, 2241.7, "tokens/s"),
    Residual("decode", "qwen2-72b", 420, 4096, 839.7, 835.67, "tokens/s"),
    Residual("decode", "qwen2-72b", 540, 4096, 824.3, 828.47, "tokens/s"),
    Residual("decode", "qwen2-72b", 660, 4096, 787.1, 788.16, "tokens/s"),
    Residual("prefill", "llama3-8b", 480, 4096, 20320.6, 20361.0, "tokens/s"),
    Residual("prefill", "llama3-8b", 600, 4096, 25037.2, 25183.0, "tokens/s"),
    Residual("prefill", "llama3-8b", 720, 4096, 27686.5, 27610.0, "tokens/s"),
    Residual("prefill", "qwen2-72b", 480, 4096, 2785.2, 2811.6, "tokens/s"),
    Residual("prefill", "qwen2-72b", 600, 4096, 3775.5, 3735.4, "tokens/s"),
    Residual("prefill", "qwen2-72b", 720, 4096, 4421.6, 4409.9, "tokens/s"),
    Residual("gemv", "16384x16384", 0, 0, 0.0012, 0.0011997, "ms"),
)
