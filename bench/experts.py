"""What a mixture of experts costs: a synthetic one with 1, 2, 4 or 8 of 8 experts, beside dense models.

    PYTHONPATH=. python bench/experts.py [--rounds N] [--folder FOLDER]

All files are made here, of random Q8_0 weights: eight layers of 1,024 columns; each expert is 2,816 wide.
One dense model has as many weights as two experts, which a token passes with top-2, another as many as all
eight. A pass over one row is one agent's decode. Times are CPU times of one thread: what the machine does
besides does not count, waiting for memory does. Every round measures every model once; the table has medians
of the rounds, and medians of the ratios within each round.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import gguf
import numpy as np

from wse_backend.engine.threads import ThreadTeam
from wse_backend.engine.transformer import Row, Transformer
from wse_backend.weights.gguf_file import open_gguf

N_LAYERS, DIM, WIDTH, N_HEADS, N_KV_HEADS, HEAD_DIM, VOCABULARY = 8, 1024, 2816, 16, 4, 64, 4096
N_EXPERTS = 8
Q8_0 = gguf.GGMLQuantizationType.Q8_0
BLOCK_VALUES, BLOCK_BYTES = 32, 34
POSITIONS = 64  # before the rows that are measured
DECODE_ROWS = (1, 4, 16)
PREFILL_ROWS = 256
BLOCKS_EACH = 24  # cache blocks of a sequence: the positions before, and a prompt
BASELINE = "dense, as many weights as top-2"


@dataclass(frozen=True)
class Made:
    """A model to make. n_active: experts per token; 0: dense, `width` wide."""

    name: str
    n_active: int
    width: int


MODELS = (
    *(Made(f"8 experts, top-{k}", k, WIDTH) for k in (1, 2, 4, 8)),
    Made(BASELINE, 0, 2 * WIDTH),
    Made("dense, as many weights as all 8", 0, N_EXPERTS * WIDTH),
)


def weights_per_token(made: Made) -> int:
    """How many of the layers' weights one token passes."""
    attention = DIM * HEAD_DIM * (2 * N_HEADS + 2 * N_KV_HEADS)
    experts = max(1, made.n_active) * 3 * DIM * made.width
    return N_LAYERS * (attention + experts + (DIM * N_EXPERTS if made.n_active else 0))


