"""The shape of a model: all that placement and timing need to know of it, from a GGUF header or a preset.

Presets are for models too large to run here. Their hyperparameters are published: each model's `config.json`
on Hugging Face, under the name in the comment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from wse_backend.errors import InvalidParams
from wse_backend.wafer.checks import whole
from wse_backend.weights.architectures import ARCHITECTURES
from wse_backend.weights.header import read_header
from wse_backend.weights.sizes import (
    DIM_LIMIT,
    N_CTX_LIMIT,
    N_LAYERS_LIMIT,
    Fields,
    read_sizes,
)

WIDTH_LIMIT = DIM_LIMIT
N_EXPERTS_LIMIT = 1 << 24
PARAMS_LIMIT = 10**17  # a hundred thousand times the largest model there is; its bytes fit into 64 bits
BYTES_PER_VALUE = 2  # fp16 on the wafer and in the GPUs' reference runs


@dataclass(frozen=True)
class ModelShape:
    """Hyperparameters of a decoder-only transformer with a gated FFN and grouped-query or latent attention.

    hidden_dim: width of the FFN; of one expert where n_experts > 0. n_experts_active: experts that a token is
    routed to. shared_hidden_dim: width of an expert that every token passes as well.
    n_dense_layers, expert_every, dense_hidden_dim: of a mixture of experts, the first layers have a dense FFN
    of dense_hidden_dim, and so have those behind them whose number is no multiple of expert_every.
    q_rank, kv_rank, rope_dim, v_head_dim: of multi-head latent attention (DeepSeek-V2, arXiv 2405.04434),
    where a token leaves kv_rank + rope_dim values in the cache; head_dim is then a query head's, rope_dim
    included.
    window: cached tokens that a layer with a sliding window sees, the newest included; 0 where all layers see
    all. global_every: of so many layers the last one sees all of them; 0: none does. global_n_kv_heads,
    global_head_dim: of those layers where they differ, 0 where they do not.
    Raises InvalidParams when a count is out of range.
    """

    name: str
    n_layers: int
    dim: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    hidden_dim: int
    vocab_size: int
    n_ctx: int
    is_tied: bool = False
    n_experts: int = 0
    n_experts_active: int = 0
    shared_hidden_dim: int = 0
    n_dense_layers: int = 0
    expert_every: int = 1
    dense_hidden_dim: int = 0
    q_rank: int = 0
    kv_rank: int = 0
    rope_dim: int = 0
    v_head_dim: int = 0
    window: int = 0
    global_every: int = 0
    global_n_kv_heads: int = 0
    global_head_dim: int = 0

    def __post_init__(self) -> None:
        for field, (least, most) in LIMITS.items():
            whole(f"{self.name}: {field}", getattr(self, field), least, most)
        if self.kv_rank:
            for field in ("q_rank", "rope_dim", "v_head_dim"):
                whole(f"{self.name}: {field}", getattr(self, field), 1, WIDTH_LIMIT)
        if self.n_dense_layers or self.expert_every > 1:
            whole(f"{self.name}: dense_hidden_dim", self.dense_hidden_dim, 1, WIDTH_LIMIT)
        for field in ("n_kv_heads", "global_n_kv_heads"):
            if self.n_heads % (getattr(self, field) or 1):
                allowed = f"a divisor of n_heads = {self.n_heads}"
                raise InvalidParams(field, getattr(self, field), allowed)
        if self.n_experts and not 1 <= self.n_experts_active <= self.n_experts:
            allowed = f"1 to n_experts = {self.n_experts}"
            raise InvalidParams("n_experts_active", self.n_experts_active, allowed)
        if self.params > PARAMS_LIMIT:
            raise InvalidParams(f"weights of {self.name}", self.params, f"at most {PARAMS_LIMIT:,}")

    def kind_of(self, layer: int) -> ModelShape:
        """The shape that layer number `layer` (from 0) has: with experts or a dense FFN, a window or none."""
        has_experts = layer >= self.n_dense_layers and (layer + 1) % self.expert_every == 0
        is_global = self.global_every > 0 and (layer + 1) % self.global_every == 0
        kind = self if not self.n_experts or has_experts else self._dense_kind
        if not self.window or not self.global_every:
            return kind
        return kind._global_kind if is_global else kind._local_kind

    @cached_property
    def kinds(self) -> tuple[tuple[ModelShape, int], ...]:
        """The kinds of layers there are, each with how many layers are of it."""
        found: dict[ModelShape, int] = {}
        for layer in range(self.n_layers):
            kind = self.kind_of(layer)
            found[kind] = found.get(kind, 0) + 1
        return tuple(found.items())

    @cached_property
    def _dense_kind(self) -> ModelShape:
        return replace(
            self,
            hidden_dim=self.dense_hidden_dim,
            n_experts=0,
            n_experts_active=0,
            shared_hidden_dim=0,
            n_dense_layers=0,
            expert_every=1,
        )

    @cached_property
    def _global_kind(self) -> ModelShape:
        return replace(
            self,
            n_kv_heads=self.global_n_kv_heads or self.n_kv_heads,
            head_dim=self.global_head_dim or self.head_dim,
            window=0,
            global_every=0,
            global_n_kv_heads=0,
            global_head_dim=0,
        )

    @cached_property
    def _local_kind(self) -> ModelShape:
        return replace(self, global_every=0, global_n_kv_heads=0, global_head_dim=0)

    @property
    def q_dim(self) -> int:
        """Width of the queries of all heads."""
        return self.n_heads * self.head_dim

    @property
    def kv_dim(self) -> int:
        """Width of the keys (and of the values) of all key-value heads."""
        return self.n_kv_heads * self.head_dim

    @property
    def cache_dim(self) -> int:
        """Values that one token leaves in one layer's cache."""
        return self.kv_rank + self.rope_dim if self.kv_rank else 2 * self.kv_dim

    @property
    def output_dim(self) -> int:
        """Width of the attention's result, the input of the output projection."""
        return self.n_heads * self.v_head_dim if self.kv_rank else self.q_dim

    @property
    def ffn_params(self) -> int:
        """Weights of one layer's FFN: router, all experts and the shared one."""
        if not self.n_experts:
            return 3 * self.dim * self.hidden_dim
        experts = self.n_experts * self.hidden_dim + self.shared_hidden_dim
        return 3 * self.dim * experts + self.dim * self.n_experts

    @property
    def attention_params(self) -> int:
        """Weights of one layer's Q, K, V and output projections."""
        if self.kv_rank:
            queries = self.dim * self.q_rank + self.q_rank * self.q_dim
            keys = self.dim * (self.kv_rank + self.rope_dim)
            nope = self.n_heads * (self.head_dim - self.rope_dim)
            return queries + keys + self.kv_rank * (nope + self.output_dim) + self.output_dim * self.dim
        return 2 * self.dim * self.q_dim + 2 * self.dim * self.kv_dim

    @property
    def layer_params(self) -> int:
        """Weights of one layer of this kind, its two norms included."""
        return self.attention_params + self.ffn_params + 2 * self.dim

    @property
    def head_params(self) -> int:
        """Weights of the LM head, its norm included."""
        return self.vocab_size * self.dim + self.dim

    @property
    def params(self) -> int:
        """All weights; a tied embedding is counted once."""
        embedding = 0 if self.is_tied else self.vocab_size * self.dim
        return sum(n * kind.layer_params for kind, n in self.kinds) + self.head_params + embedding

    @property
    def active_params(self) -> int:
        """Weights that one token is multiplied with: no embedding table, only the experts it is routed to."""
        idle = sum(n * (kind.n_experts - kind.n_experts_active) for kind, n in self.kinds)
        in_layers = sum(n * kind.layer_params for kind, n in self.kinds)
        return in_layers - 3 * self.dim * self.hidden_dim * idle + self.head_params

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of keys and values that one token leaves behind, all layers."""
        return sum(n * kind.cache_dim for kind, n in self.kinds) * BYTES_PER_VALUE

    def seen(self, context: int) -> int:
        """Cached tokens that a layer of this kind reads of `context`: no more than its window."""
        return min(context, self.window) if self.window else context

    def cache_bytes(self, context: int) -> int:
        """Bytes of the keys and values that `context` tokens keep, all layers; what left a window is gone."""
        values = sum(n * kind.cache_dim * kind.seen(context) for kind, n in self.kinds)
        return values * BYTES_PER_VALUE

    @classmethod
    def from_gguf(cls, source: str | os.PathLike[str] | Mapping[str, object]) -> ModelShape:
        """Return the shape of a GGUF file of any architecture, or of a header already read.

        source: a path, a GGUF's metadata, or an engine's `shape_metadata`.
        Raises BrokenGGUF (unreadable, or a hyperparameter is missing or out of range), InvalidParams.
        """
        if not isinstance(source, Mapping):
            header = read_header(source)
            shapes = header.shapes
            rows = shapes.get("token_embd.weight", (None,))[0]
            is_tied = bool(shapes) and "output.weight" not in shapes
            return _from_header(header.metadata, header.path.name, is_tied, rows)
        if "general.architecture" in source:
            return _from_header(source, "the GGUF header", is_tied=False, rows=None)
        return _from_hparams(source)


# Far beyond any model there is.
LIMITS: Mapping[str, tuple[int, int]] = {
    "n_layers": (1, N_LAYERS_LIMIT),
    "dim": (1, WIDTH_LIMIT),
    "n_heads": (1, WIDTH_LIMIT),
    "n_kv_heads": (1, WIDTH_LIMIT),
    "head_dim": (1, WIDTH_LIMIT),
    "hidden_dim": (1, WIDTH_LIMIT),
    "vocab_size": (1, N_CTX_LIMIT),
    "n_ctx": (1, N_CTX_LIMIT),
    "n_experts": (0, N_EXPERTS_LIMIT),
    "n_experts_active": (0, N_EXPERTS_LIMIT),
    "shared_hidden_dim": (0, WIDTH_LIMIT),
    "n_dense_layers": (0, N_LAYERS_LIMIT),
    "expert_every": (1, N_LAYERS_LIMIT),
    "kv_rank": (0, WIDTH_LIMIT),
    "window": (0, N_CTX_LIMIT),
    "global_every": (0, N_LAYERS_LIMIT),
    "global_n_kv_heads": (0, WIDTH_LIMIT),
    "global_head_dim": (0, WIDTH_LIMIT),
}
"""Least and most of every count of ModelShape."""


def _from_hparams(found: Mapping[str, object]) -> ModelShape:
    """The shape from fields named as in ModelShape; `name` falls back to the architecture."""
    fields = ("n_layers", "dim", "n_heads", "n_kv_heads", "head_dim", "hidden_dim", "vocab_size", "n_ctx")
    missing = [field for field in fields if field not in found]
    if missing:
        raise InvalidParams("shape metadata", sorted(found), f"all of {', '.join(fields)}")
    counts = {field: found[field] for field in fields}
    name = str(found.get("name", found.get("architecture", "model")))
    return ModelShape(name, is_tied=bool(found.get("is_tied", False)), **counts)  # type: ignore[arg-type]


def _from_header(metadata: Mapping[str, object], path: str, is_tied: bool, rows: int | None) -> ModelShape:
    """The shape from a header's own sizes; where heads differ between layers, their mean stands for all."""
    fields = Fields(metadata, path)
    sizes = read_sizes(fields, rows)
    shape = ModelShape(
        name=str(metadata.get("general.name", metadata["general.architecture"])),
        n_layers=sizes.n_layers,
        dim=sizes.dim,
        n_heads=sizes.n_heads,
        n_kv_heads=sizes.n_kv_heads,
        head_dim=sizes.head_dim,
        hidden_dim=sizes.expert_hidden_dim or sizes.hidden_dim,
        vocab_size=sizes.vocab_size,
        n_ctx=sizes.n_ctx,
        is_tied=is_tied,
        n_experts=sizes.n_experts,
        n_experts_active=sizes.n_experts_active,
        shared_hidden_dim=sizes.shared_hidden_dim,
    )
    shape = _with_latents(_with_dense_layers(_with_shared(shape, fields), fields, sizes.hidden_dim), fields)
    return _with_windows(shape, fields)


