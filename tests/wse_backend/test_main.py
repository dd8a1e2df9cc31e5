"""The command line: answers on standard output, one line and an exit code for everything that goes wrong."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.wse_backend.tiny_gguf import write_tiny_gguf
from wse_backend import models
from wse_backend.__main__ import ProgressBar, main

ROOT = Path(__file__).parents[2]
QUESTION = "What is the capital of France?"
GREEDY = ("--system", "Answer in one word.", "--temperature", "0", "--max-tokens", "20")
# llama-cpp-python 0.3.36, create_chat_completion(temperature=0) with the same messages on the same file
ANSWER = "The capital of France is Paris."


def run(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wse_backend", *arguments]
    return subprocess.run(
        command, cwd=ROOT, input=typed, capture_output=True, text=True, timeout=240, check=False
    )


def test_chat_answers_as_an_independent_engine_does(smollm2_path: Path) -> None:
    done = run("chat", QUESTION, *GREEDY)
    assert (done.returncode, done.stdout.strip()) == (0, ANSWER)
    assert "tokens in" in done.stderr


def test_chat_reads_the_question_from_standard_input_and_the_model_by_path(smollm2_path: Path) -> None:
    done = run("chat", "-", *GREEDY, "--model", str(smollm2_path), typed=QUESTION)
    assert (done.returncode, done.stdout.strip()) == (0, ANSWER)


def test_seed_makes_a_sampled_answer_repeatable(smollm2_path: Path) -> None:
    arguments = ("chat", "Tell me a story.", "--temperature", "1.5", "--max-tokens", "16", "--seed", "5")
    first, second = run(*arguments), run(*arguments)
    assert first.stdout == second.stdout
    assert len(first.stdout.split()) > 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["chat", "x", "--model", "gpt-5"], "unknown model 'gpt-5'; known: smollm2-135m"),
        (["chat", "x", "--model", __file__], "no GGUF file"),
        (["chat", ""], "an empty question"),
        (["chat", "  \n "], "an empty question"),
        (["chat", "x", "--temperature", "nan"], "temperature is nan"),
        (["chat", "x", "--max-tokens", "-1"], "max_tokens is -1"),
        (["pull", "gpt-5"], "unknown model 'gpt-5'"),
    ],
    ids=[
        "unknown model",
        "no GGUF",
        "nothing",
        "white space",
        "NaN temperature",
        "negative length",
        "pull unknown",
    ],
)
def test_refusals_are_one_line_and_exit_code_1(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert words in err
    assert (out, err.count("\n")) == ("", 1)


def test_a_question_that_is_no_text_is_one_line() -> None:
    command = [sys.executable, "-m", "wse_backend", "chat", "-"]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        command, cwd=ROOT, input=b"\xff\xfe", capture_output=True, check=False, env=environment
    )
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: ")
    assert done.stderr.count(b"\n") == 1
    assert b"not UTF-8" in done.stderr


def test_question_longer_than_the_context_is_refused_with_both_numbers(smollm2_path: Path) -> None:
    done = run("chat", "-", typed="word " * 9000)
    assert done.returncode == 1
    assert "error: the prompt has 90" in done.stderr
    assert "context holds 8192" in done.stderr


@pytest.mark.parametrize(
    "arguments", [[], ["dance"], ["chat"], ["pull"], ["chat", "x", "--seed", "y"]], ids=str
)
def test_wrong_usage_is_exit_code_2(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m wse_backend" in capsys.readouterr().err


def test_list_shows_what_is_here_and_what_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WSE_MODEL_DIR", str(tmp_path))
    (tmp_path / "own.gguf").write_bytes(bytes(3_000_000))
    assert main(["list"]) == 0
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert rows["smollm2-135m"][:3] == ["no", "98", "MB"]
    assert rows["own.gguf"][:3] == ["yes", "3", "MB"]
    assert rows["folder:"] == [str(tmp_path)]
    assert set(models.CARDS) < set(rows)


def test_pull_prints_the_path_of_a_model_that_is_here(
    smollm2_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pull", "smollm2-135m"]) == 0
    assert capsys.readouterr().out == f"{smollm2_path}\n"


def test_reader_that_goes_away_ends_it_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "wse_backend", "list"]
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(
            command, cwd=ROOT, stdout=closed, stderr=subprocess.PIPE, timeout=60, check=False
        )
    assert (done.returncode, done.stderr) == (1, b"")


def test_interrupt_is_one_word_and_exit_code_130(tmp_path: Path) -> None:
    environment = {**os.environ, "WSE_MODEL_DIR": str(tmp_path), "PIP_INDEX_URL": "http://192.0.2.1/simple"}
    command = [sys.executable, "-m", "wse_backend", "pull", "smollm2-135m"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "Fetching" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1].splitlines()[-1] == "interrupted"
    assert process.returncode == 130


def test_progress_is_a_line_per_tenth_when_nobody_watches() -> None:
    stream = io.StringIO()
    bar = ProgressBar(stream)
    for done in range(0, 20_000_001, 100_000):
        bar("Fetching Tiny", done, 20_000_000)
    bar.close()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[0] == f"Fetching Tiny [{'.' * 30}]   0 % 0 of 20 MB"
    assert lines[-1] == f"Fetching Tiny [{'#' * 30}] 100 % 20 of 20 MB"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_progress_redraws_its_line_on_a_terminal_and_keeps_each_stage() -> None:
    stream = Terminal()
    bar = ProgressBar(stream)
    bar("Fetching", 1, 2)
    bar("Fetching", 2, 2)
    bar("Checking", 2, 2)
    bar.close()
    assert stream.getvalue().count("\r") == 3
    assert stream.getvalue().count("\n") == 2


def test_progress_of_unknown_length_does_not_divide_by_zero() -> None:
    stream = io.StringIO()
    ProgressBar(stream)("Compiling", 0, 0)
    assert stream.getvalue() == f"Compiling [{'.' * 30}]   0 %\n"


def test_add_links_a_file_into_the_model_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WSE_MODEL_DIR", str(tmp_path / "models"))
    mine = write_tiny_gguf(tmp_path / "mine.gguf")
    assert main(["add", str(mine)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "models" / "mine.gguf")
    assert models.available() == [*models.CARDS, "mine.gguf"]
    assert main(["add", str(mine)]) == 1
    assert "not yet in the model folder" in capsys.readouterr().err
    assert main(["add", __file__]) == 1
    assert "error: cannot load test_main.py: no GGUF file" in capsys.readouterr().err
