"""The machine code that one model needs: compiled, or read from the disk's cache, once per process."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from wse_backend.engine.kernels.attention import compile_attention
from wse_backend.engine.kernels.forward import compile_forward
from wse_backend.engine.kernels.matmul import compile_matmul
from wse_backend.engine.kernels.regroup import compile_decode, compile_regroup
from wse_backend.engine.kv_cache import key_bytes
from wse_backend.engine.matrices import is_matrix, stored_type
from wse_backend.weights.catalog import Progress
from wse_backend.weights.gguf_file import GGUFFile


class Kernels:
    """The compiled functions of this process, each compiled (or read from disk) once."""

    matmul = staticmethod(cache(compile_matmul))
    regroup = staticmethod(cache(compile_regroup))
    decode = staticmethod(cache(compile_decode))
    attention = staticmethod(cache(compile_attention))
    forward = staticmethod(cache(compile_forward))


@dataclass(frozen=True)
class Compiled:
    """Functions by ggml type number (addresses, but for `regroup`), and the forward pass."""

    matmul: dict[int, int]
    regroup: dict[int, Any]
    decode: dict[int, int]
    attention: int
    forward: Any


def compile_kernels(gguf: GGUFFile, progress: Progress | None) -> Compiled:
    """Compile, or read from the disk cache, just the kernels that this model needs."""
    hp = gguf.hparams
    embedding = stored_type(gguf.tensors["token_embd.weight"])
    read_only = set() if hp.is_tied else {"token_embd.weight"}  # looked up, never multiplied by
    types = {stored_type(t) for t in gguf.tensors.values() if is_matrix(t) and t.name not in read_only}
    total = len(types) + 3

    def report(done: int) -> None:
        if progress is not None:
            progress("compile kernels", done, total)

    matmul: dict[int, int] = {}
    regroup: dict[int, Any] = {}
    report(0)
    for done, qtype in enumerate(sorted(types)):
        matmul[qtype] = int(Kernels.matmul(qtype).address)
        regroup[qtype] = Kernels.regroup(qtype)
        report(done + 1)
    decode = {embedding: int(Kernels.decode(embedding).address)}
    report(len(types) + 1)
    options = hp.attention_softcap > 0, hp.architecture.has_sinks
    attention = Kernels.attention(hp.n_heads // hp.n_kv_heads, hp.head_dim, key_bytes(gguf), *options).address
    report(len(types) + 2)
    forward = Kernels.forward(hp.n_experts > 0)
    report(total)
    return Compiled(matmul, regroup, decode, int(attention), forward)
