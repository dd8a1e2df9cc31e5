"""What a run tells, in which order, and what it hands on; every case through `run` and `run_sync`."""

import asyncio
import threading
from dataclasses import replace

import pytest

from moa_core import (
    Agent,
    AgentFailed,
    AgentFinished,
    LayerFinished,
    LayerStarted,
    MoAConfig,
    RunFailed,
    RunFinished,
    RunStarted,
    SummaryDelta,
    run,
    run_sync,
)
from moa_core.errors import ConfigError, InvalidMessages, LayerFailed, ServerFailed


def kinds(events):
    return [type(event).__name__ for event in events]


def of(events, kind):
    return [event for event in events if isinstance(event, kind)]


def test_events_come_in_the_order_of_the_work(play, moa, scripted):
    events = play(moa(["m1"]), "hi", scripted({"m1": "one", "sum": "all of it"}))

    assert kinds(events) == [
        "RunStarted",
        "LayerStarted",
        "AgentStarted",
        "AgentDelta",
        "AgentFinished",
        "LayerFinished",
        "SummaryDelta",
        "SummaryDelta",
        "SummaryDelta",
        "RunFinished",
    ]
    assert events[-1].answer == "all of it"
    assert "".join(event.text for event in of(events, SummaryDelta)) == "all of it"


def test_next_layer_sees_numbered_answers_of_the_one_before_only(play, moa, scripted):
    provider = scripted({"m1": "one", "m2": "two", "m3": "three", "sum": "s"})

    play(moa(["m1", "m2"], ["m3"]), "hi", provider)

    assert provider.systems("m1") == [""]
    assert "1. one\n\n2. two" in provider.systems("m3")[0]
    assert "1. three" in provider.systems("sum")[0]
    assert "one" not in provider.systems("sum")[0]


def test_cycles_repeat_the_layers(play, moa, scripted):
    provider = scripted({"m1": ["first", "second", "third"], "sum": "s"})

    events = play(moa(["m1"], cycles=3), "hi", provider)

    assert [event.layer for event in of(events, LayerStarted)] == [1, 2, 3]
    assert events[0].n_layers == 3
    assert "second" in provider.systems("m1")[2]


def test_failing_agent_is_left_out_and_its_error_never_handed_on(play, moa, scripted):
    provider = scripted({"m1": ServerFailed("BOOM 500"), "m2": "good", "sum": "done"})

    events = play(moa(["m1", "m2"]), "hi", provider)

    (failed,) = of(events, AgentFailed)
    assert (failed.agent, failed.message) == ("a1", "BOOM 500")
    assert of(events, LayerFinished)[0].responses == ("good",)
    assert "BOOM" not in str([request.messages for request in provider.history])
    assert "1. good" in provider.systems("sum")[0]
    assert any("a1" in note and "BOOM 500" in note for note in events[-1].notes)


def test_whole_layer_failing_stops_the_run_with_every_reason(play, moa, scripted):
    provider = scripted({"m1": ServerFailed("down"), "m2": ServerFailed("out"), "m3": "x", "sum": "s"})

    events = play(moa(["m1", "m2"], ["m3"]), "hi", provider)

    assert isinstance(events[-1], RunFailed)
    assert isinstance(events[-1].error, LayerFailed)
    assert events[-1].reasons == {"a1": "down", "a2": "out"}
    assert provider.systems("m3") == provider.systems("sum") == []


def test_failing_summarizer_leaves_the_agents_own_answers_and_a_note(play, moa, scripted):
    provider = scripted({"m1": "one", "m2": "two", "sum": ServerFailed("broken")})

    last = play(moa(["m1", "m2"]), "hi", provider)[-1]

    assert last.answer == "1. one\n\n2. two"
    assert any("summarizer" in note and "broken" in note for note in last.notes)


def test_failing_summarizer_without_agents_fails_the_run(play, moa, scripted):
    last = play(moa(), "hi", scripted({"sum": ServerFailed("broken")}))[-1]

    assert isinstance(last, RunFailed)
    assert last.message == "broken"


@pytest.mark.parametrize("text", ["", "   ", "\n\n"], ids=["nothing", "spaces", "lines"])
def test_empty_answer_counts_as_a_failure(play, moa, scripted, text):
    events = play(moa(["m1", "m2"]), "hi", scripted({"m1": text, "m2": "good", "sum": "done"}))

    assert [event.agent for event in of(events, AgentFailed)] == ["a1"]
    assert events[-1].answer == "done"


def test_defect_in_a_provider_fails_one_agent_and_is_logged(play, moa, scripted, caplog):
    events = play(moa(["m1", "m2"]), "hi", scripted({"m1": KeyError("bug"), "m2": "good", "sum": "done"}))

    assert of(events, AgentFailed)[0].message == "unexpected KeyError; the log has the details"
    assert events[-1].answer == "done"
    assert "bug" in caplog.text


