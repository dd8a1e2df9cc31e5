"""The engine beside llama.cpp: same GGUF, same prompts, two threads each, measured in turns in one run.

    make bench     or     python bench/engine.py [--rounds N] [--models NAME ...] [--no-memory] [--no-kl]

Each measurement runs in a process of its own, the engines alternating; the table shows medians, and the
median of the ratios of the engine and llama.cpp in each round. "no drafts" is the engine without prompt
lookup, whose gain depends on how much a text repeats: these stories repeat a lot. llama-cpp-python answers
the calls of a MoA turn one after another, as its Python API does.
"""

import argparse
import json
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

MODELS = ("smollm2-135m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b")
N_THREADS = 2
PREFILL_TOKENS, SHORT_TOKENS, DECODE_TOKENS = 400, 80, 128
TURN_PROMPT_TOKENS, TURN_NEW_TOKENS, TURN_AGENTS, TURN_LAYERS = 300, 128, 3, 2
ATTEMPT_MODEL, ATTEMPT_NEW_TOKENS = "qwen2.5-coder-1.5b", 400
ATTEMPT = -1  # as a number of prompt tokens: what the app asks for the challenge, and an agent's instruction
REPEATS = 3  # of each figure inside one process; the best of them counts: the rest is other processes' noise
WORDS = (
    "river",
    "stone",
    "window",
    "letter",
    "garden",
    "music",
    "paper",
    "bridge",
    "winter",
    "lamp",
    "forest",
)


def prompt_text(number: int, n_words: int) -> str:
    """A request for a long story with `n_words` words before it, unlike that of any other number."""
    words = [WORDS[(number * 7 + i * (1 + number % 5)) % len(WORDS)] for i in range(n_words)]
    return f"Story {number}: {' '.join(words)}. Write a very long story with all of these words in it."


def attempt_messages(number: int) -> list[dict[str, str]]:
    """The request of the app's first challenge, to one of three agents or to the summarizer."""
    from grader import challenge, task_request

    tasks = ("Write it plainly.", "Distrust the data.", "Change no argument.", "Sum the answers up.")
    instruction = f"You are programmer {number}. {tasks[number % len(tasks)]}"
    request = task_request(challenge("user_metrics"))
    return [{"role": "system", "content": instruction}, {"role": "user", "content": request}]


