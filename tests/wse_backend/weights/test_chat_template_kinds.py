"""Templates in the structure of two dozen published models: the prompt each makes, and what it is spared."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.wse_backend.chat_templates import DOUBLED, ROWS, TALK
from tests.wse_backend.hard_texts import sentencepiece_vocabulary
from wse_backend.errors import InvalidMessages
from wse_backend.weights.chat_template import FOLDED, MERGED, ChatTemplate
from wse_backend.weights.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return tokenizer_with()


def tokenizer_with(*control: str) -> Tokenizer:
    """A SentencePiece vocabulary, BOS "<s>" and EOS "</s>", with some control words."""
    values = sentencepiece_vocabulary()
    values["tokenizer.ggml.tokens"][300 : 300 + len(control)] = control
    values["tokenizer.ggml.token_type"][300 : 300 + len(control)] = [3] * len(control)
    return Tokenizer.from_gguf(SimpleNamespace(metadata=values, path=Path("v.gguf")))  # type: ignore[arg-type]


def test_the_table_has_at_least_twenty_templates() -> None:
    assert len(ROWS) >= 20


@pytest.mark.parametrize("model", ROWS)
def test_prompt_is_the_one_that_the_models_format_asks_for(tokenizer: Tokenizer, model: str) -> None:
    assert ChatTemplate(tokenizer, ROWS[model].source).render(TALK) == ROWS[model].prompt


@pytest.mark.parametrize("model", ROWS)
def test_what_a_conversation_goes_through_is_said(tokenizer: Tokenizer, model: str) -> None:
    row = ROWS[model]
    expected = (*((FOLDED,) if row.folds else ()), *((MERGED,) if row.merges else ()))
    assert ChatTemplate(tokenizer, row.source).changes == expected


@pytest.mark.parametrize("model", ROWS)
@pytest.mark.parametrize(
    "messages",
    [DOUBLED, [*DOUBLED, {"role": "system", "content": "T"}], [{"role": "system", "content": "S"}]],
    ids=["two users", "system last", "system alone"],
)
def test_every_template_takes_every_prompt_of_agents(
    tokenizer: Tokenizer, model: str, messages: list[dict[str, str]]
) -> None:
    prompt = ChatTemplate(tokenizer, ROWS[model].source).render(messages)
    if "alone" not in model and "R1" not in model:  # R1 keeps the last system prompt only, as published
        assert all(message["content"] in prompt for message in messages)


@pytest.mark.parametrize(
    ("model", "effort", "end"),
    [
        ("Qwen3", None, "assistant\n"),
        ("Qwen3", "high", "assistant\n"),
        ("Qwen3", "none", "assistant\n<think>\n\n</think>\n\n"),
    ],
)
def test_thinking_is_switched_by_the_templates_own_variable(
    tokenizer: Tokenizer, model: str, effort: str | None, end: str
) -> None:
    template = ChatTemplate(tokenizer, ROWS[model].source)
    assert template.can_think
    assert template.render(TALK, effort=effort).endswith(end)


@pytest.mark.parametrize(
    ("model", "on", "off"),
    [("SmolLM3", "/think", "/no_think"), ("gpt-oss", "Effort: high", "Effort: low")],
)
def test_thinking_goes_by_each_familys_name(tokenizer: Tokenizer, model: str, on: str, off: str) -> None:
    template = ChatTemplate(tokenizer, ROWS[model].source)
    assert on in template.render(TALK, effort="high")
    assert off in template.render(TALK, effort="none")


def test_templates_that_know_no_thinking_stay_as_they_are(tokenizer: Tokenizer) -> None:
    template = ChatTemplate(tokenizer, ROWS["Llama 3"].source)
    assert not template.can_think
    assert template.render(TALK, effort="none") == ROWS["Llama 3"].prompt


@pytest.mark.parametrize(
    ("control", "begins"),
    [
        ("<|im_start|>", "<|im_start|>user\nHi"),
        ("<start_of_turn>", "<s><start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n"),
        ("<|start_header_id|>", "<s><|start_header_id|>user<|end_header_id|>\n\nHi"),
        ("<other>", "User: Hi\n\nAssistant:"),
    ],
)
def test_file_without_a_template_gets_the_format_of_its_vocabulary(control: str, begins: str) -> None:
    gguf = SimpleNamespace(metadata={}, path=Path("v.gguf"))
    template = ChatTemplate.from_gguf(gguf, tokenizer_with(control))  # type: ignore[arg-type]
    assert template.render([{"role": "user", "content": "Hi"}]).startswith(begins)


def test_template_that_refuses_everything_is_said_in_its_words(tokenizer: Tokenizer) -> None:
    template = ChatTemplate(tokenizer, "{{ raise_exception('closed today') }}")
    with pytest.raises(InvalidMessages, match="closed today"):
        template.render(TALK)
