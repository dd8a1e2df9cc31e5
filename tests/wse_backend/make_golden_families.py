"""Write golden_families.json with llama.cpp: its most likely token after each of 40, for every tiny family.

python -m tests.wse_backend.make_golden_families          (needs llama-cpp-python)

The files are those of `families.py` with float32 weights, so that no rounding of llama.cpp's own comes in.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import gguf
import llama_cpp
import numpy as np

from tests.wse_backend.families import FAMILIES, IDS, write_family

OUT = Path(__file__).parent / "golden_families.json"


def most_likely(path: Path) -> dict[str, list[float]]:
    """Token and log-probability of the most likely one after each of IDS."""
    model = llama_cpp.Llama(str(path), n_ctx=256, logits_all=True, verbose=False, n_threads=1)
    model.eval(IDS)
    logits = np.array(model.scores[: len(IDS)], np.float64)
    shares = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    best = logits.argmax(axis=1)
    return {
        "token": [int(token) for token in best],
        "log_probability": [round(float(shares[at, token]), 5) for at, token in enumerate(best)],
    }


def main() -> None:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, family in FAMILIES.items():
            path = Path(folder) / "tiny.gguf"
            found[name] = most_likely(write_family(path, family, quantize=gguf.GGMLQuantizationType.F32))
    source = f"llama-cpp-python {llama_cpp.__version__}, eval of IDS, n_ctx=256"
    OUT.write_text(json.dumps({"source": source, "families": found}, separators=(",", ":")))


if __name__ == "__main__":
    sys.exit(main())