class Ours:
    """This project's engine behind the calls the benchmark needs."""

    def __init__(self, path: str, is_speculative: bool = True) -> None:
        from wse_backend import Engine

        began = perf_counter()
        self.engine = Engine.load(path, is_speculative=is_speculative)
        self.load_s = perf_counter() - began
        self.n_passes = 0  # of the last run's longest answer, after its first token

    def messages(self, number: int, n_tokens: int) -> list[dict[str, str]]:
        """A conversation of exactly `n_tokens` tokens with the template around it, or just below."""
        if n_tokens == ATTEMPT:
            return attempt_messages(number)
        n_words = n_tokens
        while True:
            found = [{"role": "user", "content": prompt_text(number, n_words)}]
            over = self.engine.count_tokens(found) - n_tokens
            if over <= 0 or n_words == 0:
                return found
            n_words = max(0, n_words - max(1, over // 2))

    def run(self, requests: list[tuple[int, int]], n_new: int) -> tuple[float, float, int]:
        """Answer (number, prompt tokens) together: seconds of the prompts, in all, new tokens.

        The prompts are done when the last of the first tokens is there.
        """
        from wse_backend import SamplingParams

        params = SamplingParams(temperature=0, max_tokens=n_new)
        batch = [(self.messages(*request), params) for request in requests]
        began = perf_counter()
        done = self.engine.generate_batch(batch)
        seconds = perf_counter() - began
        first = max(completion.timing.first_token_s or 0.0 for completion in done)
        self.n_passes = max(completion.timing.decode.passes for completion in done)
        return first, seconds, sum(len(completion.token_ids) for completion in done)

    def ids(self, number: int, n_tokens: int) -> list[int]:
        return self.engine.tokenize(self.engine.render(self.messages(number, n_tokens)))


class LlamaCpp:
    """llama-cpp-python behind the same calls; prompts come as the ids that our tokenizer made."""

    def __init__(self, path: str, ids: Callable[[int, int], list[int]]) -> None:
        from llama_cpp import Llama

        began = perf_counter()
        self.llama = Llama(path, n_ctx=2048, n_threads=N_THREADS, n_threads_batch=N_THREADS, verbose=False)
        self.load_s = perf_counter() - began
        self._ids = ids
        self.n_passes = 0

    def run(self, requests: list[tuple[int, int]], n_new: int) -> tuple[float, float, int]:
        prompts_s, new, began = 0.0, 0, perf_counter()
        for request in requests:
            asked, is_first = perf_counter(), True
            for _ in self.llama.create_completion(
                self._ids(*request), max_tokens=n_new, temperature=0, repeat_penalty=1.0, stream=True
            ):
                prompts_s += perf_counter() - asked if is_first else 0.0
                is_first = False
                new += 1
        self.n_passes = new - 1
        return prompts_s, perf_counter() - began, new


def measure(engine: Ours | LlamaCpp, base: int, is_attempt: bool = False) -> dict[str, float]:
    """All figures of one engine; `base` keeps its prompts apart from those of other rounds."""
    if is_attempt:
        return {"attempt": whole(engine, attempt_requests(base), ATTEMPT_NEW_TOKENS)}
    prefill, decode, passes = [], [], []
    for repeat in range(REPEATS):
        number = base + 100 * repeat
        _, seconds, _ = engine.run([(number, PREFILL_TOKENS)], 1)
        prefill.append(PREFILL_TOKENS / seconds)
        first, seconds, new = engine.run([(number + 1, SHORT_TOKENS)], DECODE_TOKENS)
        decode.append((new - 1) / (seconds - first))
        passes.append(engine.n_passes / (seconds - first))
    turn = whole(engine, turn_requests(base), TURN_NEW_TOKENS)
    return {"prefill": max(prefill), "decode": max(decode), "passes": max(passes), "turn": turn}


def whole(engine: Ours | LlamaCpp, layers: list[list[tuple[int, int]]], n_new: int) -> float:
    """Seconds for layers of calls, one after another, as if every answer were `n_new` tokens long.

    A model may end its text earlier: the time after the prompts is scaled, theirs is not.
    """
    total = 0.0
    for requests in layers:
        prompts_s, seconds, new = engine.run(requests, n_new)
        total += prompts_s + (seconds - prompts_s) * len(requests) * (n_new - 1) / max(1, new - len(requests))
    return total


def turn_requests(base: int) -> list[list[tuple[int, int]]]:
    """The calls of a MoA turn: two layers of agents, then the summarizer; no two prompts are alike."""
    layers = [
        [(base + 1000 + 10 * layer + agent, TURN_PROMPT_TOKENS) for agent in range(TURN_AGENTS)]
        for layer in range(TURN_LAYERS)
    ]
    return [*layers, [(base + 1090, TURN_PROMPT_TOKENS)]]


def attempt_requests(base: int) -> list[list[tuple[int, int]]]:
    """The calls of an attempt at the challenge: three agents, then the summarizer."""
    return [[(base + agent, ATTEMPT) for agent in range(3)], [(base + 3, ATTEMPT)]]


def worker(options: argparse.Namespace) -> None:
    """One process of one engine: prints its figures as JSON."""
    import psutil

    from wse_backend import models

    path = str(models.ensure(options.models[0]))
    figures: dict[str, Any]
    if options.worker in ("ours", "plain"):
        ours = Ours(path, is_speculative=options.worker == "ours")
        if options.sequences:
            ours.run([(n, 1900) for n in range(8)], 148)
            figures = {}
        else:
            ours.run([(9999, SHORT_TOKENS)], 8)
            figures = measure(ours, options.base, options.attempt)
        load_s = ours.load_s
    elif options.worker == "kl":
        print(json.dumps(divergences(options.models[0])))
        return
    elif options.worker == "ids":
        ours = Ours(path)
        requests = json.loads(sys.stdin.read())
        print(json.dumps([ours.ids(*request) for request in requests]))
        return
    else:
        table = {tuple(request): ids for request, ids in json.loads(sys.stdin.read())}
        theirs = LlamaCpp(path, lambda *request: table[request])
        figures = measure(theirs, options.base, options.attempt)
        load_s = theirs.load_s
    figures |= {"load_s": load_s, "rss_mb": psutil.Process().memory_info().rss / 1e6}
    print(json.dumps(figures))


KL_TEXTS = (
    "The quick brown fox jumps over the lazy dog, and then it sleeps.",
    "def add(a, b):\n    return a + b\n\nprint(add(2, 3))",
    "Übung macht den Meister; practice makes perfect, 12345 times.",
    "In 1969 the first people walked on the moon; 384,400 km away.",
    "Tell me, what is the capital of France, and how many people live there?",
)


def divergences(model: str) -> dict[str, float]:
    """Mean KL to a plain float32 computation over the dequantized weights, of both engines."""
    import numpy as np
    from llama_cpp import Llama

    from tests.wse_backend.reference_transformer import mean_kl, reference_logits
    from wse_backend import Engine, models

    path = models.ensure(model)
    engine = Engine.load(path)
    llama = Llama(str(path), n_ctx=512, n_threads=N_THREADS, logits_all=True, verbose=False)
    texts = [engine.tokenize(text) for text in KL_TEXTS]
    found: dict[str, list[float]] = {"engine": [], "llama.cpp": []}
    for ids, reference in zip(texts, reference_logits(path, texts), strict=True):
        llama.reset()
        llama.eval(ids)
        found["engine"].append(mean_kl(reference, engine.logits(ids)))
        found["llama.cpp"].append(mean_kl(reference, np.array(llama.scores[: len(ids)])))
    return {name: float(np.mean(values)) for name, values in found.items()}


def requests_of(base: int) -> list[tuple[int, int]]:
    """Every (number, prompt tokens) that `measure` will ask for."""
    found = []
    for repeat in range(REPEATS):
        found += [(base + 100 * repeat, PREFILL_TOKENS), (base + 100 * repeat + 1, SHORT_TOKENS)]
    found += [request for layer in turn_requests(base) for request in layer]
    found += [request for layer in attempt_requests(base) for request in layer]
    return found


def spawn(kind: str, model: str, base: int, stdin: str = "", *extra: str) -> Any:
    """Run one worker process and return what it printed."""
    command = [sys.executable, __file__, "--worker", kind, "--models", model, "--base", str(base), *extra]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(f"{kind} failed on {model}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def bandwidth_gb_s() -> float:
    """This machine's read bandwidth: the best of ten passes of two threads over 512 MB."""
    import numpy as np

    data = np.ones(64_000_000, np.int64)
    parts, best = np.array_split(data, N_THREADS), 0.0
    for _ in range(10):
        threads = [threading.Thread(target=part.max) for part in parts]
        began = perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        best = max(best, data.nbytes / (perf_counter() - began) / 1e9)
    return best


def weight_bytes(model: str) -> int:
    """Bytes of weights that one token needs: all matrices, the embedding only where it is the head too."""
    from wse_backend import models
    from wse_backend.weights.gguf_file import open_gguf

    gguf = open_gguf(models.ensure(model))
    skipped = set() if gguf.hparams.is_tied else {"token_embd.weight"}
    return sum(t.n_bytes for t in gguf.tensors.values() if len(t.shape) == 2 and t.name not in skipped)


def ratio_of(ours: list[float], theirs: list[float], is_lower_better: bool) -> float:
    """The median over the rounds of how many times better ours is."""
    pairs = zip(ours, theirs, strict=True)
    return statistics.median(y / x if is_lower_better else x / y for x, y in pairs)


COLUMNS = {"ours": "engine", "plain": "no drafts", "theirs": "llama.cpp"}


def report(model: str, rounds: dict[str, list[dict[str, float]]], gb_s: float) -> None:
    rows = [
        ("prefill, tokens/s at 400 tokens", "prefill", False),
        ("decode, tokens/s, one sequence", "decode", False),
        ("MoA turn, s (3 agents x 2 layers + summarizer)", "turn", True),
        ("load, s (warm kernel cache)", "load_s", True),
        ("resident memory, MB", "rss_mb", True),
    ]
    print(
        f"\n{model}\n{'':48}" + "".join(f"{title:>11}" for title in COLUMNS.values()) + "   ratio  no drafts"
    )
    for label, key, is_lower_better in rows:
        figures = {name: [round_[key] for round_ in found] for name, found in rounds.items()}
        ratios = "".join(
            f"{ratio_of(figures[name], figures['theirs'], is_lower_better):8.2f}x"
            for name in ("ours", "plain")
        )
        medians = "".join(f"{statistics.median(figures[name]):11.2f}" for name in COLUMNS)
        print(f"{label:48}{medians}{ratios}")
    size = weight_bytes(model)
    print(f"{size / 1e6:.0f} MB of weights per token; this machine reads {gb_s:.1f} GB/s")
    for name, title in COLUMNS.items():
        used, read = (
            size * statistics.median(round_[key] for round_ in rounds[name]) / 1e9
            for key in ("decode", "passes")
        )
        print(
            f"{title}: x tokens/s {used:.1f} GB/s, {used / gb_s:.0%} of that; "
            f"x passes/s {read:.1f} GB/s, {read / gb_s:.0%}"
        )


def report_attempt() -> None:
    """One attempt at the challenge with each engine, in seconds: three agents and a summarizer."""
    ids = spawn("ids", ATTEMPT_MODEL, 0, json.dumps(requests_of(0)))
    table = json.dumps(list(zip(requests_of(0), ids, strict=True)))
    seconds = {name: spawn(name, ATTEMPT_MODEL, 0, table, "--attempt")["attempt"] for name in COLUMNS}
    shown = ", ".join(f"{COLUMNS[name]} {value:.0f} s" for name, value in seconds.items())
    print(
        f"\nan attempt at the challenge with {ATTEMPT_MODEL}, {ATTEMPT_NEW_TOKENS} tokens an answer: {shown}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--no-memory", action="store_true", help="skip 8 sequences of 2,048 tokens")
    parser.add_argument("--no-kl", action="store_true", help="skip the comparison with plain float32")
    parser.add_argument("--no-attempt", action="store_true", help="skip the attempt at the challenge")
    parser.add_argument("--attempt", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--worker", choices=("ours", "plain", "theirs", "ids", "kl"), help=argparse.SUPPRESS)
    parser.add_argument("--base", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--sequences", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options)
        return
    gb_s = bandwidth_gb_s()
    for model in options.models:
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in COLUMNS}
        for round_ in range(options.rounds):
            base = 10_000 * (round_ + 1)
            requests = requests_of(base)
            ids = spawn("ids", model, base, json.dumps(requests))
            table = json.dumps(list(zip(requests, ids, strict=True)))
            for name, found in rounds.items():
                found.append(spawn(name, model, base, table))
        report(model, rounds, gb_s)
        if not options.no_kl:
            exact = spawn("kl", model, 0)
            shown = ", ".join(f"{name} {kl:.1e}" for name, kl in exact.items())
            print(f"mean KL to plain float32 on {len(KL_TEXTS)} texts: {shown}")
    if not options.no_attempt:
        report_attempt()
    if not options.no_memory:
        rss = spawn("ours", "smollm2-135m", 0, "", "--sequences")["rss_mb"]
        print(f"\nresident memory with smollm2-135m and 8 sequences of 2,048 tokens: {rss:.0f} MB")


if __name__ == "__main__":
    main()
