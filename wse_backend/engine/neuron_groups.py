"""What a mixture of experts would be in a model that has none: its neurons in groups, few of them per token.

A layer's feed-forward network is down . (activation(gate . x) * (up . x)): a sum over its neurons. Those that
are active together form groups of one size, and per token only the groups with the largest outputs are kept:
MoEfication (Zhang et al. 2022, arXiv 2110.01786), with the selection that they call groundtruth, that is, a
router that never errs. A group that is not kept gives its mean output, a constant. What is lost is measured
against the whole model; a real router loses more.

Plain numpy over dequantized weights, one layer in memory at a time, for texts of a few dozen tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from gguf.constants import GGMLQuantizationType
from gguf.quants import dequantize

from wse_backend.engine.matrices import check_formats
from wse_backend.engine.rope import rope_tables
from wse_backend.errors import InvalidParams
from wse_backend.weights.gguf_file import GGUFFile
from wse_backend.weights.hparams import HParams
from wse_backend.weights.tensors import model_frequencies

Floats = npt.NDArray[np.float32]

ARCHITECTURES = ("llama", "qwen2")
MAX_TOKENS = 96
ROUNDS = 4  # of the clustering


@dataclass(frozen=True)
class GroupStudy:
    """What keeping fewer groups does to a text.

    kept: numbers of groups, descending, the first is all. kl: mean KL in nats of the next token's
    distribution against the whole model's; same: share of positions whose most likely token stays; both one
    per entry of `kept`. use: float64 (n_layers, n_groups), how often each is chosen where half are kept.
    ffn_share: share of the model's weights that lie in feed-forward networks. most_likely: the whole model's
    most likely token after each of the text's.
    """

    n_groups: int
    kept: tuple[int, ...]
    kl: npt.NDArray[np.float64]
    same: npt.NDArray[np.float64]
    use: npt.NDArray[np.float64]
    ffn_share: float
    most_likely: npt.NDArray[np.int64]

    def read_share(self, kept: int) -> float:
        """Share of all weights that a token is multiplied by with `kept` groups."""
        return 1.0 - self.ffn_share * (1.0 - kept / self.n_groups)


def study_groups(
    gguf: GGUFFile,
    calibration: Sequence[int],
    ids: Sequence[int],
    n_groups: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> GroupStudy:
    """Group neurons by what is active together on `calibration`; measure on `ids` what fewer groups lose.

    Raises InvalidParams: another architecture, a number of groups that does not divide the neurons, or more
    than MAX_TOKENS tokens. Raises Unsupported as `check_formats`.
    """
    h = gguf.hparams
    _check(gguf, calibration, ids, n_groups)
    parts = {n_groups, *(max(1, n_groups * part // 16) for part in (12, 8, 6, 4, 2))}
    kept = tuple(sorted(parts, reverse=True))
    embedding = _weight(gguf, "token_embd.weight")
    known, streams = embedding[list(calibration)], np.stack([embedding[list(ids)]] * len(kept))
    use = np.zeros((h.n_layers, n_groups))
    for layer in range(h.n_layers):
        progress(layer, h.n_layers)
        w = _Layer(gguf, layer)
        known, active = _pass(h, w, known[None], None)
        known = known[0]
        groups = group_neurons(active[0], n_groups)
        streams, chosen = _pass(h, w, streams, (groups, active[0].mean(axis=0), kept))
        use[layer] = chosen[_half(kept, n_groups)].mean(axis=0)
    progress(h.n_layers, h.n_layers)
    head = embedding if h.is_tied else _weight(gguf, "output.weight")
    logits = _norm(streams, gguf.tensors["output_norm.weight"].floats(), h.rms_eps) @ head.T
    logs = _log_softmax(logits.astype(np.float64))
    kl = (np.exp(logs[0]) * (logs[0] - logs)).sum(axis=2).mean(axis=1)
    same = (logits.argmax(axis=2) == logits[0].argmax(axis=1)).mean(axis=1)
    ffn = 3 * h.dim * h.hidden_dim * h.n_layers
    total = sum(int(np.prod(tensor.shape)) for tensor in gguf.tensors.values())
    return GroupStudy(n_groups, kept, kl, same, use, ffn / total, logits[0].argmax(axis=1))


def group_neurons(active: Floats, n_groups: int) -> npt.NDArray[np.int64]:
    """The group of each neuron, all of one size, by which neurons are active on the same tokens.

    active: float32 (tokens, neurons), outputs of the activation. Balanced k-means over the sizes of each
    neuron's outputs, scaled to length 1: the neurons that are surest of a group choose first.
    """
    features = np.abs(active.T)
    features /= np.linalg.norm(features, axis=1, keepdims=True) + 1e-9
    n_neurons, size = len(features), len(features) // n_groups
    centres = features[np.random.default_rng(0).choice(n_neurons, n_groups, replace=False)]
    groups = np.zeros(n_neurons, np.int64)
    for _ in range(ROUNDS):
        likeness = features @ centres.T
        order = np.argsort(-np.ptp(np.sort(likeness, axis=1)[:, -2:], axis=1), kind="stable")
        wishes, room = np.argsort(-likeness, axis=1, kind="stable"), [size] * n_groups
        for neuron in order:
            group = next(int(g) for g in wishes[neuron] if room[g])
            groups[neuron], room[group] = group, room[group] - 1
        centres = np.stack([features[groups == group].mean(axis=0) for group in range(n_groups)])
        centres /= np.linalg.norm(centres, axis=1, keepdims=True) + 1e-9
    return groups


def _check(gguf: GGUFFile, calibration: Sequence[int], ids: Sequence[int], n_groups: int) -> None:
    check_formats(gguf)
    h = gguf.hparams
    if h.architecture.name not in ARCHITECTURES or h.n_experts:
        raise InvalidParams("model", gguf.path.name, f"a dense one of {', '.join(ARCHITECTURES)}")
    if n_groups < 2 or h.hidden_dim % n_groups:
        raise InvalidParams("n_groups", n_groups, f"2 or more that divide {h.hidden_dim} neurons")
    for name, tokens in (("calibration", calibration), ("ids", ids)):
        if not 2 <= len(tokens) <= MAX_TOKENS:
            raise InvalidParams(name, f"{len(tokens)} tokens", f"2 to {MAX_TOKENS}")


def _half(kept: tuple[int, ...], n_groups: int) -> int:
    """The entry of `kept` that is closest to half of the groups."""
    return min(range(len(kept)), key=lambda at: abs(kept[at] - n_groups / 2))


class _Layer:
    """A layer's weights as float32; attention's rows of RoPE's pairs as the file has them."""

    def __init__(self, gguf: GGUFFile, layer: int) -> None:
        self.tensors = gguf.tensors
        start = f"blk.{layer}."
        self.w = {name[len(start) :]: _weight(gguf, name) for name in gguf.tensors if name.startswith(start)}
        self.gguf = gguf


