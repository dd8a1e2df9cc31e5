"""What the shipped setups reach on the challenge: fresh seeds, a few at a time, the least tried setup first.

    PYTHONPATH=. python bench/presets.py --minutes 60 [--model NAME ...] [--setup NAME ...] [--up-to 16]

Appends every trial to --trials (JSON lines) and writes the figures beside the setups after each wave, so that
it can be stopped and started at any time. Prints one line per wave.
"""

import argparse
import json
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path

sys.path.pop(0)  # this folder: its grader.py is not the package
from grader import score_reply, task_messages, try_public_cases
from moa_core import Checked
from moa_core.experiments import spread
from moa_core.experiments.drawing import Line, dots
from moa_core.experiments.presets import FIGURES, LOCAL_MODELS, SETUPS, find_preset, presets
from moa_core.providers import Wafer

TASK = "challenge:user_metrics"
FIRST_SEED = 5001  # far from the seeds that anybody tries things with


def on_public_cases(reply: str) -> Checked:
    """The checker of the strategies that test their work."""
    tried = try_public_cases(reply)
    return Checked(tried.share, tried.feedback)


def read_rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def write_figures(rows: list[dict]) -> None:
    by_setup: dict[tuple[str, str], list[dict]] = defaultdict(list)
    for row in rows:
        by_setup[row["setup"], row["model"]].append(row)
    figures = [
        {
            "setup": setup,
            "model": model,
            "task": TASK,
            "scores": [row["score"] for row in sorted(own, key=lambda row: row["seed"])],
            "seeds": sorted(row["seed"] for row in own),
            "maximum": own[0]["maximum"],
            "tokens": statistics.median(row["tokens"] for row in own),
            "max_tokens": max(row["tokens"] for row in own),
            "version": own[-1]["version"],
        }
        for (setup, model), own in sorted(by_setup.items())
    ]
    FIGURES.write_text("[\n" + ",\n".join(f"  {json.dumps(row)}" for row in figures) + "\n]\n")


def draw(path: Path, models: list[str]) -> None:
    """One model alone beside its agents, every try a dot."""
    drawn = [model for model in models if any(found.figures for found in presets() if found.model == model)]
    lines = [
        Line(f"{find_preset(setup, model).config.name}", found.scores, found.maximum)
        for model in models
        for setup in SETUPS
        if (found := find_preset(setup, model).figures) is not None
    ]
    path.write_text(dots(lines, f"{' and '.join(drawn)} on user_metrics: every try a dot") + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="begin no wave after so long")
    parser.add_argument("--model", nargs="+", default=list(LOCAL_MODELS))
    parser.add_argument("--setup", nargs="+", default=list(SETUPS))
    parser.add_argument("--wave", type=int, default=4, help="seeds that run together")
    parser.add_argument("--up-to", type=int, default=16, help="seeds of a setup in the end")
    parser.add_argument("--picture", type=Path, help="draw what was measured so far into this SVG, and end")
    parser.add_argument("--trials", type=Path, default=Path("preset_trials.jsonl"))
    options = parser.parse_args()
    if options.picture:
        draw(options.picture, options.model)
        return
    ends_at = time.monotonic() + 60 * options.minutes
    wafer, messages = Wafer(), task_messages()
    todo = [(setup, model) for model in options.model for setup in options.setup]
    while time.monotonic() < ends_at:
        rows = read_rows(options.trials)
        tried = {key: [r["seed"] for r in rows if (r["setup"], r["model"]) == key] for key in todo}
        setup, model = min(todo, key=lambda key: len(tried[key]))
        n_tried = len(tried[setup, model])
        if n_tried >= options.up_to:
            break
        seeds = range(FIRST_SEED + n_tried, FIRST_SEED + min(n_tried + options.wave, options.up_to))
        began = time.monotonic()
        config = find_preset(setup, model).config
        for trial in spread(config, messages, wafer, score_reply, seeds, checker=on_public_cases):
            if trial.score is None:
                raise SystemExit(f"{setup} on {model}, seed {trial.seed}: {trial.problem}")
            row = {
                "setup": setup, "model": model, "seed": trial.seed, "score": trial.score.value,
                "maximum": trial.score.maximum, "tokens": trial.completion_tokens, "version": trial.version,
                "seconds": round(trial.seconds, 1), "notes": list(trial.trace.notes), "reply": trial.reply,
            }  # fmt: skip
            with options.trials.open("a") as file:
                file.write(json.dumps(row) + "\n")
        rows = read_rows(options.trials)
        write_figures(rows)
        scores = [r["score"] for r in rows if (r["setup"], r["model"]) == (setup, model)]
        took_s = time.monotonic() - began
        print(
            f"{setup:24} {model:20} {len(scores):3} tries, median {statistics.median(scores):6.2f}, "
            f"wave {took_s:6.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
