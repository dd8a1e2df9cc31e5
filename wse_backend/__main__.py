"""Command line: `python -m wse_backend pull NAME | add FILE | list | chat "question"`.

Answers go to standard output, progress and figures to standard error. Exit codes: 0 done, 1 refused or failed
(one line says why), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from wse_backend import models
from wse_backend.errors import InvalidMessages, WseError

MB = 1_000_000
BAR_CELLS = 30


class ProgressBar:
    """One line that is redrawn on a terminal; elsewhere a line per stage and tenth."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._redraws = stream.isatty()
        self._shown = ("", -1)

    def __call__(self, stage: str, done: int, total: int) -> None:
        percent = 100 * done // total if total else 0
        step = percent if self._redraws else percent // 10
        if (stage, step) == self._shown:
            return
        if self._redraws and self._shown[0] not in ("", stage):
            self._stream.write("\n")
        self._shown = (stage, step)
        filled = BAR_CELLS * percent // 100
        amount = f" {done / MB:,.0f} of {total / MB:,.0f} MB" if total > MB else ""
        line = f"{stage} [{'#' * filled}{'.' * (BAR_CELLS - filled)}] {percent:3d} %{amount}"
        self._stream.write(f"\r{line}\x1b[K" if self._redraws else f"{line}\n")
        self._stream.flush()

    def close(self) -> None:
        """Leave the redrawn line standing."""
        if self._redraws and self._shown[0]:
            self._stream.write("\n")


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(
        prog="python -m wse_backend", description="Run open-weight models in-process."
    )
    commands = top.add_subparsers(dest="command", required=True)
    pull = commands.add_parser("pull", help="fetch models and verify them")
    pull.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help=f"one of: {', '.join(models.CARDS)}; or hf://owner/repository/file.gguf",
    )
    add = commands.add_parser("add", help="link GGUF files into the model folder, once they are checked")
    add.add_argument("files", nargs="+", metavar="FILE", type=Path, help="a .gguf, or the first of its parts")
    commands.add_parser("list", help="show the known models and the files of the model folder")
    chat = commands.add_parser("chat", help="ask a model and stream its answer")
    chat.add_argument("text", help="the question; - reads it from standard input")
    chat.add_argument("--model", default=models.DEFAULT_MODEL, help="a name from list, or the path of a GGUF")
    chat.add_argument("--system", help="the system prompt")
    chat.add_argument("--temperature", type=float, default=0.7, help="0 is greedy (default: %(default)s)")
    chat.add_argument("--max-tokens", type=int, default=512, help="length limit (default: %(default)s)")
    chat.add_argument("--seed", type=int, help="makes a sampled answer repeatable")
    return top


def run_pull(names: Sequence[str]) -> None:
    """Fetch each model; print where it is."""
    for name in names:
        bar = ProgressBar(sys.stderr)
        try:
            path = models.ensure(name, bar)
        finally:
            bar.close()
        print(path)


def run_add(files: Sequence[Path]) -> None:
    """Link each file into the model folder; print where it is."""
    from wse_backend.engine.own_files import import_file  # loads the kernels' table

    for path in files:
        print(import_file(path, models.models_dir()))


def run_list() -> None:
    """Print one line per known model and per own file."""
    folder = models.models_dir()
    rows = [("model", "here", "size", "memory", "licence", "")]
    for card in models.CARDS.values():
        here = "yes" if models.is_downloaded(card.name) else "no"
        size = f"{card.size_bytes / MB:,.0f} MB"
        rows.append((card.name, here, size, card.ram_note, card.licence, card.note))
    own = [folder / name for name in models.available() if name not in models.CARDS]
    rows += [(p.name, "yes", f"{p.stat().st_size / MB:,.0f} MB", "", "", "your own file") for p in own]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(f"folder: {folder}")


def read_question() -> str:
    """Everything on standard input. Raises InvalidMessages when it is no text."""
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as exc:
        raise InvalidMessages("a question that is not UTF-8", "UTF-8 text on standard input") from exc


def run_chat(options: argparse.Namespace) -> None:
    """Stream one answer to standard output."""
    from wse_backend import Engine, SamplingParams  # loads the kernels, which pull and list do not need

    params = SamplingParams(temperature=options.temperature, max_tokens=options.max_tokens, seed=options.seed)
    text = read_question() if options.text == "-" else options.text
    if not text.strip():
        raise InvalidMessages("an empty question", "a question with at least one word")
    messages = [{"role": "system", "content": options.system}] if options.system is not None else []
    messages.append({"role": "user", "content": text})
    bar = ProgressBar(sys.stderr)
    try:
        engine = Engine.load(options.model, progress=bar)
    finally:
        bar.close()
    try:
        for chunk in engine.stream(messages, params):
            print(chunk.text, end="", flush=True)
            if chunk.error is not None:
                raise chunk.error
            if chunk.completion is not None:
                usage, timing = chunk.completion.usage, chunk.completion.timing
                print(f"\n[{usage.completion_tokens} tokens in {timing.total_s:.1f} s]", file=sys.stderr)
    finally:
        engine.close()
        print(flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    options = parser().parse_args(arguments)
    if hasattr(sys.stdout, "reconfigure"):  # a terminal that cannot show a character shows a mark instead
        sys.stdout.reconfigure(errors="replace")
    try:
        if options.command == "pull":
            run_pull(options.names)
        elif options.command == "add":
            run_add(options.files)
        elif options.command == "list":
            run_list()
        else:
            run_chat(options)
    except WseError as exc:
        print(f"error: {' '.join(str(exc).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader went away, as in `| head`; Python would complain again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