def test_braces_and_placeholders_in_texts_stay_as_they_are(play, scripted):
    tricky = "a {b} {{c}} {helper_response} {0} {responses} $x %s"
    provider = scripted({"m1": f"says {tricky}", "sum": "s"})
    config = MoAConfig(
        layers=[[Agent("a", "m1", 'json: {"k": {}} {unknown}')]],
        summarizer=Agent("sum", "sum", "Use [{helper_response}] and {this}."),
    )

    play(config, tricky, provider)

    assert provider.systems("m1") == ['json: {"k": {}} {unknown}']
    assert provider.systems("sum") == [f"Use [1. says {tricky}] and {{this}}."]
    assert all(request.messages[-1]["content"] == tricky for request in provider.history)


def test_no_agents_means_no_layers(play, moa, scripted):
    provider = scripted({"sum": "alone"})

    events = play(moa(), "hi", provider)

    assert of(events, LayerStarted) == []
    assert len(provider.history) == 1
    assert events[-1].answer == "alone"


def test_agents_of_a_layer_run_at_once(play, moa, scripted):
    provider = scripted({"m": "word " * 20, "sum": "s"})

    play(moa(["m"] * 5, ["m"] * 5), "hi", provider)

    assert provider.most_running == 5


def test_two_agents_of_one_name_both_answer(play, scripted):
    config = MoAConfig(layers=[[Agent("twin", "m1"), Agent("twin", "m2")]], summarizer=Agent("s", "sum"))

    events = play(config, "hi", scripted({"m1": "one", "m2": "two", "sum": "s"}))

    assert {event.agent for event in of(events, AgentFinished)} == {"twin", "twin (2)"}
    assert any("twin (2)" in note for note in of(events, RunStarted)[0].notes)


def test_history_reaches_every_call(play, moa, scripted):
    provider = scripted({"m1": "one", "sum": "s"})
    messages = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "answer"},
        {"role": "user", "content": "second"},
    ]

    play(moa(["m1"]), messages, provider)

    assert list(provider.history[0].messages) == messages
    assert list(provider.history[1].messages[1:]) == messages


def test_system_message_of_the_conversation_joins_the_prompt(play, scripted):
    provider = scripted({"sum": "s"})
    config = MoAConfig(summarizer=Agent("s", "sum", "Be brief."))

    play(config, [{"role": "system", "content": "Speak Latin."}, {"role": "user", "content": "hi"}], provider)

    assert provider.systems("sum") == ["Be brief.\n\nSpeak Latin."]


def test_agent_that_names_its_provider_goes_there(play, scripted):
    here, there = scripted({"m": "here", "sum": "s"}, "here"), scripted({"m": "there"}, "there")
    config = MoAConfig(layers=[[Agent("a", "m", provider="there")]], summarizer=Agent("s", "sum"))

    events = play(config, "hi", [here, there])

    assert of(events, AgentFinished)[0].text == "there"
    assert [request.model for request in here.history] == ["sum"]


def test_first_provider_that_lists_the_model_serves_it(play, moa, scripted):
    first, second = scripted({"m1": "first", "sum": "s"}, "p1"), scripted({"m1": "x", "m2": "second"}, "p2")

    events = play(moa(["m1", "m2"]), "hi", [first, second])

    assert [event.text for event in of(events, AgentFinished)] == ["first", "second"]


def test_unlisted_model_goes_to_the_only_provider(play, moa, scripted):
    provider = scripted({"m1": "one", "sum": "s"})
    provider.models = None  # never asked

    assert play(moa(["m1"]), "hi", provider)[-1].answer == "s"


def test_model_that_nobody_lists_among_several_says_what_there_is(play, moa, scripted):
    providers = [scripted({"m1": "x", "sum": "s"}, "p1"), scripted({"m3": "x"}, "p2")]

    (failed,) = of(play(moa(["m1", "nowhere"]), "hi", providers), AgentFailed)

    assert "nobody serves 'nowhere'" in failed.message
    assert "p1 lists m1, sum" in failed.message
    assert "p2 lists m3" in failed.message


def test_unknown_provider_name_says_which_there_are(play, scripted):
    config = MoAConfig(summarizer=Agent("s", "sum", provider="mars"))

    last = play(config, "hi", scripted({"sum": "x"}, "earth"))[-1]

    assert last.message == "there is no provider called 'mars'; there are: earth"


def test_seeded_run_gives_every_call_its_own_fixed_seed(play, moa, scripted):
    def seeds(seed):
        provider = scripted({"m": "x", "sum": "s"})
        play(moa(["m", "m"], ["m"], seed=seed), "hi", provider)
        return sorted(request.seed for request in provider.history)

    assert seeds(7) == seeds(7)
    assert len(set(seeds(7))) == 4
    assert seeds(7) != seeds(8)


