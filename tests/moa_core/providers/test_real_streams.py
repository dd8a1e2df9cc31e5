"""Streams as real servers send them: the answer comes out clean, the thinking apart, however they are cut."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moa_core.errors import MalformedAnswer, MoAError, RateLimited, ServerFailed
from moa_core.providers.base import TokenUsage
from moa_core.providers.chat_stream import ChatStream
from moa_core.providers.model_info import read_models
from moa_core.runs.reasoning import ThinkSplitter

DONE = b"data: [DONE]\n\n"


def event(delta=None, reason=None, **more):
    choice = {"index": 0, "delta": delta or {}, "finish_reason": reason}
    return b"data: " + json.dumps({"choices": [choice], **more}, ensure_ascii=False).encode() + b"\n\n"


def stream(*deltas, between=b""):
    """Events of these deltas, an end, and what a server sends between them."""
    return between.join([event(delta) for delta in deltas]) + between + event(reason="stop") + DONE


HARMONY = (
    "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>ok 42",
    "<|start|>assistant<|channel|>analysis<|message|>hm<|end|>"
    "<|start|>assistant<|channel|>final <|message|>ok 42<|return|>",
    "<|channel|>commentary to=functions.x <|constrain|>json<|message|>hm<|call|>"
    "<|start|>assistant<|channel|>final<|message|>ok 42",
)
# Reported against several clients in 2026 (llama.cpp, vLLM, LM Studio, OpenRouter, Mistral), reduced.
STREAMS = {
    "null between events": stream(
        {"reasoning": "hm"}, {"content": "ok"}, {"content": " 42"}, between=b"data: null\n\n"
    ),
    "empty data and comments": stream(
        {"reasoning": "hm"}, {"content": "ok 42"}, between=b"data:\n\n: busy\n\n"
    ),
    "harmony, whole": stream({"content": HARMONY[0]}),
    "harmony with the first start": stream({"content": HARMONY[1]}),
    "harmony with a tool's channel": stream({"content": HARMONY[2]}),
    "harmony in small pieces": stream(*({"content": HARMONY[0][i : i + 7]} for i in range(0, 99, 7))),
    "reasoning details": stream(
        {"reasoning_details": [{"type": "reasoning.text", "text": "h"}]},
        {"reasoning_details": [{"type": "reasoning.text", "text": "m"}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}], "content": "ok 42"},
    ),
    "reasoning twice": stream(
        {"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
        {"content": "ok 42"},
    ),
    "a summary of the thinking": stream(
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "hm"}]}, {"content": "ok 42"}
    ),
    "thinking as a content part": stream(
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
        {"content": [{"type": "text", "text": "ok 42"}]},
    ),
    "thinking as a content part of text": stream(
        {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "ok 42"}]}
    ),
    "a field of its own": stream({"thinking": "hm"}, {"content": "ok 42"}),
    "tags in the text": stream({"content": "<thi"}, {"content": "nk>hm</think>\n"}, {"content": "ok 42"}),
    "null fields": stream(
        {"role": "assistant", "content": None, "reasoning": None},
        {"reasoning": "hm", "content": None},
        {"content": "ok 42", "tool_calls": None},
    ),
    "carriage returns": stream({"reasoning": "hm"}, {"content": "ok 42"}).replace(b"\n", b"\r\n"),
    "carriage returns alone": stream({"reasoning": "hm"}, {"content": "ok 42"}).replace(b"\n", b"\r"),
    "named events with ids": stream({"reasoning": "hm"}, {"content": "ok 42"}).replace(
        b"data:", b"event: message\nid: 7\nretry: 10\ndata:"
    ),
    "pings": b'event: ping\ndata: {"type": "ping"}\n\n' + stream({"reasoning": "hm"}, {"content": "ok 42"}),
    "a byte order mark": b"\xef\xbb\xbf" + stream({"reasoning": "hm"}, {"content": "ok 42"}),
    "no [DONE]": stream({"reasoning": "hm"}, {"content": "ok 42"}).replace(DONE, b""),
    "no [DONE] and no empty line": stream({"reasoning": "hm"}, {"content": "ok 42"})
    .replace(DONE, b"")
    .removesuffix(b"\n\n"),
    "null instead of nothing": stream({"reasoning": "hm"}, {"content": "ok 42"}).replace(
        DONE, b'data: {"choices": null, "usage": null, "error": null, "x_groq": null}\n\n' + DONE
    ),
    "choices before and after": b'data: {"choices": [], "prompt_filter_results": []}\n\n'
    + stream({"reasoning": "hm"}, {"content": "ok 42"}),
    "an index that is null": stream({"reasoning": "hm"}, {"content": "ok 42"}).replace(
        b'"index": 0', b'"index": null'
    ),
    "another choice": stream({"reasoning": "hm"}, {"content": "ok 42"}).replace(
        b'{"choices": [', b'{"choices": [{"index": 1, "delta": {"content": "no"}}, '
    ),
    "a tool call that nobody asked for": stream(
        {"reasoning": "hm", "tool_calls": [{"index": 0, "function": {"name": "x", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}], "content": "ok 42"},
    ),
    "the whole message once more at the end": stream({"reasoning": "hm"}, {"content": "ok 42"}).replace(
        b'"delta": {}', b'"delta": {}, "message": {"content": "ok 42", "reasoning": "hm"}'
    ),
    "thinking of an unknown shape beside": stream(
        {"reasoning": {"id": 7}, "reasoning_content": "hm"},
        {"reasoning": True, "content": "ok 42", "reasoning_details": [None, "x", {"text": None}]},
    ),
    "usage of an unknown shape": stream({"reasoning": "hm"}, {"content": "ok 42"}).replace(
        DONE, b'data: {"choices": [], "usage": "none", "time_info": [1], "timings": "x"}\n\n' + DONE
    ),
    "cut by its limit": event({"reasoning": "hm"}) + event({"content": "ok 42"}, "length") + DONE,
    "one document": b' {"choices": [{"message": {"reasoning": "hm", "content": "ok 42"}}], "usage": {}}',
    "harmony without its marks": stream({"content": "analysishm"}, {"content": "assistantfinalok 42"}),
    "Magistral's tags": stream({"content": "[THINK]hm[/THINK]ok 42"}),
    "Kimi's tags": stream({"content": "◁think▷hm◁/think▷ok 42"}),
    "Gemma's channel": stream({"content": "<|channel>thought\nhm<channel|>ok 42"}),
    "empty lines before the tag": stream({"content": "\n\n<think>hm"}, {"content": "</think>\n\nok 42"}),
    "usage before the end": stream({"reasoning": "hm"}, {"content": "ok 42"}).replace(
        DONE, b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}\n\n' + DONE
    ),
}


def read(pieces):
    """Answer and thinking of a stream that comes in these pieces, put together as a call does it."""
    chat, splitter, told = ChatStream("server", "m", ""), ThinkSplitter(), ""
    deltas = [delta for piece in pieces for delta in chat.feed(piece)]
    if not chat.has_ended():
        deltas += chat.end()
    for delta in deltas:
        splitter.feed(delta.text)
        told += delta.reasoning
    splitter.finish()
    return splitter.text, (told + splitter.reasoning).strip()


@pytest.mark.parametrize("body", STREAMS.values(), ids=STREAMS)
def test_answer_and_thinking_are_the_same_wherever_the_stream_is_cut(body):
    for cut in range(len(body) + 1):
        assert read([body[:cut], body[cut:]]) == ("ok 42", "hm"), cut
    assert read([bytes([byte]) for byte in body]) == ("ok 42", "hm")


def test_counts_and_prices_that_no_answer_has_are_not_taken():
    usage = {"prompt_tokens": 10**400, "completion_tokens": True, "cost": 10**400}
    chat = ChatStream("server", "m", "")
    deltas = chat.feed(event({"content": "ok"}, "stop", usage=usage) + DONE)

    (finish,) = [delta.finish for delta in deltas if delta.finish is not None]
    assert finish.usage == TokenUsage(None, None, None)
    pricing = {"prompt": 10**400, "completion": "1e999"}
    assert read_models({"data": [{"id": "m", "pricing": pricing}]})["m"].price is None


@pytest.mark.parametrize("text", HARMONY)
def test_nothing_of_harmony_is_ever_shown(text):
    """What `feed` says piece by piece, which a page draws, holds no mark and no thinking either."""
    splitter = ThinkSplitter()
    shown = [splitter.feed(char) for char in text] + [splitter.finish()]

    assert "".join(answer for answer, _ in shown) == "ok 42"
    assert "".join(thinking for _, thinking in shown) == "hm"


@pytest.mark.parametrize(
    "text", ["< 4 <|channel|> is a mark", "a<|end|>b", "  x <|message|>", "<|channe is no mark"]
)
def test_marks_inside_of_an_ordinary_answer_are_text(text):
    splitter = ThinkSplitter()
    for char in text:
        splitter.feed(char)
    splitter.finish()

    assert (splitter.text, splitter.reasoning) == (text, "")


@pytest.mark.parametrize("field", ["content", "reasoning"])
def test_a_character_in_two_halves_is_whole_again(field):
    """A server that counts in UTF-16, as JavaScript does, cuts between the surrogates of a character."""
    halves = "say \U0001f642!".encode("utf-16-be")
    pieces = [halves[i : i + 2].decode("utf-16-be", "surrogatepass") for i in range(0, len(halves), 2)]

    answer, thinking = read([*(escaped(field, piece) for piece in pieces), DONE])

    assert answer + thinking == "say \U0001f642!"


def test_half_a_character_alone_is_replaced():
    pieces = [escaped("content", piece) for piece in ("\ud83d", "a\ude42", "b\ud83d")]

    assert read([*pieces, DONE])[0] == "\ufffda\ufffdb\ufffd"


def escaped(field, piece):
    """An event whose text is in ASCII, half characters as escapes."""
    return b"data: " + json.dumps({"choices": [{"delta": {field: piece}}]}).encode() + b"\n\n"


ERRORS = {
    "in the event": (b'{"error": {"message": "down", "code": 502}}', ServerFailed),
    "as a text": (b'{"error": "down"}', ServerFailed),
    "with the status beside it": (b'{"error": {"message": "down"}, "status_code": 429}', RateLimited),
    "as older vLLM sends it": (b'{"object": "error", "message": "down", "code": 400}', ServerFailed),
    "in the choice": (b'{"choices": [{"delta": {}, "error": {"message": "down"}}]}', ServerFailed),
    "as a finish reason": (b'{"choices": [{"delta": {}, "finish_reason": "error"}]}', ServerFailed),
}


@pytest.mark.parametrize(("data", "kind"), ERRORS.values(), ids=ERRORS)
def test_an_error_in_the_middle_is_never_the_end_of_an_answer(data, kind):
    body = event({"content": "half of"}) + b"data: " + data + b"\n\n" + DONE

    with pytest.raises(kind, match=r"down|did not say which"):
        read([body])


def test_a_key_that_stands_where_a_text_is_cut_is_not_shown_in_part():
    key = "csk-1234567890"
    chat = ChatStream("server", "m", key)

    with pytest.raises(MalformedAnswer) as caught:
        chat.feed(b"data: " + b"x" * 192 + key.encode() + b"\n\n")

    assert "csk-" not in str(caught.value)


CHUNK_FIELDS = [
    *("choices", "delta", "message", "content", "text", "type", "thinking", "reasoning", "reasoning_details"),
    *("index", "usage", "prompt_tokens_details", "cost", "time_info", "x_groq", "error", "code", "object"),
    "finish_reason",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**70) | st.floats() | st.sampled_from(["", "x", "error"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(CHUNK_FIELDS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(chunk=JSON, is_document=st.booleans())
def test_whatever_a_server_sends_there_is_an_answer_or_an_error_of_ours(chunk, is_document):
    data = json.dumps(chunk).encode()
    body = data if is_document else b"data: " + data + b"\n\n" + event(reason="stop") + DONE

    try:
        answer, thinking = read([body])
    except MoAError:
        return
    assert isinstance(answer + thinking, str)
