"""`python -m moa_core experiment KIND CONFIG... --task FILE --scorer MODULE:FUNCTION`: the Lab in a terminal.

The scorer is imported by name when the command runs, so that this package knows no grader. A task called
`challenge:NAME` is asked of the scorer's module: its `task_messages(NAME)` is the question, its
`try_public_cases` tries answers for the strategies that do so, and its scorer is given that challenge.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from moa_core.config.values import MoAConfig
from moa_core.errors import ConfigError, ExperimentError, MoAError
from moa_core.experiments import ablate, compare, search, spread
from moa_core.experiments.cluster import cluster
from moa_core.experiments.compare import single_of
from moa_core.experiments.experiment import Experiment
from moa_core.experiments.export import to_csv, to_html
from moa_core.experiments.space import FRAGMENTS, Space
from moa_core.experiments.spread import DEFAULT_SEEDS
from moa_core.experiments.store import DONE, FAILED, STOPPED, ExperimentStore
from moa_core.experiments.trial import Scorer, Trial, replay, replay_words
from moa_core.providers.environment import EnvironmentProviders
from moa_core.providers.model_info import TokenPrice
from moa_core.runs.prompts import Message
from moa_core.runs.strategy_context import Checked, Checker

CHALLENGE = "challenge:"
PUBLIC_CASES = "try_public_cases"
TASK_MESSAGES = "task_messages"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, how a reply is scored, and how an answer is tried on the way."""

    messages: Sequence[Message]
    scorer: Scorer
    checker: Checker | None = None


@dataclass(frozen=True, slots=True)
class CheckedBy:
    """A checker made of a function that tries an answer and returns a share and feedback; travels by name."""

    function: Callable[..., Any]
    challenge: str

    def __call__(self, reply: str) -> Checked:
        tried = self.function(reply, self.challenge)
        return Checked(tried.share, tried.feedback)


def add_parser(commands: Any) -> None:
    """The `experiment` command and its kinds."""
    parser = commands.add_parser("experiment", help="try setups over many seeds, compare and search them")
    kinds = parser.add_subparsers(required=True, metavar="KIND", dest="kind")
    about = {
        "spread": "one setup over many seeds",
        "compare": "setups on the same seeds, pair by pair; one setup is compared with its model alone",
        "ablate": "a setup without each of its parts",
        "search": "look for a better setup within a budget",
    }
    for kind, text in about.items():
        _add_kind(kinds.add_parser(kind, help=text), kind)
    _add_replay(kinds.add_parser("replay", help="make a stored try once more, and compare the replies"))


def _add_kind(parser: argparse.ArgumentParser, kind: str) -> None:
    parser.add_argument("configs", nargs="+", metavar="CONFIG", help="configuration as JSON")
    parser.add_argument(
        "--task", required=True, metavar="FILE", help="the question as a text file, or challenge:NAME"
    )
    parser.add_argument("--scorer", required=True, metavar="MODULE:FUNCTION", help="scores a reply")
    if kind == "search":
        _add_space(parser)
    else:
        parser.add_argument(
            "--seeds", type=int, default=DEFAULT_SEEDS, help=f"tries (default {DEFAULT_SEEDS})"
        )
    if kind == "spread":
        parser.add_argument("--narrow", type=float, metavar="POINTS", help="stop at an interval this narrow")
    parser.add_argument("--mark", type=float, help="tell the share of tries with at least so many points")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="run the trials on a Dask cluster (tcp://…)")
    parser.add_argument("--base-url", default="", metavar="URL", help="an OpenAI-compatible server to ask")
    parser.add_argument(
        "--price", action="append", default=[], metavar="MODEL=IN,OUT", help="dollars per million tokens"
    )
    parser.add_argument("--store", metavar="FILE", help="keep every trial in this file or database URL")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write every trial as a table")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a report with charts")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def _add_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("experiment", type=int, metavar="ID", help="number of the stored experiment")
    parser.add_argument("--store", required=True, metavar="FILE", help="where it is kept")
    parser.add_argument("--seed", type=int, help="which of its tries (default: the first)")
    parser.add_argument(
        "--task", required=True, metavar="FILE", help="the question's file, or challenge:NAME"
    )
    parser.add_argument("--scorer", required=True, metavar="MODULE:FUNCTION", help="scores a reply")
    parser.add_argument("--base-url", default="", metavar="URL", help="an OpenAI-compatible server to ask")


