"""What the documents show is what the code does."""

import json
import re
from pathlib import Path

import pytest

import grader
from grader import challenges
from grader.__main__ import main
from grader.sandbox.limits import ALL_ISOLATION, SandboxLimits

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "grader.md").read_text(encoding="utf-8")
HOWTO = (ROOT / "docs" / "challenges-howto.md").read_text(encoding="utf-8")


def test_every_public_name_exists():
    assert [name for name in grader.__all__ if not hasattr(grader, name)] == []
    assert sorted(grader.__all__) == grader.__all__


def test_commands_of_the_table_exist(capsys):
    commands = set(re.findall(r"`python -m grader (\w+)", DOC))
    assert commands == {"score", "batch", "challenges", "report", "import", "new", "check"}
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("    ")}
    assert commands <= listed


def test_isolation_and_limits_of_the_table_are_those_of_the_code():
    assert [measure for measure in ALL_ISOLATION if measure not in DOC] == []
    limits = SandboxLimits()
    assert f"{limits.cpu_s:g} s of CPU per check, {limits.silence_s:g} s without a word" in DOC
    assert f"{limits.wall_s:g} s in all" in DOC


def test_the_pack_in_the_howto_works(tmp_path, capsys):
    line = re.search(r"```json\n(.*?)\n```", HOWTO, re.DOTALL).group(1)
    assert json.loads(line)["task_id"] == "Course/1"
    pack, kept, answer = tmp_path / "tasks.jsonl", tmp_path / "pack.jsonl", tmp_path / "answer.py"
    pack.write_text(line)
    answer.write_text("def smallest(numbers):\n    return sorted(numbers)[0]\n")
    assert main(["import", str(pack), "--output", str(kept)]) == 0
    assert main(["score", str(answer), "--pack", str(kept), "--challenge", "Course/1"]) == 0
    assert "1 of 1 tasks pass" in capsys.readouterr().out


def test_challenges_are_of_different_kinds():
    assert [(task.name, task.max_score) for task in challenges()] == [
        ("user_metrics", 120),
        ("birthdays", 100),
        ("close_pairs", 100),
        ("expiring_cache", 100),
        ("free_slots", 100),
        ("parse_duration", 100),
    ]
    assert [task.name for task in challenges() if f"`{task.name}`" not in DOC] == []
