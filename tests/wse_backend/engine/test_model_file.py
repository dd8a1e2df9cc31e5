"""What files say of themselves: models of every kind, and what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gguf.constants import GGMLQuantizationType
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.wse_backend.families import FAMILIES, write_family
from tests.wse_backend.tiny_gguf import write_tiny_gguf, write_with_type
from wse_backend.engine.model_file import describe


def test_a_model_with_experts_says_what_it_is(tmp_path: Path) -> None:
    changes = {"general.license": "apache-2.0", "tokenizer.chat_template": "{{ messages }}"}
    found = describe(write_family(tmp_path / "m.gguf", FAMILIES["olmoe"], changes=changes))
    assert (found.architecture, found.format, found.n_layers, found.n_ctx) == ("olmoe", "Q8_0", 3, 256)
    assert (found.n_experts, found.n_experts_active, found.problem) == (8, 2, None)
    assert (found.licence, found.template) == ("apache-2.0", "{{ messages }}")
    # by hand: embedding and output 264 x 64 each, output norm 64; per layer 4 norms of 64, attention
    # 4 x 64 x 64, router 8 x 64, experts 8 x 3 x 32 x 64
    assert found.parameters == 2 * 264 * 64 + 64 + 3 * (4 * 64 + 4 * 64 * 64 + 8 * 64 + 8 * 3 * 32 * 64)


def test_a_model_that_the_engine_does_not_run_says_why(tmp_path: Path) -> None:
    path = write_tiny_gguf(tmp_path / "m.gguf", changes={"general.architecture": "mamba"})
    found = describe(path)
    assert found.architecture == "mamba"
    assert found.problem is not None
    other = write_tiny_gguf(tmp_path / "n.gguf", tensor_changes={"blk.1.ffn_down.weight": None})
    assert "blk.1.ffn_down.weight is missing" in str(describe(other).problem)


def test_a_healthy_model_without_kernels_for_its_weights_is_described_and_says_why(tmp_path: Path) -> None:
    found = describe(write_with_type(tmp_path / "m.gguf", GGMLQuantizationType.I8))
    assert (found.architecture, found.n_layers, found.n_ctx) == ("llama", 2, 256)
    assert "blk.0.ffn_up.weight is I8; supported: F32, F16, Q4_0" in str(found.problem)


def test_what_is_no_model_says_so(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("this is a text, not a model")
    assert "does not begin with the letters GGUF" in str(describe(tmp_path / "text.gguf").problem)


FUZZED_KEYS = [
    *(f"tokenizer.ggml.{key}" for key in ("model", "pre", "tokens", "token_type", "scores", "merges")),
    *(
        f"tokenizer.ggml.{key}"
        for key in ("bos_token_id", "eos_token_id", "add_bos_token", "add_space_prefix")
    ),
    *("tokenizer.chat_template", "general.name", "general.license", "split.count", "split.no"),
    *(
        "olmoe.expert_count",
        "olmoe.expert_used_count",
        "olmoe.expert_gating_func",
        "olmoe.expert_group_count",
    ),
]
VALUES = st.one_of(
    st.sampled_from(
        ["llama", "gpt2", "smollm", "{{ messages }}", "{% for m in messages %}", "{{ 9 ** 9 ** 9 }}"]
    ),
    st.sampled_from([0, 1, 7, 8, 264, (1 << 31) - 1, (1 << 32) - 1, (1 << 63) - 1]),
    *(st.floats(width=32), st.booleans(), st.text(max_size=30)),
    st.lists(st.text(max_size=3), min_size=264, max_size=264),
    st.lists(st.integers(-9, 9), min_size=264, max_size=264),
    st.lists(st.floats(width=32), min_size=264, max_size=264),
    st.lists(st.text(max_size=4), min_size=1, max_size=4),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from(FUZZED_KEYS), VALUES, min_size=1, max_size=3))
def test_whatever_a_header_says_a_file_is_taken_or_refused_in_words(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    try:
        path = write_family(tmp_path / "fuzzed.gguf", FAMILIES["olmoe"], changes=changes)
    except (UnicodeError, ValueError):  # a text that the library cannot write
        return
    problem = describe(path).problem
    assert problem is None or problem.startswith(("cannot load fuzzed.gguf: ", "the model's chat template"))