def _with_windows(shape: ModelShape, fields: Fields) -> ModelShape:
    """The layers with a sliding window, where the engine runs the file with one.

    Which layers see all is the architecture's, not the file's. Of an architecture that is not known here all
    layers are taken to see all: many headers name a window that nothing uses.
    """
    known = ARCHITECTURES.get(fields.architecture)
    every = known.full_attention_every if known else None
    if every is None:
        return shape
    window = fields.integer("attention.sliding_window", N_CTX_LIMIT, default=0, least=0)
    return replace(shape, window=window, global_every=every if window else 0)


def _with_shared(shape: ModelShape, fields: Fields) -> ModelShape:
    """Files that say how many shared experts there are, and not how wide: each as wide as a routed one."""
    count = fields.integer("expert_shared_count", WIDTH_LIMIT, default=0, least=0)
    if not shape.n_experts or shape.shared_hidden_dim or not count:
        return shape
    return replace(shape, shared_hidden_dim=count * shape.hidden_dim)


def _with_dense_layers(shape: ModelShape, fields: Fields, hidden_dim: int) -> ModelShape:
    """The layers of a mixture of experts that have a dense feed-forward network."""
    first = fields.integer("leading_dense_block_count", shape.n_layers, default=0, least=0)
    every = fields.integer("interleave_moe_layer_step", shape.n_layers, default=1)
    if not shape.n_experts or (first == 0 and every == 1):
        return shape
    return replace(shape, n_dense_layers=first, expert_every=every, dense_hidden_dim=hidden_dim)


