"""The sizes that a GGUF header gives its model, of any architecture: the one reading of them.

Key names: docs/gguf.md of ggml, "[architecture].block_count" and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wse_backend.errors import BrokenGGUF

N_LAYERS_LIMIT = 1024
N_CTX_LIMIT = 1 << 24
DIM_LIMIT = 1 << 20
N_EXPERTS_LIMIT = 1 << 14


@dataclass(frozen=True)
class Sizes:
    """What a model's weights and its KV cache take.

    hidden_dim: width of a layer's feed-forward network, where it is one. n_experts: 0 without any, then
    n_experts_active, expert_hidden_dim and shared_hidden_dim are 0 too. uneven: keys whose value differs from
    layer to layer; what stands here for them is the mean.
    """

    n_layers: int
    dim: int
    hidden_dim: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    vocab_size: int
    n_ctx: int
    n_experts: int
    n_experts_active: int
    expert_hidden_dim: int
    shared_hidden_dim: int
    uneven: tuple[str, ...]


class Fields:
    """Typed look-up of the `{architecture}.*` values of a header, with ranges. Raises BrokenGGUF."""

    def __init__(self, metadata: Mapping[str, object], file: str) -> None:
        architecture = metadata.get("general.architecture")
        if not isinstance(architecture, str):
            raise BrokenGGUF(file, "general.architecture is missing from its header")
        self.metadata = metadata
        self.architecture = architecture
        self.file = file
        self.uneven: list[str] = []

    def get(self, key: str) -> object:
        return self.metadata.get(f"{self.architecture}.{key}")

    def has(self, key: str) -> bool:
        return self.get(key) is not None

    def integer(self, key: str, limit: int, default: int | None = None, least: int = 1) -> int:
        """A whole number; of a list with one for each layer, their mean."""
        found = self.get(key)
        if isinstance(found, list) and found and all(type(value) is int for value in found):
            if len(set(found)) > 1:
                self.uneven.append(f"{self.architecture}.{key}")
            found = round(sum(found) / len(found))
        if found is None:
            found = default
        if type(found) is not int or not least <= found <= limit:
            raise self._refused(key, found, f"integers from {least} to {limit:,}")
        return found

    def real(self, key: str, low: float, high: float, default: float | None = None) -> float:
        found = self.get(key)
        if found is None:
            found = default
        if type(found) not in (int, float) or not low <= float(found) <= high:  # type: ignore[arg-type]
            raise self._refused(key, found, f"{low:g} to {high:g}")
        return float(found)  # type: ignore[arg-type]

    def _refused(self, key: str, found: object, allowed: str) -> BrokenGGUF:
        said = "missing" if found is None else shown(found)
        return BrokenGGUF(self.file, f"{self.architecture}.{key} is {said}; allowed: {allowed}")


def shown(found: object) -> str:
    """A header's value, short enough for an error."""
    return f"a list of {len(found)}" if isinstance(found, list) else repr(found)[:60]


def read_sizes(fields: Fields, embedding_rows: int | None = None) -> Sizes:
    """The sizes of a header, checked against each other.

    embedding_rows: rows of token_embd.weight, where that is known. Raises BrokenGGUF.
    """
    file, prefix = fields.file, fields.architecture
    dim = fields.integer("embedding_length", DIM_LIMIT)
    n_heads = fields.integer("attention.head_count", dim)
    if not fields.has("attention.key_length") and dim % n_heads:
        raise BrokenGGUF(file, f"{dim} elements per token cannot be shared by {n_heads} attention heads")
    n_kv_heads = fields.integer("attention.head_count_kv", n_heads, default=n_heads)
    if n_heads % n_kv_heads and not fields.uneven:
        raise BrokenGGUF(file, f"{n_heads} attention heads cannot share {n_kv_heads} key-value heads")
    n_experts = fields.integer("expert_count", N_EXPERTS_LIMIT, default=0, least=0)
    is_dense = n_experts == 0
    hidden_dim = fields.integer("feed_forward_length", DIM_LIMIT, 0 if not is_dense else None, int(is_dense))
    active = fields.integer("expert_used_count", max(n_experts, 1), None if n_experts else 1)
    return Sizes(
        n_layers=fields.integer("block_count", N_LAYERS_LIMIT),
        dim=dim,
        hidden_dim=hidden_dim,
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        head_dim=fields.integer("attention.key_length", dim, default=dim // n_heads),
        vocab_size=_vocab_size(fields, prefix, embedding_rows),
        n_ctx=fields.integer("context_length", N_CTX_LIMIT),
        n_experts=n_experts,
        n_experts_active=active if n_experts else 0,
        expert_hidden_dim=_expert_hidden_dim(fields, n_experts, hidden_dim),
        shared_hidden_dim=_shared_hidden_dim(fields, n_experts),
        uneven=tuple(fields.uneven),
    )


def _expert_hidden_dim(fields: Fields, n_experts: int, hidden_dim: int) -> int:
    """The width of one expert; Mixtral's and gpt-oss's files call it feed_forward_length."""
    if not n_experts:
        return 0
    return fields.integer("expert_feed_forward_length", DIM_LIMIT, default=hidden_dim)


def _shared_hidden_dim(fields: Fields, n_experts: int) -> int:
    """The width of what every token passes beside its experts; 0 without."""
    return fields.integer("expert_shared_feed_forward_length", DIM_LIMIT, 0, 0) if n_experts else 0


def _vocab_size(fields: Fields, prefix: str, embedding_rows: int | None) -> int:
    """The rows of the embedding, with which header and vocabulary must agree; without it, what they say."""
    tokens = fields.metadata.get("tokenizer.ggml.tokens")
    n_tokens = len(tokens) if isinstance(tokens, list) else None
    rows = embedding_rows or fields.integer("vocab_size", DIM_LIMIT, default=n_tokens)
    if fields.integer("vocab_size", DIM_LIMIT, default=rows) != rows:
        raise BrokenGGUF(
            fields.file, f"{prefix}.vocab_size is {fields.get('vocab_size')}, the embedding has {rows}"
        )
    if n_tokens is not None and n_tokens != rows:
        raise BrokenGGUF(fields.file, f"the vocabulary has {n_tokens:,} tokens, the embedding {rows:,} rows")
    return rows
