"""`python -m moa_core experiment`: against a real server, with a scorer found by its name."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from moa_core import Agent, Layer, MoAConfig
from moa_core.__main__ import main
from moa_core.experiments import ExperimentStore

JUDGE = "tests.moa_core.experiments.judge"
Command = Callable[..., int]


@pytest.fixture
def command(server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a kind of experiment on a setup whose model says "hello", or on those given."""
    monkeypatch.delenv("CEREBRAS_API_KEY", raising=False)
    (tmp_path / "task.txt").write_text("Say something.", encoding="utf-8")

    def run(
        kind: str, *more: str, configs: Sequence[MoAConfig] = (), scorer: str = "points", task: str = ""
    ) -> int:
        paths = []
        for number, config in enumerate(configs or [said("hello")]):
            paths.append(tmp_path / f"{number}.json")
            paths[-1].write_text(config.to_json(), encoding="utf-8")
        where = ["--base-url", server.address, "--scorer", f"{JUDGE}:{scorer}"]
        asked = ["--task", task or str(tmp_path / "task.txt")]
        return main(["experiment", kind, *map(str, paths), *asked, *where, *more])

    return run


def said(*texts: str) -> MoAConfig:
    """Agents that say all but the last text, a summarizer that says that."""
    agents = tuple(
        Agent(f"Agent {n}", f"say:{text}", "Answer.", provider="server")
        for n, text in enumerate(texts[:-1], 1)
    )
    layers = (Layer(agents),) if agents else ()
    strategy = "layered" if agents else "single"
    summarizer = Agent("S", f"say:{texts[-1]}", "Combine.", provider="server")
    return MoAConfig(layers, summarizer, strategy=strategy)


def test_a_spread_as_json(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("spread", "--seeds", "3", "--mark", "5", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["values"] == [5.0, 5.0, 5.0]
    assert found["share_above"] == {"mark": 5.0, "share": 1.0}


def test_one_setup_is_compared_with_its_model_alone(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("compare", "--seeds", "2", configs=[said("a", "b", "hello")]) == 0
    assert "One model alone: median 5" in capsys.readouterr().out


def test_exports_hold_every_trial(command: Command, tmp_path: Path) -> None:
    table, page, place = tmp_path / "t.csv", tmp_path / "r.html", tmp_path / "lab.sqlite"
    options = ("--seeds", "2", "--csv", str(table), "--html", str(page), "--store", str(place))
    assert command("ablate", *options, configs=[said("=1+1", "x", "hello")]) == 0

    rows = list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"))))
    assert len(rows) == 2 * 4  # the whole, without either agent, without the instruction
    assert {row["score"] for row in rows} == {"5.0"}
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == 3
    assert "<script" not in text
    store = ExperimentStore(place)
    (record,) = store.experiments()
    assert (record.kind, record.state) == ("ablate", "done")
    assert len(store.trials(record.id)) == 8


def test_a_search_goes_to_its_winner(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--budget", "60 calls", "--models", "say:hi", "say:a longer reply", "--confirm", "2")
    assert command("search", *options) == 0
    assert "The best of 2 setups is #" in capsys.readouterr().out


def test_a_challenge_is_asked_of_the_scorers_module(
    command: Command, server, capsys: pytest.CaptureFixture[str]
) -> None:
    config = MoAConfig(
        summarizer=Agent("S", "say:hello"), strategy="propose-test-repair", options={"n": 1, "rounds": 1}
    )
    assert command("spread", "--seeds", "1", "--json", configs=[config], task="challenge:first") == 0
    assert server.requests("say:hello")[0]["body"]["messages"][-1]["content"] == "the task first"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"task": "challenge:second"}, "there is no challenge second"),
        ({"task": "no_such_file.txt"}, "cannot read no_such_file.txt"),
        ({"scorer": "missing"}, "has no function 'missing'"),
    ],
    ids=["challenge", "file", "scorer"],
)
def test_what_is_not_there_is_said(
    command: Command, capsys: pytest.CaptureFixture[str], more: dict[str, str], message: str
) -> None:
    assert command("spread", **more) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "written", "message"),
    [
        ("task.md", b"\xff\xfe", "task.md is not UTF-8 text"),
        ("task.json", b"[" * 100_000, "task.json is no JSON"),
        ("task.json", b"{}", "no list of messages"),
    ],
)
def test_a_task_that_cannot_be_read_is_said(
    command: Command,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    name: str,
    written: bytes,
    message: str,
) -> None:
    (tmp_path / name).write_bytes(written)
    assert command("spread", task=str(tmp_path / name)) == 1
    assert message in capsys.readouterr().err


def test_a_scorer_that_raises_leaves_the_trials_and_fails(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("spread", "--seeds", "2", scorer="raises") == 1
    assert "the scorer raised ValueError: no idea" in capsys.readouterr().err


def test_a_stored_try_is_made_once_more(
    command: Command, server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = str(tmp_path / "lab.sqlite")
    command("spread", "--seeds", "2", "--store", place)
    where = ["--store", place, "--base-url", server.address, "--scorer", f"{JUDGE}:points"]
    asked = ["experiment", "replay", "1", "--task", str(tmp_path / "task.txt"), *where]
    assert main([*asked, "--seed", "2"]) == 0
    assert "same reply, to the letter" in capsys.readouterr().out
    assert main([*asked, "--seed", "77"]) != 0
    assert "no such try; its seeds: 1, 2" in capsys.readouterr().err
