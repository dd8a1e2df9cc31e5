"""What a run takes beyond its critical path, against a local server that answers after a fixed time.

    PYTHONPATH=. python bench/orchestration.py [--latency 0.5] [--repeat 3]

The server is the one of the tests, in a process of its own. The critical path is one latency per layer, and
one for the summarizer. Prints one table; the fastest and the median of the repetitions.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moa_core import Agent, Layer, MoAConfig, RunFinished, run_sync
from moa_core.providers import OpenAICompatible
from moa_core.providers.limiter import Limiters

SERVER = Path(__file__).resolve().parents[1] / "tests" / "moa_core" / "openai_server.py"
SHAPES = ((1, 1), (3, 3), (10, 3), (50, 1), (200, 1))  # agents per layer, layers
TARGETS = {(3, 3): 1.05, (200, 1): 1.2}


@contextmanager
def local_server() -> Iterator[str]:
    """The address of a server process that ends with the block."""
    process = subprocess.Popen(
        [sys.executable, str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.stdin.close()
        process.wait(timeout=10)


def measure(address: str, agents: int, layers: int, latency_s: float) -> float:
    """Seconds of one run from the call of `run_sync` to its last event."""
    model = f"slow:{latency_s}"
    layer = Layer(tuple(Agent(f"agent {i}", model) for i in range(agents)))
    config = MoAConfig((layer,), Agent("Summarizer", model), cycles=layers)
    provider = OpenAICompatible(address, "bench", name="local", limiters=Limiters())
    began = time.perf_counter()
    last = list(run_sync(config, "hi", provider))[-1]
    took_s = time.perf_counter() - began
    if not isinstance(last, RunFinished) or any(call.error for call in last.trace.calls):
        raise SystemExit(f"the run failed: {last}")
    return took_s


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--latency", type=float, default=0.5, help="seconds until the server answers")
    parser.add_argument("--repeat", type=int, default=3, help="runs per shape")
    options = parser.parse_args()
    print("agents layers  critical path s  median s  best s  ratio  target")
    with local_server() as address:
        measure(address, 1, 1, 0.0)  # imports and first use are no part of a run
        for agents, layers in SHAPES:
            took_s = [measure(address, agents, layers, options.latency) for _ in range(options.repeat)]
            critical_s = (layers + 1) * options.latency
            median_s = statistics.median(took_s)
            target = TARGETS.get((agents, layers))
            print(
                f"{agents:6} {layers:6} {critical_s:16.2f} {median_s:9.3f} {min(took_s):7.3f} "
                f"{median_s / critical_s:6.3f} {f'<= {target}' if target else '':>7}"
            )


if __name__ == "__main__":
    main()
