"""The weights of a file as the kernels take them: which matrices and vectors are which field of `Model`."""

from collections.abc import Mapping

import numpy as np

from wse_backend.engine.kernels.arguments import (
    Cache,
    Embedding,
    ExpertWeights,
    Floats,
    Ints,
    Matrix,
    Model,
    padded,
)
from wse_backend.engine.kernels.attention import BLOCK_POSITIONS
from wse_backend.engine.kernels.formats import ROWS
from wse_backend.engine.kernels.pieces import unit_rows
from wse_backend.engine.kv_cache import BlockPool, key_bytes
from wse_backend.engine.matrices import vector
from wse_backend.engine.rope import rope_tables
from wse_backend.weights.gguf_file import GGUFFile
from wse_backend.weights.hparams import HParams
from wse_backend.weights.tensors import MatrixRows, expert_matrices, layer_matrices, model_frequencies

ACTIVATIONS = ("silu", "gelu", "clamped")  # in the order of arguments.SILU, GELU, CLAMPED
NO_MATRIX = Matrix(0, 0, 0, 0, 0, 1, 0)


def wanted_matrices(hp: HParams) -> list[MatrixRows]:
    """All matrices of a model: each layer's, its experts' (all rows one after another), and the head."""
    layers = range(hp.n_layers)
    dense = [place for layer in layers for place in layer_matrices(hp, layer) if place.name]
    experts = [place for layer in layers for place in expert_matrices(hp, layer)] if hp.n_experts else []
    return [*dense, *experts, _head(hp)]


def _head(hp: HParams) -> MatrixRows:
    return MatrixRows("token_embd.weight" if hp.is_tied else "output.weight", 0, hp.vocab_size)


def bind_model(
    gguf: GGUFFile, matrices: Mapping[MatrixRows, Matrix], embedding: Embedding, attention: int, n_ctx: int,
    n_threads: int,
) -> Model:  # fmt: skip
    """The model as the kernels take it. attention: address of a compiled function."""
    hp = gguf.hparams
    family, width = hp.architecture, padded(hp.dim)
    places = [layer_matrices(hp, layer) for layer in range(hp.n_layers)]
    cos, sin, rope_table = _rope(gguf, n_ctx)
    return Model(
        matrices=np.array([[matrices.get(place, NO_MATRIX) for place in row] for row in places], np.int64),
        head=matrices[_head(hp)],
        embedding=embedding,
        attention_norm=_vectors(gguf, "attn_norm.weight", width),
        attention_post_norm=_vectors(
            gguf, "post_attention_norm.weight" if family.norms != "before" else "", width
        ),
        ffn_norm=_vectors(gguf, f"{family.ffn_norm}.weight", width),
        ffn_post_norm=_vectors(gguf, "post_ffw_norm.weight", width),
        output_norm=vector(gguf, "output_norm.weight", width),
        q_norm=_vectors(gguf, "attn_q_norm.weight"),
        k_norm=_vectors(gguf, "attn_k_norm.weight"),
        qkv_bias=_qkv_bias(gguf),
        output_bias=_vectors(gguf, "attn_output.bias"),
        no_bias=np.zeros(0, np.float32),
        cos=cos,
        sin=sin,
        rope_table=rope_table,
        windows=np.array(hp.windows, np.int64),
        attention=attention,
        attention_extras=_attention_extras(gguf),
        activation=ACTIVATIONS.index(family.activation),
        experts=_experts(gguf, matrices, n_threads) if hp.n_experts else (),
        n_heads=hp.n_heads,
        n_kv_heads=hp.n_kv_heads,
        head_dim=hp.head_dim,
        dim=hp.dim,
        hidden_dim=hp.dense_hidden_dim,
        rms_eps=hp.rms_eps,
        embedding_scale=hp.embedding_scale,
        residual_scale=hp.residual_scale,
        attention_scale=hp.attention_scale,
        logit_scale=hp.logit_scale,
        final_softcap=hp.final_softcap,
        is_rope_interleaved=hp.rope_style == "interleaved",
    )