def _with_latents(shape: ModelShape, fields: Fields) -> ModelShape:
    """Latent attention; files since 2025 keep the heads' own widths in key_length_mla, value_length_mla."""
    if not (fields.has("attention.kv_lora_rank") and fields.has("attention.q_lora_rank")):
        return shape
    widths = {
        name: fields.integer(f"attention.{name}_mla", WIDTH_LIMIT, default=None)
        if fields.has(f"attention.{name}_mla")
        else fields.integer(f"attention.{name}", WIDTH_LIMIT)
        for name in ("key_length", "value_length")
    }
    return replace(
        shape,
        n_kv_heads=shape.n_heads,
        head_dim=widths["key_length"],
        q_rank=fields.integer("attention.q_lora_rank", WIDTH_LIMIT),
        kv_rank=fields.integer("attention.kv_lora_rank", WIDTH_LIMIT),
        rope_dim=fields.integer("rope.dimension_count", widths["key_length"]),
        v_head_dim=widths["value_length"],
    )


def as_shape(model: ModelShape | str) -> ModelShape:
    """Return `model` itself, or the preset of that name. Raises InvalidParams (no such preset)."""
    if isinstance(model, ModelShape):
        return model
    if model not in PRESETS:
        raise InvalidParams("model", model, ", ".join(PRESETS))
    return PRESETS[model]


