"""Several models within one memory budget, and the numbers a refusal names."""

import threading
from pathlib import Path

import pytest

from wse_backend import EnginePool, OutOfMemory, SamplingParams, UnknownModel, machine, models
from wse_backend.engine.engine import MIN_KV_CACHE_BYTES, OVERHEAD_BYTES
from wse_backend.engine.pool import need_bytes
from wse_backend.weights.catalog import Progress

MIB = 1 << 20
QUESTION = [{"role": "user", "content": "Say hello."}]


@pytest.fixture
def two_models(smollm2_path: Path, tmp_path: Path) -> Path:
    """A model folder with the same weights under two names."""
    for name in ("first.gguf", "second.gguf"):
        (tmp_path / name).symlink_to(smollm2_path)
    return tmp_path


def least_bytes(folder: Path) -> int:
    """What one of the models needs at least: its weights, overhead, and the smallest cache."""
    return (folder / "first.gguf").stat().st_size + OVERHEAD_BYTES + MIN_KV_CACHE_BYTES


def test_sessions_that_ask_at_once_share_one_engine(two_models: Path) -> None:
    pool = EnginePool(two_models)
    found = []
    threads = [threading.Thread(target=lambda: found.append(pool.engine("first"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(engine) for engine in found}) == 1
    pool.close()
    assert found[0].is_closed


def test_agents_of_one_layer_may_use_different_models(two_models: Path) -> None:
    pool = EnginePool(two_models)
    params = SamplingParams(temperature=0, max_tokens=12)
    streams = [pool.engine(name).stream(QUESTION, params) for name in ("first", "second")]
    texts = ["".join(chunk.text for chunk in stream) for stream in streams]
    assert texts[0] == texts[1] != ""
    assert sorted(engine.name for engine in pool.loaded()) == ["first", "second"]
    pool.close()


def test_the_longest_unused_idle_model_makes_room(two_models: Path) -> None:
    pool = EnginePool(two_models, budget_bytes=least_bytes(two_models) + 40 * MIB)
    first = pool.engine("first")
    second = pool.engine("second")
    assert first.is_closed
    assert not second.is_closed
    assert sum(need_bytes(engine) for engine in pool.loaded()) <= pool.budget_bytes
    pool.close()


def test_a_model_in_use_is_not_unloaded_and_the_refusal_has_both_numbers(two_models: Path) -> None:
    need = least_bytes(two_models)
    pool = EnginePool(two_models, budget_bytes=need + 40 * MIB)
    first = pool.engine("first")
    stream = first.stream(QUESTION * 1, SamplingParams(max_tokens=400, seed=1))
    next(stream)
    with pytest.raises(OutOfMemory) as refused:
        pool.engine("second")
    assert not first.is_closed
    assert refused.value.needed_bytes == need
    assert f"{need / MIB:.0f} MiB" in str(refused.value)
    assert f"{refused.value.available_bytes / MIB:.0f} MiB" in str(refused.value)
    pool.close()


def test_a_pool_for_strangers_takes_no_path(two_models: Path, smollm2_path: Path) -> None:
    pool = EnginePool(two_models, accepts_paths=False)
    with pytest.raises(UnknownModel):
        pool.engine(str(smollm2_path))
    assert pool.engine("first").name == "first"
    pool.close()


def test_a_request_keeps_an_engine_open_that_looked_idle(two_models: Path) -> None:
    pool = EnginePool(two_models)
    engine = pool.engine("first")
    stream = engine.stream(QUESTION, SamplingParams(max_tokens=400, seed=1))
    assert not engine.close_if_idle()
    assert next(stream).error is None
    stream.close()  # type: ignore[attr-defined]
    engine.generate(QUESTION, SamplingParams(max_tokens=1, seed=1))
    assert engine.close_if_idle()
    pool.close()


def test_a_download_does_not_hold_up_a_model_that_is_here(
    two_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetching, may_end = threading.Event(), threading.Event()

    def fetch(card: object, folder: Path, progress: object) -> Path:
        fetching.set()
        assert may_end.wait(60)
        return two_models / "second.gguf"

    monkeypatch.setattr(models, "fetch_card", fetch)
    pool = EnginePool(two_models)
    downloading = threading.Thread(target=pool.engine, args=("smollm2-135m",))
    downloading.start()
    assert fetching.wait(60)
    assert pool.engine("first").name == "first"  # loaded while the other is still on its way
    may_end.set()
    downloading.join()
    assert len(pool.loaded()) == 2
    pool.close()


def test_all_who_wait_watch_one_load_and_a_later_one_finds_the_engine(
    two_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end = threading.Event()

    def fetch(card: object, folder: Path, progress: Progress) -> Path:
        progress("download", 3, 4)
        assert may_end.wait(60)
        return two_models / "second.gguf"

    monkeypatch.setattr(models, "fetch_card", fetch)
    pool = EnginePool(two_models)
    load = pool.start_loading("smollm2-135m")
    assert pool.start_loading("smollm2-135m") is load
    assert not load.wait(0)
    may_end.set()
    assert load.wait(60)
    assert pool.loaded() == [load.engine.result()]
    again = pool.start_loading("smollm2-135m")
    assert again.wait(0)
    assert again.engine.result() is load.engine.result()
    pool.close()


def test_a_load_that_failed_says_why_and_is_begun_anew(two_models: Path) -> None:
    pool = EnginePool(two_models)
    for name in ("third", "third"):
        with pytest.raises(UnknownModel, match="third"):
            pool.start_loading(name).engine.result(60)
    (two_models / "third.gguf").symlink_to(two_models / "first.gguf")
    assert pool.start_loading("third").engine.result(60).name == "third"
    pool.close()


def test_a_budget_below_one_model_is_refused_before_loading(two_models: Path) -> None:
    with pytest.raises(OutOfMemory, match="first"):
        EnginePool(two_models, budget_bytes=50 * MIB).engine("first")


def test_an_unknown_model_is_refused_with_the_known_ones(two_models: Path) -> None:
    with pytest.raises(UnknownModel, match=r"smollm2-135m.*second\.gguf"):
        EnginePool(two_models).engine("gpt-17")


def test_memory_and_cores_are_the_containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text(str(700 * MIB))
    (tmp_path / "cpu.max").write_text("100000 100000")
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    assert machine.memory_limit_bytes() == 700 * MIB
    assert machine.memory_available_bytes() < 700 * MIB
    assert machine.n_cores() == 1
    (tmp_path / "memory.max").write_text("max")
    (tmp_path / "cpu.max").write_text("max 100000")
    assert machine.memory_limit_bytes() > 700 * MIB
