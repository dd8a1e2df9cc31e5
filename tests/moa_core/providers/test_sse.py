"""The event stream parser: pieces cut anywhere give the same events."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moa_core.errors import MalformedAnswer
from moa_core.providers import sse
from moa_core.providers.sse import SSEParser

# The example streams of the WHATWG specification, section 9.2.6, and what it says they mean.
EXAMPLES = {
    "two lines of data": (b"data: YHOO\ndata: +2\ndata: 10\n\n", ["YHOO\n+2\n10"]),
    "comment and three blocks": (
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
        ["first event", "second event", " third event"],
    ),
    "empty data": (b"data\n\ndata\ndata\n\n", ["", "\n"]),
    "same with and without space": (b"data:test\n\ndata: test\n\n", ["test", "test"]),
    "carriage returns": (b"data: a\r\rdata: b\r\n\r\n", ["a", "b"]),
    "line ends of all kinds": (b"data: a\r\n\ndata: b\n\r\ndata: c\r\r\n", ["a", "b", "c"]),
}


@pytest.mark.parametrize(("stream", "events"), EXAMPLES.values(), ids=EXAMPLES)
def test_examples_of_the_specification(stream, events):
    assert SSEParser().feed(stream) == events
    bytewise = SSEParser()
    assert [event for byte in stream for event in bytewise.feed(bytes([byte]))] == events


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.data())
def test_where_the_stream_is_cut_makes_no_difference(data):
    stream = "\ufeffdata: héllo 🙂\r\n\r\n: x\rdata: a\rdata: b\r\r\ndata: ü\n\n".encode()
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12).map(sorted))
    parser, events = SSEParser(), []

    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        events += parser.feed(stream[start:end])

    assert events == ["héllo 🙂", "a\nb", "ü"]


def test_last_event_without_empty_line_is_kept_for_the_end():
    parser = SSEParser()

    assert parser.feed(b"data: [DONE]") == []
    assert parser.finish() == "[DONE]"
    assert parser.finish() is None


def test_endless_event_is_refused(monkeypatch):
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    parser = SSEParser()
    for _ in range(4):
        parser.feed(b"data: " + b"x" * 20 + b"\n")

    with pytest.raises(MalformedAnswer, match="longer than 100 bytes"):
        parser.feed(b"data: " + b"x" * 20 + b"\n")
