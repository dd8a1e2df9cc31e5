"""Command line: `python -m moa_core ask "question" [--config FILE]`, and `experiment` (see its --help)."""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TextIO

from moa_core.config.values import MoAConfig
from moa_core.errors import InvalidMessages, MoAError
from moa_core.experiments import command
from moa_core.providers import Provider
from moa_core.providers.environment import KEY_VARIABLE, EnvironmentProviders
from moa_core.providers.known_servers import KNOWN_SERVERS
from moa_core.runs.events import (
    AgentFailed,
    AgentFinished,
    AgentWaiting,
    Event,
    LayerStarted,
    RunFailed,
    RunFinished,
    SummaryDelta,
)
from moa_core.runs.orchestrator import run_sync


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status (0 answered, 1 failed, 130 interrupted)."""
    options = _parser().parse_args(arguments)
    try:
        if "kind" in options:
            return command.run_command(options)
        config = _config(options.config)
        if options.strategy:
            config = MoAConfig.from_json({**config.to_dict(), "strategy": options.strategy})
        return _ask(
            config, options.question, EnvironmentProviders(options.base_url or "")(), as_json=options.json
        )
    except MoAError as exc:
        print(f"error: {exc}", file=sys.stderr)
    except OSError as exc:
        print(f"error: cannot read {exc.filename}: {exc.strerror}", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m moa_core", description="Ask a Mixture of Agents.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    ask = commands.add_parser("ask", help="ask a question and print the answer")
    ask.add_argument("question", help="the question; - reads it from standard input")
    ask.add_argument(
        "--config", metavar="FILE", help="configuration as JSON (default: three agents, two layers)"
    )
    ask.add_argument("--strategy", metavar="NAME", help="use this strategy instead of the configuration's")
    ask.add_argument("--json", action="store_true", help="print answer, notes and trace as one JSON object")
    ask.add_argument(
        "--base-url",
        metavar="URL",
        help="an OpenAI-compatible server to ask beside the models in this process: its address (key: "
        f"{KEY_VARIABLE}), or one of {', '.join(known.name for known in KNOWN_SERVERS)} at its usual address",
    )
    command.add_parser(commands)
    return parser


def _config(path: str | None) -> MoAConfig:
    config = MoAConfig.default() if path is None else MoAConfig.from_json(Path(path).read_bytes())
    for note in config.notes:
        print(f"note: {note}", file=sys.stderr)
    return config


def _read_question() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as exc:
        raise InvalidMessages("the question on standard input is not UTF-8 text") from exc


def _ask(config: MoAConfig, question: str, providers: Sequence[Provider], as_json: bool) -> int:
    text = _read_question() if question == "-" else question
    last: Event | None = None
    with closing(run_sync(config, text, providers)) as events:
        for last in events:
            _show_progress(last, sys.stderr)
            if isinstance(last, SummaryDelta) and not as_json:
                print(last.text, end="", flush=True)
    if isinstance(last, RunFinished):
        if as_json:
            data = {"answer": last.answer, "notes": list(last.notes), "trace": last.trace.to_dict()}
            print(json.dumps(data, ensure_ascii=False, indent=2))
        else:
            print()
            if any(call.role == "summarizer" and call.error for call in last.trace.calls):
                print(last.answer)
            for note in last.notes:
                print(f"note: {note}", file=sys.stderr)
            if last.trace.cost_usd is not None:
                print(f"cost: ${last.trace.cost_usd:.6f}", file=sys.stderr)
        return 0
    if isinstance(last, RunFailed):
        if as_json:
            data = {"error": last.message, "reasons": dict(last.reasons), "trace": last.trace.to_dict()}
            print(json.dumps(data, ensure_ascii=False, indent=2))
        print(f"error: {last.message}", file=sys.stderr)
    return 1


def _show_progress(event: Event, out: TextIO) -> None:
    if isinstance(event, LayerStarted):
        title = f" ({event.title})" if event.title else ""
        print(f"layer {event.layer}{title}: {', '.join(event.agents)}", file=out)
    elif isinstance(event, AgentFinished):
        call = event.call
        tokens = f", {call.completion_tokens} tokens" if call.completion_tokens is not None else ""
        print(f"  {event.agent}: {call.end_s - call.start_s:.1f} s{tokens}", file=out)
    elif isinstance(event, AgentWaiting):
        print(f"  {event.agent}: {event.reason}", file=out)
    elif isinstance(event, AgentFailed):
        print(f"  {event.agent} failed: {event.message}", file=out)


if __name__ == "__main__":
    sys.exit(main())
