"""A class on one engine: many people at once, chats and attempts mixed, beside the same calls one by one.

    python bench/classroom.py [--people 30] [--minutes 5] [--alone 2] [--tokens 0] [--chats 1,4,16,30]

Everybody asks, waits for the answer, and asks again until the time is over: four of five a question with the
app's first setup (seven calls), the fifth the challenge with one agent. Then a few of the same runs are made
one after another. The table has tokens a second (written), the wait for the first token and for the whole
answer, memory, and what failed. `--tokens` shortens every answer, for a quick look. `--chats`: instead,
so many people ask one question each at the same moment, all with the first setup. Exits with 1 when a run
failed. Nobody shares an answer: every run has a seed and a question of its own.
"""

import argparse
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # before this folder, which has a grader.py

from grader import task_messages
from moa_core import Agent, AgentDelta, Layer, MoAConfig, RunFinished, SummaryDelta, run_sync
from moa_core.providers import Wafer
from wse_backend import EnginePool

MODEL = "smollm2-135m"
MB = 1_000_000


@dataclass(frozen=True)
class Measured:
    """One run: seconds until the first token and in all, tokens written and read, why it failed."""

    first_s: float
    total_s: float
    tokens: int
    prompt_tokens: int
    cached_tokens: int
    problem: str = ""


def setup_of(
    number: int, max_tokens: int, *, is_chat: bool = False
) -> tuple[MoAConfig, list[dict[str, str]]]:
    """What run `number` asks of whom. is_chat: a question in any case."""
    if number % 5 == 4 and not is_chat:
        agent = Agent("Solo", MODEL, "You write Python.", 0.7, 256)
        config = MoAConfig(layers=(Layer((agent,)),), summarizer=replace(agent, name="Summarizer"))
        messages = task_messages()
    else:
        config = MoAConfig.default()
        messages = [{"role": "user", "content": f"Question {number}: why is the sky blue, and sunsets red?"}]
    if max_tokens:
        config = shortened(config, max_tokens)
    return replace(config, seed=number), messages


def shortened(config: MoAConfig, max_tokens: int) -> MoAConfig:
    """The same setup with answers of at most `max_tokens`."""

    def cut(agent: Agent) -> Agent:
        return replace(agent, max_tokens=max_tokens)

    layers = tuple(replace(layer, agents=tuple(map(cut, layer.agents))) for layer in config.layers)
    return replace(config, layers=layers, summarizer=cut(config.summarizer))


def measure(provider: Wafer, number: int, max_tokens: int, *, is_chat: bool = False) -> Measured:
    """Make run `number`."""
    config, messages = setup_of(number, max_tokens, is_chat=is_chat)
    began, first, last = time.perf_counter(), None, None
    for last in run_sync(config, messages, provider):
        if first is None and isinstance(last, AgentDelta | SummaryDelta):
            first = time.perf_counter() - began
    total = time.perf_counter() - began
    calls = last.trace.calls
    problem = "" if isinstance(last, RunFinished) else last.message
    return Measured(
        first if first is not None else total,
        total,
        sum(call.completion_tokens or 0 for call in calls),
        sum(call.prompt_tokens or 0 for call in calls),
        sum(call.cached_tokens or 0 for call in calls),
        problem,
    )


def together(provider: Wafer, n_people: int, seconds: float, max_tokens: int) -> tuple[list[Measured], float]:
    """Everybody at once until the time is over; runs that have begun are waited for."""
    found: list[Measured] = []
    began = time.perf_counter()

    def person(place: int) -> None:
        number = place
        while time.perf_counter() - began < seconds:
            found.append(measure(provider, number, max_tokens))
            number += n_people

    threads = [threading.Thread(target=person, args=(place,)) for place in range(n_people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found, time.perf_counter() - began


def chats(provider: Wafer, n_people: int, max_tokens: int) -> tuple[list[Measured], float]:
    """One question from everybody at the same moment."""
    first = 1_000 * n_people  # nobody's question was asked before
    began = time.perf_counter()
    with ThreadPoolExecutor(n_people) as people:
        asked = [
            people.submit(measure, provider, first + place, max_tokens, is_chat=True)
            for place in range(n_people)
        ]
        found = [each.result() for each in asked]
    return found, time.perf_counter() - began


def print_head() -> None:
    """The names of the columns."""
    print(
        f"{'':18} {'runs':>5} {'tokens/s':>9} {'first p50':>7} {'p95 s':>7} {'all p50':>7} {'p95 s':>7} "
        f"{'cached':>8} {'failed':>7}"
    )


def print_row(name: str, found: list[Measured], took_s: float) -> float:
    """A line of the table; returns tokens a second."""
    first = sorted(each.first_s for each in found)
    total = sorted(each.total_s for each in found)
    rate = sum(each.tokens for each in found) / took_s
    prompts = sum(each.prompt_tokens for each in found)
    cached = sum(each.cached_tokens for each in found) / prompts if prompts else 0.0
    failed = sum(bool(each.problem) for each in found)
    print(
        f"{name:18} {len(found):5} {rate:9.1f} {statistics.median(first):7.1f} {p95(first):7.1f} "
        f"{statistics.median(total):7.1f} {p95(total):7.1f} {cached:8.0%} {failed:7}"
    )
    return rate


def p95(ordered: list[float]) -> float:
    """The value that 95 % do not exceed."""
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--alone", type=int, default=2, help="how many of the same runs to make one by one")
    parser.add_argument("--tokens", type=int, default=0, help="answers at most so long; 0: as the setups say")
    parser.add_argument("--chats", default="", help="numbers of people who ask at the same moment")
    options = parser.parse_args()
    pool = EnginePool()
    pool.engine(MODEL)
    provider = Wafer(pool)
    print(f"{MODEL}, {psutil.cpu_count()} cores, load {psutil.getloadavg()[0]:.1f} before\n")
    print_head()
    found = at_once(provider, options) if options.chats else for_minutes(provider, options)
    for problem in {each.problem for each in found if each.problem}:
        print(f"failed: {problem}")
    if any(each.problem for each in found):
        raise SystemExit(1)


def at_once(provider: Wafer, options: argparse.Namespace) -> list[Measured]:
    """A row for each number of people; the first chat of the process is not counted."""
    measure(provider, 0, options.tokens, is_chat=True)
    everything: list[Measured] = []
    for n_people in map(int, options.chats.split(",")):
        found, took_s = chats(provider, n_people, options.tokens)
        print_row(f"{n_people} at once", found, took_s)
        last_s = max(each.first_s for each in found)
        print(f"{'':18} everybody's first token within {last_s:.1f} s, everything within {took_s:.1f} s")
        everything += found
    return everything


def for_minutes(provider: Wafer, options: argparse.Namespace) -> list[Measured]:
    """A few runs one by one, then everybody until the time is over."""
    process = psutil.Process()
    began_mb = process.memory_info().rss / MB
    start = time.perf_counter()
    alone = [measure(provider, 10_000 + 5 * n, options.tokens) for n in range(options.alone)]
    one = print_row("one by one", alone, time.perf_counter() - start)
    found, took_s = together(provider, options.people, 60 * options.minutes, options.tokens)
    many = print_row(f"{options.people} people at once", found, took_s)
    ended_mb = process.memory_info().rss / MB
    print(
        f"\nat once, {many / one:.2f} times the tokens a second; memory {began_mb:.0f} -> {ended_mb:.0f} MB"
    )
    return found


if __name__ == "__main__":
    main()