def _dense(
    name: str,
    n_layers: int,
    dim: int,
    heads: tuple[int, int, int],
    hidden_dim: int,
    vocab_size: int,
    n_ctx: int,
) -> ModelShape:
    """heads: (n_heads, n_kv_heads, head_dim)."""
    return ModelShape(name, n_layers, dim, *heads, hidden_dim, vocab_size, n_ctx)


@dataclass(frozen=True)
class ExpertShape:
    """The FFN of a mixture of experts: count, active, width; the fields of ModelShape under shorter names."""

    count: int
    active: int
    hidden_dim: int
    shared: int = 0
    first_dense: int = 0
    every: int = 1
    dense: int = 0


def _experts(
    name: str,
    n_layers: int,
    dim: int,
    heads: tuple[int, int, int],
    vocab_size: int,
    n_ctx: int,
    experts: ExpertShape,
) -> ModelShape:
    """heads: (n_heads, n_kv_heads, head_dim)."""
    shape = _dense(name, n_layers, dim, heads, experts.hidden_dim, vocab_size, n_ctx)
    return replace(
        shape,
        n_experts=experts.count,
        n_experts_active=experts.active,
        shared_hidden_dim=experts.shared,
        n_dense_layers=experts.first_dense,
        expert_every=experts.every,
        dense_hidden_dim=experts.dense,
    )


def _tied(shape: ModelShape) -> ModelShape:
    return replace(shape, is_tied=True)


def _windowed(shape: ModelShape, window: int, every: int) -> ModelShape:
    """window: tokens that all layers but each `every`-th see."""
    return replace(shape, window=window, global_every=every)


_LLAMA_70B = (80, 8192, (64, 8, 128), 28672, 128256, 131072)