def test_agents_own_seed_goes_before_the_runs(play, moa, scripted):
    provider = scripted({"sum": "s"})
    config = moa(seed=7)

    play(replace(config, summarizer=replace(config.summarizer, seed=3)), "hi", provider)

    assert provider.history[0].seed == 3


def test_reference_prompt_wraps_the_responses(play, scripted):
    provider = scripted({"m": "one", "sum": "s"})
    config = MoAConfig(
        layers=[[Agent("a", "m")]],
        summarizer=Agent("s", "sum", "P {helper_response}"),
        reference_prompt="Given {responses}!",
    )

    play(config, "hi", provider)

    assert provider.systems("sum") == ["P Given 1. one!"]


@pytest.mark.parametrize(
    "messages",
    [
        [],
        "",
        "  ",
        [{"role": "assistant", "content": "x"}],
        [{"role": "user"}],
        [{"role": "x", "content": "y"}],
    ],
    ids=["none", "empty", "blank", "ends with assistant", "no content", "unknown role"],
)
def test_conversation_without_a_question_is_refused(play, moa, scripted, messages):
    with pytest.raises(InvalidMessages):
        play(moa(), messages, scripted({"sum": "s"}))


def test_stream_that_just_ends_is_no_answer(play, moa, scripted):
    class Ending(scripted):
        async def stream(self, request):
            async for delta in super().stream(request):
                if request.model == "sum" or delta.finish is None:
                    yield delta

    events = play(moa(["m1"]), "hi", Ending({"m1": "half an answer", "sum": "s"}))

    (failed,) = of(events, AgentFailed)
    assert "incomplete" in failed.message
    assert failed.partial == "half an answer"
    assert isinstance(events[-1], RunFailed)


def test_no_provider_is_refused(play, moa):
    with pytest.raises(ConfigError, match="no provider"):
        play(moa(), "hi", [])


def test_unknown_strategy_is_refused_with_the_known_ones(play, moa, scripted):
    with pytest.raises(ConfigError, match=r"no strategy 'magic'; there are: best-of-n, layered"):
        play(moa(strategy="magic"), "hi", scripted({"sum": "s"}))


async def test_closing_run_early_cancels_every_call_and_leaves_no_task(moa, scripted):
    provider = scripted({"m": "x", "sum": "s"})
    provider.gate = asyncio.Event()
    before = asyncio.all_tasks()
    events = run(moa(["m"] * 4), "hi", provider)
    while provider.running < 4:
        await anext(events) if provider.running == 0 else await asyncio.sleep(0)

    await events.aclose()

    assert provider.running == 0
    assert asyncio.all_tasks() == before


async def test_leaving_the_loop_early_leaves_no_task(moa, scripted):
    provider = scripted({"m": "x", "sum": "s"})
    provider.gate = asyncio.Event()
    before = asyncio.all_tasks()
    async for _ in run(moa(["m"] * 3), "hi", provider):
        if provider.running:
            break

    for _ in range(100):
        await asyncio.sleep(0)
    assert provider.running == 0
    assert asyncio.all_tasks() == before


async def test_cancelling_the_consumer_cancels_every_call(moa, scripted):
    provider = scripted({"m": "x", "sum": "s"})
    provider.gate = asyncio.Event()

    async def consume():
        async for _ in run(moa(["m"] * 3), "hi", provider):
            pass

    before = asyncio.all_tasks()
    task = asyncio.create_task(consume())
    while provider.running < 3:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert provider.running == 0
    assert asyncio.all_tasks() == before


def test_closing_run_sync_early_cancels_every_call_and_ends_its_thread(moa, scripted):
    provider = scripted({"m": "word " * 100_000, "sum": "s"})
    events = run_sync(moa(["m"] * 3), "hi", provider)
    for event in events:
        if isinstance(event, AgentFinished | RunFinished):
            pytest.fail("the run ended before it was closed")
        if provider.running == 3:
            break

    events.close()

    assert provider.running == 0
    assert provider.finished == 0
    assert "moa-run" not in [thread.name for thread in threading.enumerate()]


def test_run_sync_works_inside_a_running_loop(moa, scripted):
    async def notebook_cell():
        return list(run_sync(moa(["m"]), "hi", scripted({"m": "x", "sum": "s"})))[-1].answer

    assert asyncio.run(notebook_cell()) == "s"


def test_two_runs_share_a_provider_at_the_same_time(moa, scripted):
    provider = scripted({"m": "x", "sum": "s"})
    both = zip(run_sync(moa(["m"]), "a", provider), run_sync(moa(["m"]), "b", provider), strict=True)

    assert [event.answer for event in list(both)[-1]] == ["s", "s"]
