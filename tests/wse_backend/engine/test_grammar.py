"""Answers held to a JSON Schema: valid whatever the weights say, with drafts and without."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.wse_backend.tiny_gguf import write_tiny_gguf
from wse_backend import Engine, InvalidParams, SamplingParams
from wse_backend.engine.grammar import Grammars
from wse_backend.weights.gguf_file import open_gguf
from wse_backend.weights.tokenizer import Tokenizer

NAMES = st.text("abcdefxyz_", min_size=1, max_size=6)
LEAVES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({"type": "string"}),
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.builds(lambda n: {"type": "string", "maxLength": n}, st.integers(0, 20)),
    st.builds(lambda n: {"type": "string", "minLength": n}, st.integers(0, 6)),
    st.builds(
        lambda a, b: {"type": "integer", "minimum": a, "maximum": a + b},
        st.integers(-99, 99),
        st.integers(0, 99),
    ),
    st.just({"type": "number", "minimum": 0, "maximum": 10}),
    st.builds(
        lambda c: {"enum": c}, st.lists(NAMES | st.integers(-9, 9), min_size=1, max_size=4, unique_by=str)
    ),
    st.builds(lambda c: {"const": c}, NAMES),
    st.just({"type": ["string", "null"]}),
)


def _object(inner: dict[str, Any], is_open: bool, n_required: int) -> dict[str, Any]:
    rule = {} if is_open else {"additionalProperties": False}
    return {"type": "object", "properties": inner, "required": list(inner)[:n_required], **rule}


def _deeper(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    lists = st.builds(
        lambda items, low, more: {"type": "array", "items": items, "minItems": low, "maxItems": low + more},
        inner, st.integers(0, 2), st.integers(0, 2),
    )  # fmt: skip
    objects = st.builds(_object, st.dictionaries(NAMES, inner, max_size=3), st.booleans(), st.integers(0, 3))
    return st.one_of(lists, objects, st.builds(lambda a, b: {"anyOf": [a, b]}, inner, inner))


SCHEMAS = st.recursive(LEAVES, _deeper, max_leaves=5)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A model of random weights: left alone it writes bytes without any sense."""
    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    engine = Engine.load(write_tiny_gguf(path, changes={"llama.context_length": 2048}))
    yield engine
    engine.close()


@given(schema=SCHEMAS, seed=st.integers(0, 2**32))
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_valid_json_of_its_schema(tiny: Engine, schema: dict[str, Any], seed: int) -> None:
    params = SamplingParams(1.5, 1.0, max_tokens=200, seed=seed, json_schema=json.dumps(schema))
    answer = tiny.generate([{"role": "user", "content": "x"}], params)
    Draft202012Validator(schema).validate(json.loads(answer.text))
    assert answer.finish_reason == "stop"


def test_drafts_do_not_change_a_constrained_answer(smollm2_path: Path) -> None:
    item = {"type": "object", "properties": {"name": {"type": "string"}, "score": {"type": "integer"}}}
    item["required"] = ["name", "score"]
    schema = json.dumps({"type": "array", "items": item, "minItems": 3, "maxItems": 3})
    params = SamplingParams(0, max_tokens=120, json_schema=schema)
    question = [{"role": "user", "content": 'Name three fruits. Like [{"name": "apple", "score": 7}]'}]
    texts, drafted = [], []
    for is_speculative in (True, False):
        engine = Engine.load(smollm2_path, is_speculative=is_speculative)
        answer = engine.generate(question, params)
        engine.close()
        texts.append(answer.text)
        drafted.append(answer.timing.decode.drafted)
    assert len(json.loads(texts[0])) == 3
    assert texts[0] == texts[1]
    assert drafted[0] > drafted[1] == 0


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ('{"type": "array", "uniqueItems": true}', "uniqueItems"),
        ('{"not": {}}', "not"),
        ('{"type": "colour"}', "colour"),
        ('{"$ref": "http://127.0.0.1:9/x"}', "127.0.0.1"),
        ("{", "Expecting property name"),
    ],
)
def test_a_schema_without_a_grammar_is_refused_by_name(tiny: Engine, schema: str, named: str) -> None:
    with pytest.raises(InvalidParams, match="json_schema") as caught:
        tiny.generate([{"role": "user", "content": "x"}], SamplingParams(json_schema=schema))
    assert named in str(caught.value)


def test_other_requests_of_the_batch_are_free(tiny: Engine) -> None:
    question = [{"role": "user", "content": "x"}]
    free = SamplingParams(0, max_tokens=20)
    held = SamplingParams(0, max_tokens=60, json_schema='{"type": "boolean"}')
    alone = tiny.generate(question, free).text
    beside, answer = tiny.generate_batch([(question, free), (question, held)])
    assert beside.text == alone
    assert answer.text in ("true", "false")


def test_an_answer_that_nests_as_deep_as_it_may_still_ends(tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_gguf(open_gguf(write_tiny_gguf(tmp_path / "tiny.gguf")))
    schema = {"type": "array", "items": {"$ref": "#"}}
    grammar = Grammars(tokenizer).start(json.dumps(schema), 200)
    (deeper,) = tokenizer.encode("[", parse_special=False)
    written: list[int] = []
    while not grammar.is_complete and len(written) < 200:
        logits = np.zeros(tokenizer.vocab_size, np.float32)
        grammar.restrict(logits)
        written.append(deeper if np.isfinite(logits[deeper]) else int(np.isfinite(logits).argmax()))
        grammar.accept(written[-1])
    text = tokenizer.decode(written)
    assert text.count("[") > 50
    Draft202012Validator(schema).validate(json.loads(text))


def test_no_control_token_is_allowed_inside_of_a_text(smollm2_path: Path) -> None:
    tokenizer = Tokenizer.from_gguf(open_gguf(smollm2_path))
    grammar = Grammars(tokenizer).start('{"type": "string"}', 100)
    for token in tokenizer.encode('"a', parse_special=False):
        grammar.accept(token)
    logits = np.zeros(tokenizer.vocab_size, np.float32)
    grammar.restrict(logits)
    assert np.isfinite(logits).sum() > 10_000
    assert not np.isfinite(logits[sorted(tokenizer.control_ids)]).any()
