"""What holding an answer to a JSON Schema costs: the share of its decode time that goes into the grammar.

    PYTHONPATH=. python bench/structured.py [--repeat 3]

Whole answers that differ by a schema also differ in their tokens; so the grammar's own time (masks, their
application, its steps) is measured inside of the answers, against all the rest. Drafts are off: a pass is a
token. Prints one table; medians of the repetitions.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any

from wse_backend import Engine, SamplingParams
from wse_backend.engine.grammar import Grammar

MODELS = ("smollm2-135m", "qwen2.5-coder-0.5b")
N_TOKENS = 120
TARGET = 0.05
SCHEMAS: dict[str, dict[str, Any]] = {
    "a long text": {"type": "string", "minLength": 600},
    "a verdict": {
        "type": "object",
        "properties": {
            "score": {"type": "number", "minimum": 0, "maximum": 10},
            "critique": {"type": "string", "minLength": 600},
        },
        "required": ["score", "critique"],
    },
    "a list of records": {
        "type": "array",
        "minItems": 40,
        "items": {
            "type": "object",
            "properties": {"name": {"type": "string", "maxLength": 12}, "size": {"type": "integer"}},
            "required": ["name", "size"],
        },
    },
}
QUESTION = [{"role": "user", "content": "Write about the fruits in a basket, one after the other."}]


class Stopwatch:
    """Adds up the time spent in methods of a class while it is on."""

    def __init__(self, kind: type, *names: str) -> None:
        self.seconds = 0.0
        for name in names:
            setattr(kind, name, self._timed(getattr(kind, name)))

    def _timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            began = perf_counter()
            try:
                return method(*arguments)
            finally:
                self.seconds += perf_counter() - began

        return timed


def measure(engine: Engine, schema: str, watch: Stopwatch) -> tuple[float, float]:
    """Milliseconds per token in the grammar, and in all, of one answer from its first token on."""
    params = SamplingParams(1.0, seed=3, max_tokens=N_TOKENS, json_schema=schema)
    times: list[float] = []
    for chunk in engine.stream(QUESTION, params):
        if not times:
            watch.seconds = 0.0
        times += [perf_counter()] * len(chunk.token_ids)
    n_tokens = len(times) - 1
    return watch.seconds / n_tokens * 1e3, (times[-1] - times[0]) / n_tokens * 1e3


def main() -> None:
    """Measure every model with every schema."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3, help="answers per row (default: %(default)s)")
    repeat = parser.parse_args().repeat
    watch = Stopwatch(Grammar, "restrict", "accept")
    print(f"{'model':20} {'schema':18} {'grammar ms':>11} {'token ms':>9} {'share':>6}  target {TARGET:.0%}")
    for model in MODELS:
        engine = Engine.load(model, is_speculative=False)
        for name, schema in SCHEMAS.items():
            text = json.dumps(schema)
            measure(engine, text, watch)  # builds the vocabulary's tree, fills the prefix cache
            pairs = [measure(engine, text, watch) for _ in range(repeat)]
            grammar = statistics.median(pair[0] for pair in pairs)
            token = statistics.median(pair[1] for pair in pairs)
            share = statistics.median(pair[0] / pair[1] for pair in pairs)
            print(f"{model:20} {name:18} {grammar:11.3f} {token:9.2f} {share:6.1%}", flush=True)
        engine.close()


if __name__ == "__main__":
    main()