def _pass(
    h: HParams, layer: _Layer, x: Floats, choice: tuple[npt.NDArray[np.int64], Floats, tuple[int, ...]] | None
) -> tuple[Floats, npt.NDArray[np.float32]]:
    """One layer over several streams of one text, x: (streams, tokens, dim).

    choice: the group of each neuron, its mean output, and how many groups each stream keeps per token.
    Returns the streams, and the neurons' outputs, or, with a choice, which groups were kept: float32
    (streams, tokens, groups).
    """
    w = layer.w
    x = x + _attention(h, layer, _norm(x, w["attn_norm.weight"], h.rms_eps)) @ w["attn_output.weight"].T
    inner = _norm(x, w["ffn_norm.weight"], h.rms_eps)
    gate, up = inner @ w["ffn_gate.weight"].T, inner @ w["ffn_up.weight"].T
    active = gate / (1 + np.exp(-gate)) * up
    seen = active
    if choice is not None:
        groups, means, kept = choice
        sizes = np.abs(active - means) * np.linalg.norm(w["ffn_down.weight"], axis=0)
        n_groups = int(groups.max()) + 1
        together = np.argsort(groups, kind="stable")  # all groups have one size
        score = sizes[..., together].reshape(*sizes.shape[:2], n_groups, -1).sum(axis=-1)
        rank = np.argsort(np.argsort(-score, axis=-1, kind="stable"), axis=-1, kind="stable")
        chosen = rank < np.array(kept)[:, None, None]
        active = np.where(chosen[..., groups], active, means)
        seen = chosen.astype(np.float32)
    return x + active @ w["ffn_down.weight"].T, seen


def _attention(h: HParams, layer: _Layer, inner: Floats) -> Floats:
    w, n = layer.w, inner.shape[1]
    q, k, v = (
        _heads(inner @ w[f"attn_{part}.weight"].T + w.get(f"attn_{part}.bias", np.float32(0)), h.head_dim)
        for part in "qkv"
    )
    cos, sin = rope_tables(n, *model_frequencies(h, layer.tensors, n))
    q, k = _rope(h, q, cos, sin), _rope(h, k, cos, sin)
    group = h.n_heads // h.n_kv_heads
    k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
    scores = q @ k.swapaxes(2, 3) * np.float32(h.attention_scale)
    scores = np.where(np.tril(np.ones((n, n), bool)), scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=3, keepdims=True))
    weights /= weights.sum(axis=3, keepdims=True)
    mixed: Floats = (weights @ v).swapaxes(1, 2).reshape(len(inner), n, -1).astype(np.float32)
    return mixed


def _heads(rows: Floats, head_dim: int) -> Floats:
    return rows.reshape(*rows.shape[:2], -1, head_dim).swapaxes(1, 2)


def _rope(h: HParams, heads: Floats, cos: Floats, sin: Floats) -> Floats:
    out, half = heads.copy(), h.rope_dim // 2
    if h.rope_style == "interleaved":
        first, second = slice(0, h.rope_dim, 2), slice(1, h.rope_dim, 2)
    else:
        first, second = slice(0, half), slice(half, h.rope_dim)
    x, y = heads[..., first], heads[..., second]
    out[..., first], out[..., second] = x * cos - y * sin, x * sin + y * cos
    return out


def _norm(x: Floats, weight: Floats, eps: float) -> Floats:
    scaled: Floats = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + np.float32(eps)) * weight
    return scaled


def _log_softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    found: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return found


def _weight(gguf: GGUFFile, name: str) -> Floats:
    tensor = gguf.tensors[name]
    rows = tensor.data.reshape(*tensor.shape[:-1], -1)
    values: Floats = dequantize(rows, GGMLQuantizationType(tensor.qtype)).astype(np.float32)
    return values.reshape(tensor.shape)