def blocks(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random Q8_0 weights of a standard deviation of about 0.02, as bytes; the last axis in blocks."""
    *rows, columns = shape
    out = np.empty((*rows, columns // BLOCK_VALUES, BLOCK_BYTES), np.uint8)
    out[..., :2] = np.frombuffer(np.float16(0.02 / 74).tobytes(), np.uint8)  # 74: deviation of the integers
    out[..., 2:] = rng.integers(0, 256, out[..., 2:].shape, np.uint8)
    return out.reshape(*rows, -1)


def write_model(path: Path, made: Made) -> Path:
    """Write the model's file: a llama, with experts or without, and no tokenizer."""
    rng, writer = np.random.default_rng(1), gguf.GGUFWriter(path, "llama")
    values = {
        "block_count": N_LAYERS,
        "context_length": 4096,
        "embedding_length": DIM,
        "feed_forward_length": made.width,
        "attention.head_count": N_HEADS,
        "attention.head_count_kv": N_KV_HEADS,
    }
    if made.n_active:
        values |= {"expert_count": N_EXPERTS, "expert_used_count": made.n_active}
    for key, value in values.items():
        writer.add_uint32(f"llama.{key}", value)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    writer.add_tensor("token_embd.weight", blocks(rng, VOCABULARY, DIM), raw_dtype=Q8_0)
    writer.add_tensor("output_norm.weight", np.ones(DIM, np.float32))
    experts = (N_EXPERTS,) if made.n_active else ()
    end = "_exps" if made.n_active else ""
    for layer in range(N_LAYERS):
        blk = f"blk.{layer}."
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{blk}{name}.weight", np.ones(DIM, np.float32))
        for name, rows in (("q", N_HEADS), ("k", N_KV_HEADS), ("v", N_KV_HEADS)):
            writer.add_tensor(f"{blk}attn_{name}.weight", blocks(rng, rows * HEAD_DIM, DIM), raw_dtype=Q8_0)
        writer.add_tensor(f"{blk}attn_output.weight", blocks(rng, DIM, N_HEADS * HEAD_DIM), raw_dtype=Q8_0)
        if made.n_active:
            router = rng.standard_normal((N_EXPERTS, DIM)).astype(np.float32)
            writer.add_tensor(f"{blk}ffn_gate_inp.weight", router)
        for name in ("gate", "up"):
            found = blocks(rng, *experts, made.width, DIM)
            writer.add_tensor(f"{blk}ffn_{name}{end}.weight", found, raw_dtype=Q8_0)
        writer.add_tensor(
            f"{blk}ffn_down{end}.weight", blocks(rng, *experts, DIM, made.width), raw_dtype=Q8_0
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def load(path: Path, team: ThreadTeam) -> Transformer:
    """The model with a cache for every sequence of a pass, the first positions computed."""
    n_slots = DECODE_ROWS[-1]
    transformer = Transformer(open_gguf(path), n_slots * BLOCKS_EACH, team)
    tokens = np.random.default_rng(2).integers(0, VOCABULARY, POSITIONS)
    for slot in range(n_slots):
        transformer.set_table(slot, list(range(slot * BLOCKS_EACH, (slot + 1) * BLOCKS_EACH)))
        rows = [Row(int((token + slot) % VOCABULARY), p, slot, False) for p, token in enumerate(tokens)]
        transformer.run([*rows[:-1], Row(rows[-1].token, POSITIONS - 1, slot, True)])
    return transformer


def pass_ms(transformer: Transformer, rows: list[Row]) -> float:
    """Milliseconds of CPU time of one pass."""
    began = process_time()
    transformer.run(rows)
    return 1e3 * (process_time() - began)


def measure(transformer: Transformer, rng: np.random.Generator) -> dict[str, float]:
    """Milliseconds of one decode pass per number of rows, each row a sequence, and of a prompt's pass."""
    found = {}
    for n in DECODE_ROWS:
        tokens = rng.integers(0, VOCABULARY, n)
        rows = [Row(int(token), POSITIONS, slot, True) for slot, token in enumerate(tokens)]
        found[f"{n} rows"] = pass_ms(transformer, rows)
    tokens = rng.integers(0, VOCABULARY, PREFILL_ROWS)
    last = PREFILL_ROWS - 1
    rows = [Row(int(token), POSITIONS + i, 0, i == last) for i, token in enumerate(tokens)]
    found["prompt"] = pass_ms(transformer, rows)
    return found


def main() -> None:
    """Make the models one after another, measure them in turns, print the table."""
    options = argparse.ArgumentParser(description="Mixtures of experts beside dense models.")
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--folder", help="where the files are made (1 GB for a moment)")
    chosen = options.parse_args()
    team, loaded = ThreadTeam(1), {}
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        for made in MODELS:
            print(f"making {made.name}", file=sys.stderr)
            path = write_model(Path(folder) / "model.gguf", made)
            loaded[made.name] = load(path, team)  # it keeps the file mapped, so the next one is another file
            path.unlink()
    rng, rounds = np.random.default_rng(3), defaultdict(list)
    for _ in range(chosen.rounds):
        for name, transformer in loaded.items():
            rounds[name].append(measure(transformer, rng))
    print_table(rounds)


def print_table(rounds: dict[str, list[dict[str, float]]]) -> None:
    """A line per model: weights per token, then milliseconds and the ratio to the baseline."""
    columns = [f"{n} rows" for n in DECODE_ROWS] + ["prompt"]
    titles = [f"pass over {n} {'row' if n == 1 else 'rows'}, ms" for n in DECODE_ROWS]
    print(
        f"| | million weights per token | {' | '.join(titles)} | pass over {PREFILL_ROWS} prompt tokens, ms |"
    )
    print("| --- |" + " --- |" * (len(columns) + 1))
    for made in MODELS:
        cells = []
        for column in columns:
            ms = statistics.median(found[column] for found in rounds[made.name])
            pairs = zip(rounds[made.name], rounds[BASELINE], strict=True)
            ratio = statistics.median(mine[column] / its[column] for mine, its in pairs)
            cells.append(f"{ms:.1f} ({ratio:.2f})")
        print(f"| {made.name} | {weights_per_token(made) / 1e6:,.0f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
