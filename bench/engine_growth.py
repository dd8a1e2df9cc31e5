"""How a pass grows: with the sequences in it, with the positions before it, with threads.

    python bench/engine_growth.py [--model NAME] [--threads N ...] [--chart FILE.html]

Times are CPU times of the pass's threads, the least of several passes: what the machine does besides does not
count, waiting for memory does. tokens/s: one token of every sequence, divided by the wall time that so much
CPU time makes on as many cores as there are threads.
"""

import argparse
import sys
from pathlib import Path
from time import process_time

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

AGENTS = (1, 2, 4, 8, 16)
POSITIONS = (128, 256, 512, 1024, 2048, 4096)
PASSES = 12
NEAR = 64  # positions before the passes that show the growth with agents
CHUNK = 256


def measure(model: str, n_threads: int) -> dict[str, dict[int, float]]:
    """Milliseconds of CPU time per pass and thread: by sequences, by positions."""
    from wse_backend import models
    from wse_backend.engine.threads import ThreadTeam
    from wse_backend.engine.transformer import Row, Transformer
    from wse_backend.weights.gguf_file import open_gguf

    blocks = POSITIONS[-1] // 16 + 2
    gguf = open_gguf(models.ensure(model))
    transformer = Transformer(gguf, blocks + 16 * (NEAR // 16 + 2), ThreadTeam(n_threads))
    tokens = np.random.default_rng(1).integers(300, 20_000, POSITIONS[-1] + 1)
    transformer.set_table(0, list(range(blocks)))
    for slot in range(1, 16):
        first = blocks + (slot - 1) * (NEAR // 16 + 2)
        transformer.set_table(slot, list(range(first, first + NEAR // 16 + 2)))

    def least(rows: list[Row]) -> float:
        found = []
        for _ in range(PASSES):
            began = process_time()
            transformer.run(rows)
            found.append((process_time() - began) / n_threads * 1e3)
        return min(found)

    for slot in range(16):
        transformer.run([Row(int(tokens[p]), p, slot, p == NEAR - 1) for p in range(NEAR)])
    by_agents = {n: least([Row(int(tokens[slot]), NEAR, slot, True) for slot in range(n)]) for n in AGENTS}
    n_ctx, by_positions = transformer.n_ctx, {}
    for start in range(0, min(POSITIONS[-1], n_ctx - 1), CHUNK):
        stop = min(start + CHUNK, n_ctx - 1)
        transformer.run([Row(int(tokens[p]), p, 0, p == stop - 1) for p in range(start, stop)])
        for position in POSITIONS:
            if start < position <= stop:
                by_positions[position] = least([Row(int(tokens[position]), position - 1, 0, True)])
    transformer.free()
    return {"agents at once": by_agents, "positions": by_positions}


def draw(found: dict[int, dict[str, dict[int, float]]], file: Path) -> None:
    """Tokens per second over agents and over positions, a line per number of threads."""
    import plotly.graph_objects as go
    from plotly.colors import qualitative
    from plotly.subplots import make_subplots

    figure = make_subplots(1, 2, subplot_titles=("agents at once", "positions before, one agent"))
    for (n_threads, tables), colour in zip(found.items(), qualitative.Safe, strict=False):
        for column, (name, table) in enumerate(tables.items(), start=1):
            rates = [tokens_per_second(name, n, ms) for n, ms in table.items()]
            line = go.Scatter(
                x=list(table), y=rates, name=_threads(n_threads), line_color=colour, showlegend=column == 1
            )
            figure.add_trace(line, 1, column)
            figure.update_xaxes(type="log", tickvals=list(table), ticktext=list(map(str, table)), col=column)
    figure.update_yaxes(rangemode="tozero")
    figure.update_yaxes(title="tokens/s, measured", col=1)
    figure.update_layout(template="simple_white", margin={"t": 40, "r": 10, "b": 40})
    figure.write_html(file, include_plotlyjs=True)


def _threads(n: int) -> str:
    return "1 thread" if n == 1 else f"{n} threads"


def tokens_per_second(name: str, n: int, ms: float) -> float:
    """A pass gives one token to each of `n` agents, or to the one."""
    return (n if name == "agents at once" else 1) / ms * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--chart", type=Path, help="an HTML file to draw the table into")
    options = parser.parse_args()
    found = {n: measure(options.model, n) for n in options.threads}
    for n_threads, tables in found.items():
        for name, table in tables.items():
            print(f"\n{options.model}, {_threads(n_threads)}, by {name}: ms a pass (tokens/s)")
            for n, ms in table.items():
                print(f"{n:6} {ms:9.2f} ({tokens_per_second(name, n, ms):.0f})")
    if options.chart:
        draw(found, options.chart)


if __name__ == "__main__":
    main()