PRESETS: dict[str, ModelShape] = {
    shape.name: shape
    for shape in (
        _dense("llama3-8b", 32, 4096, (32, 8, 128), 14336, 128256, 8192),  # meta-llama/Meta-Llama-3-8B
        _dense("llama2-13b", 40, 5120, (40, 40, 128), 13824, 32000, 4096),  # meta-llama/Llama-2-13b-hf
        _dense("codellama-34b", 48, 8192, (64, 8, 128), 22016, 32000, 16384),  # codellama/CodeLlama-34b-hf
        _dense("qwen2-72b", 80, 8192, (64, 8, 128), 29568, 152064, 32768),  # Qwen/Qwen2-72B
        _dense("llama3.1-8b", 32, 4096, (32, 8, 128), 14336, 128256, 131072),  # meta-llama/Llama-3.1-8B
        _dense("llama3.1-70b", *_LLAMA_70B),  # meta-llama/Llama-3.1-70B
        _dense("llama3.3-70b", *_LLAMA_70B),  # meta-llama/Llama-3.3-70B-Instruct
        _dense(
            "llama3.1-405b", 126, 16384, (128, 8, 128), 53248, 128256, 131072
        ),  # meta-llama/Llama-3.1-405B
        # meta-llama/Llama-4-Scout-17B-16E: top-1 of 16 experts beside a shared expert, in every layer. Three
        # of four layers attend inside chunks of 8,192 tokens: no further than a window of so many.
        _windowed(
            _experts(
                "llama-4-scout",
                48,
                5120,
                (40, 8, 128),
                202048,
                10485760,
                ExpertShape(16, 1, 8192, shared=8192),
            ),
            8192,
            4,
        ),
        # meta-llama/Llama-4-Maverick-17B-128E: the same, experts in every second layer; the others are dense
        _windowed(
            _experts(
                "llama-4-maverick",
                48,
                5120,
                (40, 8, 128),
                202048,
                1048576,
                ExpertShape(128, 1, 8192, shared=8192, every=2, dense=16384),
            ),
            8192,
            4,
        ),
        # google/gemma-4-31B-it: every sixth layer sees all, with 4 key-value heads of 512 (its keys are its
        # values; they are counted apart here, 0.4 % of all weights)
        replace(
            _windowed(_tied(_dense("gemma-4-31b", 60, 5376, (32, 16, 256), 21504, 262144, 262144)), 1024, 6),
            global_n_kv_heads=4,
            global_head_dim=512,
        ),
        _dense("qwen3-32b", 64, 5120, (64, 8, 128), 25600, 151936, 40960),  # Qwen/Qwen3-32B
        _dense("deepseek-r1-distill-llama-70b", *_LLAMA_70B),  # deepseek-ai/DeepSeek-R1-Distill-Llama-70B
        # openai/gpt-oss-120b: top-4 of 128 experts; every second layer sees 128 tokens
        _windowed(
            _experts("gpt-oss-120b", 36, 2880, (64, 8, 64), 201088, 131072, ExpertShape(128, 4, 2880)), 128, 2
        ),
        # Qwen/Qwen3-235B-A22B-Instruct-2507: top-8 of 128 experts in every layer
        _experts("qwen3-235b-a22b", 94, 4096, (64, 4, 128), 151936, 262144, ExpertShape(128, 8, 1536)),
        # zai-org/GLM-4.7 (GLM-4.5 and 4.6 have the same layers): three dense layers, then top-8 of 160
        _experts(
            "glm-4.7",
            92,
            5120,
            (96, 8, 128),
            151552,
            202752,
            ExpertShape(160, 8, 1536, shared=1536, first_dense=3, dense=12288),
        ),
        # deepseek-ai/DeepSeek-R1: latent attention; three dense layers, then top-8 of 256 and a shared expert
        replace(
            _experts(
                "deepseek-r1-671b",
                61,
                7168,
                (128, 128, 192),
                129280,
                163840,
                ExpertShape(256, 8, 2048, shared=2048, first_dense=3, dense=18432),
            ),
            q_rank=1536,
            kv_rank=512,
            rope_dim=64,
            v_head_dim=128,
        ),
        # HuggingFaceTB/SmolLM2-135M-Instruct, Qwen/Qwen2.5-Coder-0.5B-Instruct and -1.5B-Instruct
        _tied(_dense("smollm2-135m", 30, 576, (9, 3, 64), 1536, 49152, 8192)),
        _tied(_dense("qwen2.5-coder-0.5b", 24, 896, (14, 2, 64), 4864, 151936, 32768)),
        _tied(_dense("qwen2.5-coder-1.5b", 28, 1536, (12, 2, 128), 8960, 151936, 32768)),
    )
}
from_gguf = ModelShape.from_gguf
