"""What eight seeds of a setup cost beside one, all through the shared engine: at most 3 times is the goal.

    PYTHONPATH=. python bench/lab.py [--model smollm2-135m] [--seeds 8] [--repeat 3] [--max-tokens 200]

One seed and many are tried in turn, each time on a task that begins with a number of its own, so that no
prompt is in the cache: what the seeds share is computed within the try. Prints one line per round and the
median ratio.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

# In place of this folder, where `grader` would be the benchmark of that name.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from grader import task_messages  # noqa: E402
from moa_core import Agent, MoAConfig  # noqa: E402
from moa_core.experiments import spread  # noqa: E402
from moa_core.providers import Wafer  # noqa: E402

GOAL = 3.0


def measure(config: MoAConfig, wafer: Wafer, number: int, seeds: int) -> tuple[float, int]:
    """Seconds from the start to the last trial, and the tokens that were written."""
    task = f"Task {number}. {task_messages()[0]['content']}"
    began = time.perf_counter()
    found = spread(config, task, wafer, len, seeds).result()
    if found.n_failed:
        raise SystemExit(found.trials[0].problem)
    return time.perf_counter() - began, sum(trial.completion_tokens for trial in found.trials)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--max-tokens", type=int, default=200)
    options = parser.parse_args()
    coder = Agent("Coder", options.model, "You are an expert Python programmer.", 0.7, options.max_tokens)
    config, wafer = MoAConfig(summarizer=coder, strategy="single"), Wafer()
    measure(config, wafer, 0, 1)  # loads the model and compiles
    ratios = []
    print("one s  tokens  all s  tokens  times")
    for number in range(options.repeat):
        one_s, one_tokens = measure(config, wafer, 2 * number + 1, 1)
        all_s, all_tokens = measure(config, wafer, 2 * number + 2, options.seeds)
        ratios.append(all_s / one_s)
        print(f"{one_s:5.1f} {one_tokens:7} {all_s:6.1f} {all_tokens:7} {ratios[-1]:6.2f}", flush=True)
    print(
        f"{options.model}: {options.seeds} seeds cost {statistics.median(ratios):.2f} times one (<= {GOAL:g})"
    )


if __name__ == "__main__":
    main()