def _add_space(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--budget", required=True, help="'400 calls', '20 minutes' or '2 dollars'")
    parser.add_argument("--study", default="lab", help="name to go on under (with --store)")
    parser.add_argument("--models", nargs="+", default=[], metavar="MODEL")
    parser.add_argument("--temperatures", nargs="+", type=float, default=[], metavar="T")
    parser.add_argument("--agents", nargs="+", type=int, default=[], metavar="N", help="agents per layer")
    parser.add_argument("--cycles", nargs="+", type=int, default=[], metavar="N")
    parser.add_argument("--strategies", nargs="+", default=[], metavar="NAME")
    parser.add_argument(
        "--fragments", nargs="*", default=[], metavar="NAME", help=f"of: {', '.join(FRAGMENTS)}"
    )
    parser.add_argument("--rewrites", type=int, default=0, help="prompts that a model may write anew")
    parser.add_argument("--rewriter", default="", metavar="MODEL")
    parser.add_argument("--confirm", type=int, default=16, help="fresh seeds for the winner")


def run_command(options: argparse.Namespace) -> int:
    """Run one experiment; returns the exit status. Raises MoAError, OSError, KeyboardInterrupt."""
    if options.kind == "replay":
        return _replay(options)
    question = read_question(options.task, options.scorer)
    configs = [_config(path) for path in options.configs]
    store = ExperimentStore(options.store) if options.store else None
    with _executor(options.scheduler) as executor:
        experiment = _experiment(options, configs, question, executor)
        result = _watched(experiment, options, question, configs, store)
    title = f"{options.kind}: {', '.join(options.configs)}"
    if options.csv:
        options.csv.write_text(to_csv(result.trials), encoding="utf-8")
    if options.html:
        options.html.write_text(
            to_html(title, result.trials, _data(result, options.mark), options.mark), encoding="utf-8"
        )
    if options.json:
        print(json.dumps(_data(result, options.mark), indent=2, ensure_ascii=False))
    else:
        _show(result, options.mark)
    return 0 if any(trial.score is not None for trial in result.trials) else 1


def _replay(options: argparse.Namespace) -> int:
    """Make one stored trial once more; 1 when the reply is another one."""
    question = read_question(options.task, options.scorer)
    if "://" not in options.store and not Path(options.store).is_file():
        raise ExperimentError(f"there is no store {options.store!r}")
    with closing(ExperimentStore(options.store)) as store:
        trials = store.trials(options.experiment)
    found = [trial for trial in trials if options.seed in (None, trial.seed)]
    if not found:
        seeds = ", ".join(map(str, sorted({trial.seed for trial in trials}))) or "none"
        raise ExperimentError(f"experiment {options.experiment} has no such try; its seeds: {seeds}")
    providers = EnvironmentProviders(options.base_url)
    again = replay(found[0], providers, question.scorer, question.checker)
    for name, trial in (("stored", found[0]), ("replay", again)):
        score = "no score" if trial.score is None else f"{trial.score.value:g} of {trial.score.maximum:g}"
        print(f"{name}: {score}, {trial.completion_tokens} tokens, version {trial.version}")
    print(replay_words(found[0], again))
    return 0 if again.reply == found[0].reply else 1


def read_question(task: str, scorer: str) -> Question:
    """The question and its scorer by their names. Raises ExperimentError, OSError."""
    module, function = _imported(scorer)
    if not task.startswith(CHALLENGE):
        return Question(_read_task(Path(task)), function)
    name = task.removeprefix(CHALLENGE)
    asked = getattr(module, TASK_MESSAGES, None)
    if asked is None:
        raise ExperimentError(
            f"{module.__name__} has no {TASK_MESSAGES}, so it knows no {task!r}; give a file"
        )
    try:
        messages = asked(name)
    except Exception as exc:  # the module is the caller's choice: what it says is the answer
        raise ExperimentError(str(exc)) from exc
    takes_challenge = "challenge" in inspect.signature(function).parameters
    tries = getattr(module, PUBLIC_CASES, None)
    return Question(
        messages,
        partial(function, challenge=name) if takes_challenge else function,
        None if tries is None else CheckedBy(tries, name),
    )


def _imported(scorer: str) -> tuple[ModuleType, Callable[..., Any]]:
    module_name, _, function_name = scorer.partition(":")
    if not module_name or not function_name:
        raise ExperimentError(
            f"the scorer is {scorer!r}; write MODULE:FUNCTION, for example grader:score_reply"
        )
    sys.path.insert(0, "")  # a module beside the caller, as `python -m` itself would find it
    try:
        module = import_module(module_name)
    except ImportError as exc:
        raise ExperimentError(f"the scorer's module {module_name!r} cannot be imported: {exc}") from exc
    finally:
        sys.path.remove("")
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ExperimentError(f"{module_name} has no function {function_name!r}")
    return module, function


def _read_task(path: Path) -> Sequence[Message]:
    """A text file is one question; a JSON file may be a whole conversation."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise ExperimentError(f"{path} is not UTF-8 text") from exc
    if path.suffix == ".json":
        try:
            messages = json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise ExperimentError(f"{path} is no JSON: {exc}") from exc
        if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
            raise ExperimentError(f"{path} holds no list of messages with role and content")
        return messages
    return [{"role": "user", "content": text}]


def _config(path: str) -> MoAConfig:
    try:
        config = MoAConfig.from_json(Path(path).read_bytes())
    except ConfigError as exc:
        raise ConfigError(f"{path}: {exc}") from exc
    for note in config.notes:
        print(f"note: {path}: {note}", file=sys.stderr)
    return config


@contextmanager
def _executor(address: str | None) -> Iterator[Executor | None]:
    if address is None:
        yield None
        return
    with cluster(address) as executor:
        yield executor


def _experiment(
    options: argparse.Namespace, configs: list[MoAConfig], question: Question, executor: Executor | None
) -> Experiment[Any]:
    common: dict[str, Any] = {"checker": question.checker, "prices": dict(map(_price, options.price))}
    providers = EnvironmentProviders(options.base_url)
    what = (question.messages, providers, question.scorer)
    if options.kind == "compare":
        pair = [single_of(configs[0]), configs[0]] if len(configs) == 1 else configs
        return compare(pair, *what, options.seeds, executor, **common)
    if len(configs) > 1:
        raise ExperimentError(f"{options.kind} takes one configuration, not {len(configs)}")
    if options.kind == "spread":
        return spread(configs[0], *what, options.seeds, executor, narrow=options.narrow, **common)
    if options.kind == "ablate":
        return ablate(configs[0], *what, options.seeds, executor, **common)
    return search(
        configs[0],
        *what,
        options.budget,
        executor,
        space=_space(options),
        storage=options.store,
        study=options.study,
        confirm=options.confirm,
        **common,
    )


def _space(options: argparse.Namespace) -> Space:
    unknown = [name for name in options.fragments if name not in FRAGMENTS]
    if unknown:
        raise ExperimentError(f"there is no fragment {unknown[0]!r}; there are: {', '.join(FRAGMENTS)}")
    return Space(
        models=tuple(options.models),
        temperatures=tuple(options.temperatures),
        agents=tuple(options.agents),
        cycles=tuple(options.cycles),
        strategies=tuple(options.strategies),
        fragments={name: FRAGMENTS[name] for name in options.fragments},
        rewrites=options.rewrites,
        rewriter=options.rewriter,
    )


def _price(text: str) -> tuple[str, TokenPrice]:
    model, _, numbers = text.rpartition("=")
    try:
        prompt, completion = (float(number) for number in numbers.split(","))
    except ValueError as exc:
        raise ExperimentError(
            f"the price is {text!r}; write MODEL=IN,OUT in dollars per million tokens"
        ) from exc
    return model, TokenPrice.per_million(prompt, completion)


def _watched(
    experiment: Experiment[Any],
    options: argparse.Namespace,
    question: Question,
    configs: list[MoAConfig],
    store: ExperimentStore | None,
) -> Any:
    """Run to the end, telling and keeping every trial; what ended is kept whatever stops the rest."""
    key = None
    if store is not None:
        request = {
            "configs": [config.to_dict() for config in configs],
            "task": options.task,
            "scorer": options.scorer,
            "messages": [dict(message) for message in question.messages],
        }
        key = store.begin(options.kind, ", ".join(options.configs), request)
    began = time.monotonic()
    try:
        with closing(experiment):
            for trial in experiment:
                _tell(trial, time.monotonic() - began)
                if store is not None and key is not None:
                    store.add(key, trial)
            result = experiment.result()
    except BaseException as exc:
        if store is not None and key is not None:
            state = FAILED if isinstance(exc, MoAError) else STOPPED
            store.end(key, state, str(exc) or type(exc).__name__)
        raise
    if store is not None and key is not None:
        store.end(key, DONE, result=_data(result, options.mark))
    return result


def _tell(trial: Trial, elapsed_s: float) -> None:
    score = trial.problem if trial.score is None else f"{trial.score.value:g} of {trial.score.maximum:g}"
    tokens = f"{trial.completion_tokens} tokens"
    print(
        f"  {elapsed_s:6.1f} s  {trial.label}, seed {trial.seed}: {score} ({tokens})",
        file=sys.stderr,
        flush=True,
    )


def _data(result: Any, mark: float | None) -> dict[str, Any]:
    """The result as JSON data; the mark concerns spreads only."""
    data: dict[str, Any] = result.to_dict(mark) if hasattr(result, "share_above") else result.to_dict()
    return data


def _show(result: Any, mark: float | None) -> None:
    from moa_core.experiments.export import spreads_of

    order = [each.label for each in getattr(result, "spreads", ())]
    for each in spreads_of(result.trials, order):
        interval = (
            "" if each.interval is None else f" (95 %: {each.interval[0]:.4g} to {each.interval[1]:.4g})"
        )
        middle = "no score" if each.median is None else f"median {each.median:.4g} of {each.maximum:g}"
        above = "" if mark is None or not each.values else f", {each.share_above(mark):.0%} at least {mark:g}"
        tokens = "" if each.completion_tokens is None else f", {each.completion_tokens:,.0f} tokens a try"
        failed = f", {each.n_failed} failed" if each.n_failed else ""
        tries = "1 try" if len(each.values) == 1 else f"{len(each.values)} tries"
        print(f"{each.label}: {middle}{interval}, {tries}{above}{tokens}{failed}")
    if words := getattr(result, "words", ""):
        print(words)
