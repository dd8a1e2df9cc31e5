"""The command line, as a user calls it."""

import io
import json
import signal
import subprocess
import sys
import time

import pytest

from moa_core.__main__ import main


@pytest.fixture
def config_file(tmp_path):
    def write(*models, summarizer="say:the answer"):
        agents = [{"name": f"a{i}", "model": m, "provider": "server"} for i, m in enumerate(models, 1)]
        data = {"summarizer": {"name": "s", "model": summarizer, "provider": "server"}}
        path = tmp_path / "config.json"
        path.write_text(json.dumps(data | ({"layers": [{"agents": agents}]} if agents else {})))
        return str(path)

    return write


def test_answer_goes_to_standard_output_and_progress_to_standard_error(server, config_file, capsys):
    file = config_file("say:x", "status:404")

    assert main(["ask", "hi", "--config", file, "--base-url", server.address]) == 0

    out, err = capsys.readouterr()
    assert out == "the answer\n"
    assert "layer 1: a1, a2" in err
    assert "a2 failed: server does not know" in err


def test_json_holds_answer_notes_and_trace(server, config_file, capsys):
    assert main(["ask", "hi", "--config", config_file("say:x"), "--base-url", server.address, "--json"]) == 0

    data = json.loads(capsys.readouterr().out)
    assert data["answer"] == "the answer"
    assert [call["agent"] for call in data["trace"]["calls"]] == ["a1", "s"]


def test_failed_run_exits_with_one_and_says_why(server, config_file, capsys):
    file = config_file("status:401", "status:404")

    assert main(["ask", "hi", "--config", file, "--base-url", server.address, "--json"]) == 1

    out, err = capsys.readouterr()
    assert "refuses the key" in json.loads(out)["reasons"]["a1"]
    assert "every agent failed" in err


def test_failed_summarizer_still_prints_the_agents_answers(server, config_file, capsys):
    file = config_file("say:x", summarizer="status:500")

    status = main(["ask", "hi", "--config", file, "--base-url", server.address, "--strategy", "layered"])

    assert status == 0
    assert capsys.readouterr().out.strip() == "x"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--config", "missing.json"], "cannot read missing.json: No such file"),
        (["--strategy", "magic"], "there is no strategy 'magic'"),
        (["--base-url", "nonsense"], "base_url"),
    ],
)
def test_wrong_arguments_say_what_is_wrong(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert main(["ask", "hi", *arguments]) == 1
    assert words in capsys.readouterr().err


def test_a_question_that_is_no_text_is_one_line(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe"), encoding="utf-8"))

    assert main(["ask", "-"]) == 1
    assert capsys.readouterr().err == "error: the question on standard input is not UTF-8 text\n"


def test_broken_configuration_says_where(tmp_path, capsys):
    file = tmp_path / "broken.json"
    file.write_text('{"main_model": 3}')

    assert main(["ask", "hi", "--config", str(file)]) == 1
    assert "summarizer.model: 3 is not of type 'string'" in capsys.readouterr().err


def test_interrupt_stops_at_once_and_closes_the_connections(server, config_file):
    arguments = ["ask", "hi", "--config", config_file("endless", "hang"), "--base-url", server.address]
    command = [sys.executable, "-m", "moa_core", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _until(lambda: server.requests("endless") and server.requests("hang"))

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert err.strip().endswith("stopped")
    assert "Traceback" not in err
    _until(lambda: all(server.requests(model)[0]["left"] for model in ("endless", "hang")))


def _until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_what_a_run_cost_and_had_to_say_comes_after_the_answer(cerebras, config_file, capsys):
    file = config_file("gemma-4-31b", summarizer="gpt-oss-120b")

    assert main(["ask", "429-minute:1", "--config", file, "--base-url", cerebras.address]) == 0

    out, err = capsys.readouterr()
    assert out == "the answer of gpt-oss-120b\n"
    assert "cost: $0.0005" in err
    assert "server: too many requests (429)" in err


def test_a_known_server_is_named_instead_of_its_address(config_file, capsys, monkeypatch):
    monkeypatch.setenv("SGLANG_API_KEY", "not-shown")

    assert main(["ask", "hi", "--config", config_file(summarizer="m"), "--base-url", "sglang"]) == 1

    err = capsys.readouterr().err
    assert "there is no provider called 'server'; there are: wafer, sglang" in err
    assert "not-shown" not in err
