"""GPUs beside the wafer: a memory-bandwidth roofline with the efficiency that reference measurements show.

Decode reads every active weight and the cache once per step, at a fraction of the published bandwidth;
prefill multiplies at a fraction of the published peak. With several GPUs (tensor parallelism: every matrix is
cut among them) each layer ends in two synchronisations. All of these fractions come from measured rows of an
A100 (SGLANG_A100); for other GPUs they are assumed to be the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from wse_backend.wafer.checks import STREAMS_LIMIT, TOKENS_LIMIT, whole
from wse_backend.wafer.shapes import BYTES_PER_VALUE, ModelShape, as_shape
from wse_backend.wafer.timing.interval import Interval


@dataclass(frozen=True)
class GpuSpec:
    """A GPU: published memory, bandwidth, dense fp16 peak, board power, link to its host's other GPUs.

    host_power_w: of the whole published system, shared out over its GPUs: fans, processors, network included.
    """

    name: str
    memory_bytes: float
    memory_bytes_per_s: float
    peak_flops: float
    power_w: float
    link_bytes_per_s: float
    host_power_w: float


@dataclass(frozen=True)
class GpuReference:
    """A measured row: SGLang on A100 80 GB (HBM 2.04 TB/s), context or prompt 4096."""

    phase: str
    model: str
    gpus: int
    value: float
    unit: str


# Measured; published beside the wafer's rows by WaferLLM (He et al., OSDI 2025, arXiv 2502.04563v3).
SGLANG_A100 = (
    GpuReference("decode", "llama3-8b", 1, 78.9, "tokens/s"),
    GpuReference("decode", "llama3-8b", 8, 260.4, "tokens/s"),
    GpuReference("decode", "qwen2-72b", 8, 51.2, "tokens/s"),
    GpuReference("prefill", "llama3-8b", 1, 13988.3, "tokens/s"),
    GpuReference("prefill", "llama3-8b", 8, 17361.6, "tokens/s"),
    GpuReference("gemv", "16384x16384", 1, 0.336, "ms"),
    GpuReference("gemv", "16384x16384", 8, 0.253, "ms"),
)

# What those rows say, each with the row it comes from:
# decode 1 x A100: 78.9 tokens/s x (15.0 GB of weights + 0.54 GB of cache) / 2.04 TB/s
DECODE_EFFICIENCY = 0.60
# decode 8 x A100, what is left over the roofline: 70 us a layer for llama3-8b, 60 us for qwen2-72b
SYNC_S_PER_LAYER = 65e-6
# prefill 1 x A100: 13988.3 tokens/s x 2 x 7.0 G multiply-accumulates and the attention, over 312 TFLOP/s
PREFILL_EFFICIENCY = 0.67
# the worst of those decode rows, 8 x A100 with llama3-8b, is 4.7 % off; every GPU time is taken to be as
# unsure
ROW_ERROR = 0.05
# prefill 8 x A100: 64 sums of 4096 x 4096 fp16 values take 0.2 s
LINK_BYTES_PER_S = 10.9e9

# NVIDIA A100 80 GB SXM data sheet (2021): 2.04 TB/s, 312 TFLOP/s dense fp16, 400 W. The link is the one
# that the reference host reached in prefill, not NVLink's 600 GB/s. NVIDIA H100 SXM data sheet (2023): 80
# GB, 3.35 TB/s, 989 TFLOP/s dense fp16, 700 W, NVLink with 450 GB/s each way.
# NVIDIA H200 data sheet (2024): 141 GB, 4.8 TB/s, the H100's arithmetic. NVIDIA B200 (HGX and DGX B200 data
# sheets, 2024): 180 GB, 8 TB/s, 2.25 PFLOP/s dense fp16, 1,000 W, NVLink 5 with 900 GB/s each way. AMD MI300X
# data sheet (2023): 192 GB, 5.3 TB/s, 1,307 TFLOP/s dense fp16, 750 W, seven links of 64 GB/s each way.
# Systems: DGX A100 6.5 kW, DGX H100 and H200 10.2 kW, DGX B200 14.3 kW at most (NVIDIA's user guides), each
# with eight GPUs; for eight MI300X the power of a DGX H100 is taken (an assumption: its boards take about as
# much).
A100 = GpuSpec("A100 80 GB", 80e9, 2.04e12, 312e12, 400.0, LINK_BYTES_PER_S, 6500.0 / 8)
H100 = GpuSpec("H100 SXM", 80e9, 3.35e12, 989e12, 700.0, 450e9, 10_200.0 / 8)
H200 = GpuSpec("H200 SXM", 141e9, 4.8e12, 989e12, 700.0, 450e9, 10_200.0 / 8)
B200 = GpuSpec("B200", 180e9, 8e12, 2250e12, 1000.0, 900e9, 14_300.0 / 8)
MI300X = GpuSpec("MI300X", 192e9, 5.3e12, 1307e12, 750.0, 448e9, 10_200.0 / 8)
GPUS = (A100, H100, H200, B200, MI300X)
TENSOR_PARALLEL = (1, 2, 4, 8, 16)
GPUS_LIMIT = 1_000_000


def needed_gpus(shape: ModelShape | str, spec: GpuSpec, context: int = 4096, streams: int = 1) -> int:
    """The smallest number of GPUs whose memory holds weights and cache (90 % of it usable)."""
    model = _checked(shape, 1, context, streams)
    needed = model.params * BYTES_PER_VALUE + streams * model.cache_bytes(context)
    return max(1, math.ceil(needed / (0.9 * spec.memory_bytes)))


def held_streams(shape: ModelShape | str, spec: GpuSpec, gpus: int, context: int) -> int:
    """Streams of `context` tokens whose cache fits beside the weights; at least 1."""
    model = _checked(shape, gpus, context, 1)
    free = 0.9 * gpus * spec.memory_bytes - model.params * BYTES_PER_VALUE
    return max(1, int(free // model.cache_bytes(context)))


def decode_seconds(
    shape: ModelShape | str, spec: GpuSpec, gpus: int = 1, context: int = 4096, streams: int = 1
) -> float:
    """Seconds of one decode step of `streams` sequences with `context` tokens each. Modelled.

    The cores are busy as in a prefill once the batch is large: the slower of memory and arithmetic counts.
    """
    model = _checked(shape, gpus, context, streams)
    weights = model.active_params
    if model.n_experts:
        distinct = min(model.n_experts, streams * model.n_experts_active) / model.n_experts_active
        layers = sum(n for kind, n in model.kinds if kind.n_experts)
        experts = 3 * model.dim * model.hidden_dim * model.n_experts_active * layers
        weights += round(experts * (distinct - 1))
    moved = weights * BYTES_PER_VALUE + streams * model.cache_bytes(context)
    memory_s = moved / (gpus * spec.memory_bytes_per_s * DECODE_EFFICIENCY)
    compute_s = 2 * streams * model.active_params / (gpus * spec.peak_flops * PREFILL_EFFICIENCY)
    return max(memory_s, compute_s) + (model.n_layers * SYNC_S_PER_LAYER if gpus > 1 else 0.0)


def prefill_seconds(
    shape: ModelShape | str, spec: GpuSpec, gpus: int = 1, tokens: int = 4096, cached: int = 0
) -> float:
    """Seconds of the prefill of `tokens` tokens behind `cached` ones. Modelled."""
    tokens, cached = whole("tokens", tokens, 1, TOKENS_LIMIT), whole("cached", cached, 0, TOKENS_LIMIT)
    model = _checked(shape, gpus, 1, 1)
    in_layers = model.active_params - model.head_params
    attention = 2 * sum(n * kind.q_dim * _scores(kind, tokens, cached) for kind, n in model.kinds)
    flops = 2 * (in_layers * tokens + attention + model.head_params)
    compute_s = flops / (gpus * spec.peak_flops * PREFILL_EFFICIENCY)
    read_s = model.active_params * BYTES_PER_VALUE / (gpus * spec.memory_bytes_per_s * DECODE_EFFICIENCY)
    exchanged = 2 * model.n_layers * tokens * model.dim * BYTES_PER_VALUE
    sync_s = exchanged / spec.link_bytes_per_s + model.n_layers * SYNC_S_PER_LAYER if gpus > 1 else 0.0
    return max(compute_s, read_s) + sync_s


def unsure(value: float) -> Interval:
    """A GPU's modelled time, or one over it, give or take the worst error of the measured rows."""
    return Interval(value, value * (1 - ROW_ERROR), value * (1 + ROW_ERROR))


def _scores(kind: ModelShape, tokens: int, cached: int) -> float:
    """Keys that `tokens` queries see together, behind `cached` ones; a window is full from some query on."""
    growing = tokens
    if kind.window:
        growing = min(tokens, max(kind.window - cached, 0))
    return growing * (cached + growing / 2) + (tokens - growing) * kind.window


def _checked(shape: ModelShape | str, gpus: int, context: int, streams: int) -> ModelShape:
    whole("gpus", gpus, 1, GPUS_LIMIT)
    whole("context", context, 1, TOKENS_LIMIT)
    whole("streams", streams, 1, STREAMS_LIMIT)
    return as_shape(shape)
