"""What is proposed for a model that is not there: by spelling, else by size and kind, else the best coder."""

import pytest

from moa_core.config.model_names import RETIRED, misspelling_note, replacement

CLOUD = ["gpt-oss-120b", "gemma-4-31b"]
ROUTER = [  # as OpenRouter names models: the maker in front, some with a tariff behind
    *("a/b-70b", "deepseek/deepseek-r1-distill-llama-70b", "meta-llama/llama-3.1-8b-instruct:free"),
    *("meta-llama/llama-3.3-70b-instruct", "qwen/qwen3-32b", "qwen/qwen3-32b-thinking"),
]
HERE = ["smollm2-135m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"]


@pytest.mark.parametrize(
    ("model", "available", "proposed"),
    [
        ("llama-3.3-70b", CLOUD + HERE, "gpt-oss-120b"),
        ("llama3.3-70b", CLOUD + HERE, "gpt-oss-120b"),
        ("llama-4-scout-17b-16e-instruct", CLOUD + HERE, "gpt-oss-120b"),
        ("qwen-3-32b", CLOUD + HERE, "gemma-4-31b"),
        ("llama3.1-8b", CLOUD + HERE, "gemma-4-31b"),
        ("qwen-3-coder-480b", ["a-100b", "b-coder-100b", "c-thinking-100b"], "b-coder-100b"),
        ("gpt-4o", CLOUD + HERE, "gpt-oss-120b"),
        ("llama-3.3-70b", HERE, "qwen2.5-coder-1.5b"),
        ("gpt-4o", HERE, "qwen2.5-coder-1.5b"),
        ("smollm-135m", CLOUD + HERE, "smollm2-135m"),
        ("GPT_OSS_120B", CLOUD, "gpt-oss-120b"),
        ("llama-3.3-70b", [], None),
        ("zzz", CLOUD + HERE, "gpt-oss-120b"),
        ("zzz", HERE, "qwen2.5-coder-1.5b"),
        ("llama-3.3-70b", ROUTER, "meta-llama/llama-3.3-70b-instruct"),
        ("llama3.1-8b", ROUTER, "meta-llama/llama-3.1-8b-instruct:free"),
        ("qwen-3-32b", ROUTER, "qwen/qwen3-32b"),
        ("qwen-3-32b", ["gpt-oss:20b", "qwen3:32b"], "qwen3:32b"),
    ],
)
def test_the_nearest_model_is_proposed(model, available, proposed):
    found, reason = replacement(model, available)

    assert found == proposed
    assert reason


@pytest.mark.parametrize("model", RETIRED)
def test_every_retired_name_has_a_proposal_in_the_cloud_and_here(model):
    assert replacement(model, CLOUD + HERE)[0] in CLOUD
    assert replacement(model, HERE)[0] == "qwen2.5-coder-1.5b"
    assert "was retired" in misspelling_note(model)


def test_a_similar_name_of_another_size_is_no_spelling():
    assert replacement("qwen2.5-coder-7b", HERE + CLOUD)[0] == "gemma-4-31b"
