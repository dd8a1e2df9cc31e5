"""GGUF files: what is read is what another reader reads, and what is wrong is refused by name."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.wse_backend.tiny_gguf import DIM, HIDDEN_DIM, tensors, write_tiny_gguf, write_with_type
from wse_backend.errors import BrokenGGUF, Unsupported, WseError
from wse_backend.weights.architectures import ARCHITECTURES
from wse_backend.weights.gguf_file import open_gguf
from wse_backend.weights.header import ELEMENT_LIMIT


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny_gguf(tmp_path / "tiny.gguf")


@pytest.fixture(scope="session")
def tiny_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_tiny_gguf(tmp_path_factory.mktemp("tiny") / "tiny.gguf").read_bytes()


def test_real_file_reads_as_the_gguf_library_reads_it(smollm2_path: Path) -> None:
    ours, theirs = open_gguf(smollm2_path), gguf.GGUFReader(smollm2_path)
    assert list(ours.tensors) == [tensor.name for tensor in theirs.tensors]
    for tensor in theirs.tensors:
        found = ours.tensors[tensor.name]
        assert found.qtype == tensor.tensor_type
        assert found.shape == tuple(reversed(tensor.shape.tolist()))
        assert np.array_equal(found.data, tensor.data.reshape(-1).view(np.uint8))
    for key in ("tokenizer.ggml.merges", "llama.rope.freq_base", "tokenizer.ggml.add_bos_token"):
        assert ours.metadata[key] == theirs.fields[key].contents()


def test_smollm2_has_its_published_hyperparameters(smollm2_path: Path) -> None:
    # HuggingFaceTB/SmolLM2-135M-Instruct, config.json
    h = open_gguf(smollm2_path).hparams
    assert (h.n_layers, h.dim, h.hidden_dim, h.n_heads, h.n_kv_heads, h.head_dim) == (30, 576, 1536, 9, 3, 64)
    assert (h.vocab_size, h.n_ctx, h.rope_theta, h.is_tied) == (49152, 8192, 100000.0, True)
    assert h.rms_eps == pytest.approx(1e-5, rel=1e-6)
    assert (h.rope_style, h.has_qkv_bias) == ("interleaved", False)


def test_qwen2_turns_halves_and_has_biases(tmp_path: Path) -> None:
    h = open_gguf(write_tiny_gguf(tmp_path / "q.gguf", "qwen2")).hparams
    assert (h.rope_style, h.has_qkv_bias, h.is_tied) == ("half", True, False)


def test_tensor_data_cannot_be_written(tiny: Path) -> None:
    data = open_gguf(tiny).tensors["blk.0.attn_q.weight"].data
    with pytest.raises(ValueError, match="read-only"):
        data[0] = 1


@pytest.mark.parametrize("type_name", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "F16"])
def test_every_simple_tensor_type_is_accepted(tmp_path: Path, type_name: str) -> None:
    path = write_tiny_gguf(tmp_path / "t.gguf", quantize=gguf.GGMLQuantizationType[type_name])
    assert open_gguf(path).tensors["blk.1.ffn_down.weight"].type_name == type_name


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "only 0 bytes"),
        (b"GGUF", "only 4 bytes"),
        (b"PK\x03\x04" + bytes(100), "does not begin with the letters GGUF"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 40, 0) + bytes(64), "1,099,511,627,776 tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60) + bytes(64), "metadata values"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 40) + bytes(64), "at most 65,535"),
        (b"GGUF" + struct.pack("<IQQQ3sIIQ", 3, 0, 1, 3, b"a.b", 9, 8, 1 << 40) + bytes(64), "elements"),
        (b"GGUF" + struct.pack("<IQQQ3sIIQ", 3, 0, 1, 3, b"a.b", 9, 8, 1 << 20) + bytes(64), "file ends"),
        (b"GGUF" + struct.pack("<IQQQ3sIQ", 3, 0, 1, 3, b"a.b", 8, 1 << 62) + bytes(64), "at most"),
        (b"GGUF" + struct.pack("<IQQQ3sI", 3, 0, 1, 3, b"a.b", 77) + bytes(64), "unknown type 77"),
        (b"GGUF" + struct.pack("<IQQQ3sI", 3, 0, 1, 3, b"\xff\xfe\xfd", 0) + bytes(64), "damaged"),
    ],
)
def test_damaged_headers_are_refused_with_a_reason(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "bad.gguf").write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(BrokenGGUF, match=words) as caught:
            open_gguf(tmp_path / "bad.gguf")
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.path == "bad.gguf"
    assert peak_bytes < 1_000_000  # the headers announce up to 2**62 bytes


def test_missing_file_is_refused_with_the_systems_reason(tmp_path: Path) -> None:
    with pytest.raises(BrokenGGUF, match="No such file"):
        open_gguf(tmp_path / "absent.gguf")


def test_big_endian_file_is_refused_as_such(tmp_path: Path) -> None:
    path = write_tiny_gguf(tmp_path / "big.gguf", endianess=gguf.GGUFEndian.BIG)
    with pytest.raises(Unsupported, match="big-endian"):
        open_gguf(path)


def test_file_truncated_inside_a_tensor_is_refused_with_both_sizes(tiny: Path) -> None:
    content = tiny.read_bytes()
    tiny.write_bytes(content[:-2000])
    with pytest.raises(BrokenGGUF, match=f"the file ends at {len(content) - 2000:,}"):
        open_gguf(tiny)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"llama.vocab_size": 1 << 40}, "vocab_size is 1099511627776"),
        ({"llama.vocab_size": 300}, "vocab_size is 300, the embedding has 264"),
        ({"llama.block_count": 0}, "block_count is 0"),
        ({"llama.block_count": 3}, "blk.2.attn_norm.weight is missing"),
        ({"llama.block_count": 4_000_000_000}, "block_count is 4000000000"),
        ({"llama.embedding_length": None}, "embedding_length is missing"),
        ({"llama.embedding_length": "64"}, "embedding_length is '64'"),
        ({"llama.embedding_length": 128}, "implies"),
        ({"llama.feed_forward_length": 64}, "implies"),
        ({"llama.context_length": 1 << 31}, "context_length"),
        ({"llama.attention.head_count": 5}, "cannot be shared by 5"),
        ({"llama.attention.head_count_kv": 3}, "cannot share 3"),
        ({"llama.rope.freq_base": float("nan")}, "freq_base is nan"),
        ({"llama.rope.dimension_count": 15}, "pairs"),
        ({"llama.attention.layer_norm_rms_epsilon": -1.0}, "epsilon is -1.0"),
        ({"tokenizer.ggml.tokens": ["a", "b"]}, "vocabulary has 2 tokens"),
        ({"general.alignment": 7}, "alignment is 7"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_contradictory_hyperparameters_are_refused(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    path = write_tiny_gguf(tmp_path / "odd.gguf")
    if "general.alignment" in changes:  # the library's writer would obey it; only the stored value is changed
        _replace_alignment(path, changes["general.alignment"])
    else:
        write_tiny_gguf(path, changes=changes)
    with pytest.raises(BrokenGGUF, match=words):
        open_gguf(path)


def _replace_alignment(path: Path, value: int) -> None:
    content = write_tiny_gguf(path, changes={"tests.alignment": value}).read_bytes()
    path.write_bytes(
        content.replace(b"\x0f\0\0\0\0\0\0\0tests.alignment", b"\x11\0\0\0\0\0\0\0general.alignment")
    )


@pytest.mark.parametrize(
    ("changes", "found", "supported"),
    [
        ({"general.architecture": "mamba"}, "'mamba'", tuple(ARCHITECTURES)),
        ({"llama.rope.scaling.type": "su"}, "'su'", ("none", "linear", "yarn", "longrope")),
    ],
)
def test_unsupported_models_are_refused_with_what_is_supported(
    tmp_path: Path, changes: dict[str, Any], found: str, supported: tuple[str, ...]
) -> None:
    with pytest.raises(Unsupported) as caught:
        open_gguf(write_tiny_gguf(tmp_path / "other.gguf", changes=changes))
    assert (caught.value.found, caught.value.supported) == (found, supported)


def test_healthy_file_with_experts_is_refused_by_its_architecture_and_not_called_broken(
    tmp_path: Path,
) -> None:
    experts = {"blk.0.ffn_gate_exps.weight": np.ones((4, HIDDEN_DIM, DIM), np.float32)}
    path = write_tiny_gguf(
        tmp_path / "moe.gguf", changes={"general.architecture": "bailingmoe"}, tensor_changes=experts
    )
    with pytest.raises(Unsupported, match="its architecture is 'bailingmoe'"):
        open_gguf(path)


def split_in_three(folder: Path) -> list[Path]:
    """The tiny model as three files of the names that llama.cpp gives; the header in the first."""
    everything = tensors("llama")
    paths = [folder / f"tiny-{part:05d}-of-00003.gguf" for part in (1, 2, 3)]
    for part, path in enumerate(paths):
        changes = {"split.no": part, "split.count": 3, "split.tensors.count": len(everything)}
        absent = {name: None for at, name in enumerate(sorted(everything)) if at % 3 != part}
        write_tiny_gguf(path, changes=changes, tensor_changes=dict(absent))
    return paths


def test_file_in_parts_reads_as_the_whole_one(tiny: Path, tmp_path: Path) -> None:
    paths = split_in_three(tmp_path)
    whole, joined = open_gguf(tiny), open_gguf(paths[0])
    assert joined.hparams == whole.hparams
    assert joined.size_bytes == sum(path.stat().st_size for path in paths)
    for name, tensor in whole.tensors.items():
        assert np.array_equal(joined.tensors[name].data, tensor.data), name


def test_parts_that_are_missing_or_wrong_are_named(tmp_path: Path) -> None:
    first, second, third = split_in_three(tmp_path)
    with pytest.raises(BrokenGGUF, match=r"a later part of its model; open tiny-00001-of-00003\.gguf"):
        open_gguf(second)
    with pytest.raises(BrokenGGUF, match=r"must be called NAME-00001-of-00003\.gguf"):
        open_gguf(first.rename(tmp_path / "renamed.gguf"))
    (tmp_path / "renamed.gguf").rename(first)
    third.write_bytes(second.read_bytes())
    with pytest.raises(BrokenGGUF, match=r"cannot load tiny-00003.*part 3 of 3"):
        open_gguf(first)
    third.unlink()
    with pytest.raises(BrokenGGUF, match=r"its part tiny-00003-of-00003\.gguf is not beside it"):
        open_gguf(first)


def test_matrix_of_any_type_with_a_known_block_is_placed(tmp_path: Path) -> None:
    found = open_gguf(write_with_type(tmp_path / "t.gguf", gguf.GGMLQuantizationType.I8))
    tensor = found.tensors["blk.0.ffn_up.weight"]
    assert (tensor.type_name, tensor.n_bytes) == ("I8", HIDDEN_DIM * DIM)


@pytest.mark.parametrize("qtype", [4, 99, 2**32 - 1], ids=["removed", "not yet", "largest"])
def test_type_without_a_known_block_is_refused_by_its_number(tmp_path: Path, qtype: int) -> None:
    path = write_with_type(tmp_path / "t.gguf", qtype)
    with pytest.raises(Unsupported, match=rf"t\.gguf: tensor blk\.0\.ffn_up\.weight is of type {qtype}, "):
        open_gguf(path)


@pytest.mark.parametrize(
    ("tensor_changes", "error", "words"),
    [
        ({"blk.1.ffn_down.weight": None}, BrokenGGUF, "blk.1.ffn_down.weight is missing"),
        ({"token_embd.weight": None}, BrokenGGUF, "token_embd.weight is missing"),
        ({"output_norm.weight": np.ones(32, np.float32)}, BrokenGGUF, r"shape \(32,\)"),
        (
            {"rope_freqs.weight": np.ones(7, np.float32)},
            BrokenGGUF,
            r"rope_freqs.weight has the shape \(7,\)",
        ),
        ({"blk.0.attn_q_norm.weight": np.ones(16, np.float32)}, Unsupported, "attn_q_norm"),
        ({"blk.0.ffn_norm.weight": np.ones(DIM, np.float64)}, Unsupported, "F64"),
        ({"output_norm.weight": np.ones((1, 1, DIM), np.float32)}, BrokenGGUF, r"shape \(1, 1, 64\)"),
    ],
    ids=["missing", "no embedding", "wrong shape", "rope factors", "extra norm", "F64", "3-D"],
)
def test_tensors_that_do_not_fit_are_refused(
    tmp_path: Path, tensor_changes: dict[str, np.ndarray | None], error: type[WseError], words: str
) -> None:
    with pytest.raises(error, match=words):
        open_gguf(write_tiny_gguf(tmp_path / "t.gguf", tensor_changes=tensor_changes))


def test_overlapping_tensors_are_refused(tiny: Path) -> None:
    content = tiny.read_bytes()
    name = b"blk.0.ffn_up.weight" + struct.pack("<IQQI", 2, DIM, HIDDEN_DIM, gguf.GGMLQuantizationType.Q8_0)
    start = content.index(name) + len(name)
    tiny.write_bytes(content[:start] + bytes(8) + content[start + 8 :])
    with pytest.raises(BrokenGGUF, match="overlap"):
        open_gguf(tiny)


def test_element_limit_leaves_room_for_the_largest_vocabularies() -> None:
    gemma_vocabulary = 256_000  # google/gemma-2b, config.json: the largest in use
    assert 4 * gemma_vocabulary * 3 < ELEMENT_LIMIT  # tokens, types, scores or merges


fuzzing = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
FUZZED_KEYS = [
    *("llama.block_count", "llama.embedding_length", "llama.feed_forward_length", "llama.vocab_size"),
    *("llama.attention.head_count", "llama.attention.head_count_kv", "llama.attention.key_length"),
    *("llama.rope.dimension_count", "llama.rope.freq_base", "llama.context_length"),
    *("tokenizer.ggml.tokens", "split.count"),
]
INTERESTING = st.sampled_from([0, 1, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1])


def _open_or_refuse(path: Path, content: bytes) -> None:
    """Fails on any exception but ours; a file that opens has all its tensors inside itself."""
    path.write_bytes(content)
    try:
        opened = open_gguf(path)
    except WseError:
        return
    assert sum(tensor.n_bytes for tensor in opened.tensors.values()) <= len(content)


@fuzzing
@given(data=st.data())
def test_overwritten_header_bytes_only_raise_our_errors(
    data: st.DataObject, tiny_bytes: bytes, tmp_path: Path
) -> None:
    content = bytearray(tiny_bytes)
    header = tiny_bytes.index(b"blk.1.ffn_down.weight") + 60
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, header))
        new = data.draw(st.one_of(INTERESTING.map(lambda n: n.to_bytes(8, "little")), st.binary(max_size=9)))
        content[at : at + len(new)] = new
    _open_or_refuse(tmp_path / "fuzzed.gguf", bytes(content))


@fuzzing
@given(data=st.data())
def test_cut_and_shifted_files_only_raise_our_errors(
    data: st.DataObject, tiny_bytes: bytes, tmp_path: Path
) -> None:
    at = data.draw(st.integers(0, len(tiny_bytes)))
    gone = data.draw(st.integers(0, 64))
    extra = data.draw(st.binary(max_size=32))
    end = data.draw(st.one_of(st.just(len(tiny_bytes)), st.integers(0, len(tiny_bytes))))
    _open_or_refuse(tmp_path / "fuzzed.gguf", (tiny_bytes[:at] + extra + tiny_bytes[at + gone :])[:end])


@fuzzing
@given(
    key=st.sampled_from(FUZZED_KEYS),
    value=st.one_of(
        INTERESTING,
        st.floats(width=32),
        st.booleans(),
        st.text(max_size=5),
        st.lists(st.integers(0, 9), min_size=1, max_size=3),
    ),
)
def test_any_value_of_any_hyperparameter_only_raises_our_errors(key: str, value: Any, tmp_path: Path) -> None:
    path = write_tiny_gguf(tmp_path / "fuzzed.gguf", changes={key: value})
    _open_or_refuse(path, path.read_bytes())


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="counts the pages as Linux does")
def test_released_pages_leave_the_memory_and_come_back_when_they_are_read(qwen_path: Path) -> None:
    def resident_kb() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssFile"))

    tensor = open_gguf(qwen_path).tensors["output.weight"]
    total = int(tensor.data.sum())
    before = resident_kb()
    tensor.release_pages()
    assert before - resident_kb() > 0.9 * tensor.n_bytes / 1024
    assert int(tensor.data.sum()) == total
