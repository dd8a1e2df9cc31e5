"""Streams as real servers send them: the answer comes out clean, the thinking apart, however they are cut."""

import json

import pytest

from moa_core.providers.chat_stream import ChatStream
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
    return splitter.text, told + splitter.reasoning


@pytest.mark.parametrize("body", STREAMS.values(), ids=STREAMS)
def test_answer_and_thinking_are_the_same_wherever_the_stream_is_cut(body):
    for cut in range(len(body) + 1):
        assert read([body[:cut], body[cut:]]) == ("ok 42", "hm"), cut
    assert read([bytes([byte]) for byte in body]) == ("ok 42", "hm")


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