def _experts(gguf: GGUFFile, matrices: Mapping[MatrixRows, Matrix], n_threads: int) -> ExpertWeights:
    hp, layers = gguf.hparams, range(gguf.hparams.n_layers)
    n, routing = hp.n_experts, hp.architecture.experts
    found = [[matrices[place] for place in expert_matrices(hp, layer)] for layer in layers if n]
    first, strides = [], []
    for row in found:
        n_rows = [m.n_rows // n for m in row[1:]]
        first.append(
            [
                m._replace(n_rows=rows, unit_rows=unit_rows(rows, n_threads))
                for m, rows in zip(row[1:], n_rows, strict=True)
            ]
        )
        strides.append([rows // ROWS * m.group_bytes for m, rows in zip(row[1:], n_rows, strict=True)])
    fields = len(Matrix._fields)

    def biases(name: str) -> Floats:
        return _vectors(gguf, f"ffn_{name}_exps.bias").reshape(len(layers), max(n, 1), -1)

    return ExpertWeights(
        router=np.array([row[0] for row in found], np.int64).reshape(-1, fields),
        matrices=np.array(first, np.int64).reshape(-1, 3, fields),
        strides=np.array(strides, np.int64).reshape(-1, 3),
        router_bias=_vectors(gguf, "ffn_gate_inp.bias"),
        gate_bias=biases("gate"),
        up_bias=biases("up"),
        down_bias=biases("down"),
        shared_gate=_vectors(gguf, "ffn_gate_inp_shexp.weight"),
        n_experts=n,
        n_active=hp.n_experts_active,
        sums_to_one=routing is None or routing.sums_to_one,
    )


def _rope(gguf: GGUFFile, n_ctx: int) -> tuple[Floats, Floats, Ints]:
    """cos and sin, (tables, n_ctx, rope_dim / 2), and which table turns each layer; -1: none."""
    kinds = [kind for kind in ("global", "local") if kind in gguf.hparams.rope_kinds]
    tables = [
        rope_tables(n_ctx, *model_frequencies(gguf.hparams, gguf.tensors, n_ctx, kind))
        for kind in kinds or ["global"]
    ]
    which = [kinds.index(kind) if kind in kinds else -1 for kind in gguf.hparams.rope_kinds]
    cos, sin = (np.stack(parts) for parts in zip(*tables, strict=True))
    return cos, sin, np.array(which, np.int64)


def _vectors(gguf: GGUFFile, name: str, n: int = 0) -> Floats:
    """A norm's weights or a bias of all layers, padded to `n`; (n_layers, 0) where the file has none."""
    layers = range(gguf.hparams.n_layers)
    if f"blk.0.{name}" not in gguf.tensors:
        return np.zeros((len(layers), 0), np.float32)
    return np.stack([vector(gguf, f"blk.{layer}.{name}", n) for layer in layers])


def _attention_extras(gguf: GGUFFile) -> Floats:
    """Of each layer and KV head: the soft cap of scores, then the sinks of its query heads."""
    hp = gguf.hparams
    extras = np.zeros((hp.n_layers, hp.n_kv_heads, 1 + hp.n_heads // hp.n_kv_heads), np.float32)
    extras[:, :, 0] = hp.attention_softcap
    if hp.architecture.has_sinks:
        extras[:, :, 1:] = _vectors(gguf, "attn_sinks.weight").reshape(hp.n_layers, hp.n_kv_heads, -1)
    return extras


def _qkv_bias(gguf: GGUFFile) -> Floats:
    return np.concatenate([_vectors(gguf, f"attn_{part}.bias") for part in "qkv"], axis=1)


def bind_cache(gguf: GGUFFile, pool: BlockPool) -> Cache:
    """Where in the pool's memory the kernels find keys and values."""
    hp, width = gguf.hparams, key_bytes(gguf)
    return Cache(
        base=pool.base_address,
        block_bytes=pool.block_bytes,
        layer_bytes=pool.block_bytes // hp.n_layers,
        key_bytes=width,
        values_offset=hp.n_kv_heads * hp.head_dim * BLOCK_POSITIONS * width,
    )
