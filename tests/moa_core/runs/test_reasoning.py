"""Thinking is separated from the answer while it streams, shown apart, counted apart, and not handed on."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moa_core import Agent, AgentDelta, AgentFailed, AgentFinished, MoAConfig, SummaryDelta
from moa_core.providers import Context, Delta, Finish
from moa_core.runs.reasoning import ThinkSplitter

CASES = {
    "none": ("plain < text >", "plain < text >", ""),
    "in front": ("<think>hm\n</think>\n\n four\n", "four\n", "hm\n"),
    "in the middle": ("a<think>b</think>c<think>d</think>e", "ace", "bd"),
    "never closed": ("a<think>b</thin", "a", "b</thin"),
    "opened in the prompt": ("hm </think>four", "four", "hm "),
    "nearly a tag": ("a <thinker> <think", "a <thinker> <think", ""),
    "tag inside thinking": ("<think>a<think>b</think>c", "c", "a<think>b"),
    "empty": ("<think></think>", "", ""),
    "empty lines before": ("\n <think>a</think>b", "b", "a"),
    "another model's tags": ("<thinking>a</thinking>\nb </thinking>", "b </thinking>", "a"),
    "another model's tags in the text": ("b <thought>a</thought>", "b <thought>a</thought>", ""),
    "square tags": ("[THINK]a[/THINK]b", "b", "a"),
    "square words": ("[THIS] is b", "[THIS] is b", ""),
    "harmony without marks": ("analysisa <think> assistantfinalb", "b", "a <think> "),
    "a word like harmony's": ("analysis <think>b assistant", "analysis <think>b assistant", ""),
}


@pytest.mark.parametrize(("text", "answer", "thinking"), CASES.values(), ids=CASES)
@settings(max_examples=30, deadline=None, derandomize=True)
@given(data=st.data())
def test_tags_are_found_wherever_the_stream_is_cut(text, answer, thinking, data):
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=9).map(sorted))
    splitter = ThinkSplitter()

    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        splitter.feed(text[start:end])
    splitter.finish()

    assert (splitter.text, splitter.reasoning) == (answer, thinking)


def test_text_that_cannot_be_a_tag_is_not_held_back():
    splitter = ThinkSplitter()

    assert splitter.feed("a <b") == ("a <b", "")
    assert splitter.feed(" x <t") == (" x ", "")
    assert splitter.feed("ag>") == ("<tag>", "")


SIZE = 2_000_000  # one event of a server may hold eight times as much
HARMONY = "<|channel|>analysis<|message|>"
MANY_MARKS = {
    "pairs": ("", "<think></think>"),
    "closed": ("", "a</think>"),
    "messages": (HARMONY, "<|end|><|channel|>final<|message|>a"),
    "channels": (HARMONY, "<|channel|>"),
}


@pytest.mark.timeout(20)  # a reading that is not linear takes minutes
@pytest.mark.parametrize(("before", "unit"), MANY_MARKS.values(), ids=MANY_MARKS)
def test_a_piece_full_of_marks_is_read_in_linear_time(before, unit):
    splitter = ThinkSplitter()
    n_units = SIZE // len(unit)

    splitter.feed(before + unit * n_units)
    splitter.finish()

    found = splitter.text + splitter.reasoning
    assert found == "a" * (n_units if unit.endswith("a") or unit.startswith("a") else 0)


def of(events, kind):
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.parametrize("model", ["think", "field:reasoning", "field:reasoning_content"])
def test_thinking_streams_apart_and_never_reaches_the_next_layer(play, moa, cloud, server, model):
    events = play(moa([model], summarizer="echo"), "hi", cloud())

    (finished,) = of(events, AgentFinished)
    assert finished.reasoning == "let me see"
    assert finished.text in ("four < five", "four")
    assert "".join(event.reasoning for event in of(events, AgentDelta)) == "let me see"
    assert "".join(event.text for event in of(events, AgentDelta)) == finished.text
    assert "let me" not in str(server.requests("echo"))
    assert finished.call.reasoning_tokens == 2


def test_thinking_is_handed_on_when_asked(play, moa, cloud, server):
    config = moa(["think"], summarizer="echo")
    agent = replace(config.layers[0].agents[0], pass_reasoning=True)

    play(replace(config, layers=[[agent]]), "hi", cloud())

    assert "let me see\n\nfour < five" in server.requests("echo")[0]["body"]["messages"][0]["content"]


def test_summarizers_thinking_is_no_part_of_the_answer(play, moa, cloud):
    events = play(moa(summarizer="think"), "hi", cloud())

    assert events[-1].answer == "four < five"
    assert "".join(event.reasoning for event in of(events, SummaryDelta)) == "let me see"


def test_thinking_without_an_answer_is_a_failure_that_says_so(play, scripted):
    config = MoAConfig(layers=[[Agent("a", "m"), Agent("b", "n")]], summarizer=Agent("s", "sum"))

    events = play(config, "hi", scripted({"m": "<think>for ever", "n": "x", "sum": "s"}))

    (failed,) = of(events, AgentFailed)
    assert "it only thought" in failed.message
    assert "thinking budget" in failed.message


def test_thinking_past_its_budget_is_cut_and_the_answer_asked_for(play, cloud, server):
    config = MoAConfig(summarizer=Agent("s", "ponder:50", thinking_budget=5))

    last = play(config, "hi", cloud())[-1]

    assert last.answer == "enough: four"
    assert any("budget of 5 tokens" in note for note in last.notes)
    first, second = server.requests("ponder:50")
    assert len(first["body"]["messages"]) == 1
    assert second["body"]["messages"][-2]["content"] == "hm0 hm1 hm2 hm3 hm4 hm5 "
    assert "final answer" in second["body"]["messages"][-1]["content"]
    assert last.trace.calls[0].attempts == 2


def test_thinking_within_its_budget_is_left_alone(play, cloud, server):
    config = MoAConfig(summarizer=Agent("s", "ponder:4", thinking_budget=5))

    assert play(config, "hi", cloud())[-1].answer == "at last"
    assert len(server.requests("ponder:4")) == 1


def test_without_a_server_that_takes_it_the_effort_is_a_thinking_budget(play, scripted):
    """As in this process: 512 tokens at low; a word is one token here."""
    long = f"<think>{'hm ' * 600}</think>never said"
    provider = scripted({"m": [long, "four"], "sum": "s"})
    agent = Agent("a", "m", reasoning_effort="low", max_tokens=50)

    events = play(MoAConfig(layers=[[agent]], summarizer=Agent("s", "sum")), "hi", provider)

    (finished,) = of(events, AgentFinished)
    assert (finished.text, finished.call.attempts) == ("four", 2)
    first, second = [request for request in provider.history if request.model == "m"]
    assert (first.max_tokens, first.thinking_tokens) == (50, 512)
    assert "final answer" in second.messages[-1]["content"]
    assert any("budget of 512 tokens" in note for note in events[-1].notes)


def test_a_model_that_only_thought_is_asked_for_the_answer_once(play, scripted):
    provider = scripted({"m": ["<think>hm", "four"], "n": ["<think>hm", "<think>hm"], "sum": "s"})
    config = MoAConfig(layers=[[Agent("a", "m"), Agent("b", "n")]], summarizer=Agent("s", "sum"))

    events = play(config, "hi", provider)

    (finished,), (failed,) = of(events, AgentFinished), of(events, AgentFailed)
    assert (finished.text, finished.call.attempts) == ("four", 2)
    assert "only thought and gave no answer" in failed.message
    assert len([request for request in provider.history if request.model == "n"]) == 2


def test_asking_again_with_more_room_stays_within_the_context(play, scripted):
    class Small(scripted):
        async def context(self, model, on_wait=None):
            return Context(500, True, lambda messages: 100, takes_effort=True)

    provider = Small({"m": ["<think>hm", "four"]})
    agent = Agent("s", "m", max_tokens=150, reasoning_effort="medium")

    last = play(MoAConfig(summarizer=agent), "hi", provider)[-1]

    assert last.answer == "four"
    assert [request.thinking_tokens for request in provider.history] == [250, 250]
    assert provider.history[1].reasoning_effort == "low"
    assert any("only thought; asked again with the effort low" in note for note in last.notes)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("tool_calls", "called a tool instead of answering"),
        ("content_filter", "content filter held the answer back"),
        ("stop", "the answer is empty"),
    ],
)
def test_an_empty_answer_says_why_as_far_as_the_server_told(play, scripted, reason, said):
    class Silent(scripted):
        async def stream(self, request):
            yield Delta(finish=Finish(reason))

    last = play(MoAConfig(summarizer=Agent("s", "m")), "hi", Silent({"m": ""}))[-1]

    assert said in last.message
