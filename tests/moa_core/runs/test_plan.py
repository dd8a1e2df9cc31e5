"""What a run will need is known before it: the table, the refusal, the oldest turns, the fair trimming."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moa_core import Agent, MoAConfig, RunFailed, RunFinished, run
from moa_core.errors import ModelNotFound, RequestRefused, RunRefused
from moa_core.providers import Context
from moa_core.providers.base import estimate_tokens
from moa_core.runs.budget import CUT_MARK, count_text, cut_text, fair_limit
from moa_core.runs.plan import plan, split_turns


def count_words(messages):
    """One token per word and two around each message: easy to count by hand."""
    return sum(len(message["content"].split()) + 2 for message in messages)


@pytest.fixture
def sized(scripted):
    """Makes scripted providers whose models have a context."""

    class Sized(scripted):
        def __init__(self, answers, n_ctx):
            super().__init__(answers)
            self.n_ctx = n_ctx
            self.asked = []

        async def context(self, model, on_wait=None):
            self.asked.append(model)
            if model == "gone":
                raise ModelNotFound("gone is not here")
            return Context(self.n_ctx, True, count_words)

    return Sized


def agents(*models, max_tokens=10, prompt="You are good."):
    return tuple(Agent(f"a{i}", model, prompt, max_tokens=max_tokens) for i, model in enumerate(models, 1))


def config(**settings):
    layers = (agents("m1", "m2"), agents("m1", "m2"))
    return MoAConfig(
        layers, Agent("Summarizer", "sum", "Merge. {helper_response}", max_tokens=20), **settings
    )


async def test_table_says_what_every_call_receives_at_most(sized):
    made = await plan(config(), "one two three", sized({"m1": "", "m2": "", "sum": ""}, 1000))

    first, _, third, _, last = made.calls
    # 3 words of prompt and 3 of question, 2 around each message.
    assert (first.prompt_tokens, first.helper_tokens, first.total_tokens) == (10, 0, 20)
    # The same, the introduction of 8 words, the numbers 1. and 2., and two answers of at most 10.
    assert (third.prompt_tokens, third.helper_tokens, third.total_tokens) == (20, 20, 50)
    assert (last.role, last.helper_tokens, last.max_tokens) == ("summarizer", 20, 20)
    assert all(call.fits is True and call.is_exact for call in made.calls)
    frame = made.to_dataframe()
    assert list(frame["total_tokens"]) == [call.total_tokens for call in made.calls]
    assert list(frame["layer"]) == [1, 1, 2, 2, 3]


async def test_unknown_context_neither_fits_nor_is_refused(scripted):
    made = await plan(config(), "hi", scripted({"m1": "", "m2": "", "sum": ""}))

    assert {call.fits for call in made.calls} == {None}
    assert made.fits is True
    assert not any(call.is_exact for call in made.calls)
    made.check()


async def test_estimate_is_stated_for_models_elsewhere(cloud):
    config_ = MoAConfig(summarizer=Agent("s", "echo", max_tokens=100))

    (call,) = (await plan(config_, "x" * 300, cloud())).calls

    assert (call.n_ctx, call.is_exact, call.provider) == (4096, False, "server")
    assert call.prompt_tokens == estimate_tokens([{"role": "user", "content": "x" * 300}]) == 108


def test_run_that_cannot_fit_is_refused_before_the_first_call(play, sized):
    provider = sized({"m1": "x", "m2": "x", "sum": "s"}, 45)

    events = play(config(cycles=2), "one two three", provider)

    assert isinstance(events[-1], RunFailed)
    assert provider.history == []
    error = events[-1].error
    assert isinstance(error, RunRefused)
    assert (error.call, error.needed_tokens, error.n_ctx) == ("a1 in layer 2", 50, 45)
    remedies = (
        "fewer agents",
        "fewer cycles",
        "smaller max_tokens",
        "allowing helper responses to be trimmed",
    )
    assert all(remedy in events[-1].message for remedy in remedies)


def test_model_that_is_not_there_fails_its_call_and_not_the_plan(play, sized):
    provider = sized({"gone": ModelNotFound("gone is not here"), "m2": "x", "sum": "s"}, 5000)

    last = play(MoAConfig((agents("gone", "m2"),), Agent("s", "sum")), "hi", provider)[-1]

    assert isinstance(last, RunFinished)
    assert last.answer == "s"


def test_every_model_is_asked_for_its_context_once(play, sized):
    provider = sized({"m1": "x", "m2": "x", "sum": "s"}, 1000)

    play(config(trim_helpers=True), "hi", provider)

    assert provider.asked == ["m1", "m2", "sum"]


def conversation(turns):
    said = []
    for number in range(turns):
        said.append({"role": "user", "content": f"q{number} " * 5})
        said.append({"role": "assistant", "content": f"a{number} " * 5})
    return [*said, {"role": "user", "content": "last question"}]


def test_oldest_turns_are_left_out_until_it_fits(play, sized):
    provider = sized({"sum": "s"}, 60)
    alone = MoAConfig(summarizer=Agent("s", "sum", max_tokens=20))

    # A turn takes 14, the question 4, the answer 20: two turns fit into 60, three take 66.
    last = play(alone, conversation(5), provider)[-1]

    sent = [message["content"].split()[0] for message in provider.history[0].messages]
    assert sent == ["q3", "a3", "q4", "a4", "last"]
    assert "The oldest 3 turns were left out" in last.notes[0]


def test_question_alone_that_does_not_fit_is_refused(play, sized):
    alone = MoAConfig(summarizer=Agent("s", "sum", max_tokens=58))

    last = play(alone, conversation(5), sized({"sum": "s"}, 60))[-1]

    assert isinstance(last, RunFailed)
    assert "the summarizer may receive up to" in last.message


def test_turns_begin_with_the_user_and_keep_the_system_message_last():
    messages = [{"role": "system", "content": "s"}, *conversation(1)]

    turns = split_turns(messages)

    assert [[message["role"] for message in turn] for turn in turns] == [
        ["user", "assistant"],
        ["system", "user"],
    ]


def test_helper_responses_are_cut_longest_first_when_allowed(play, sized):
    provider = sized({"m1": "long " * 120, "m2": "short text", "sum": "s"}, 200)
    summarizer = Agent("s", "sum", "Merge. {helper_response}", max_tokens=100)
    trimmed = MoAConfig((agents("m1", "m2", max_tokens=150),), summarizer, trim_helpers=True)

    last = play(trimmed, "hi", provider)[-1]

    assert "2. short text" in provider.systems("sum")[0]
    assert CUT_MARK in provider.systems("sum")[0]
    # 200 - 100 for the answer - 8 for prompt, numbers and question = 92; 2 of them for the short one.
    note = "helper response 1 was cut from 120 to 90 tokens to fit"
    assert last.trace.calls[-1].notes == (note,)
    assert any(note in said for said in last.notes)
    assert count_words(provider.history[-1].messages) + 100 == 200


def test_helper_responses_are_never_cut_unless_allowed(play, sized):
    provider = sized({"m1": "long " * 40, "m2": "short", "sum": "s"}, 100)
    layer = agents("m1", "m2", max_tokens=50)

    last = play(MoAConfig((layer,), Agent("s", "sum", max_tokens=70)), "hi", provider)[-1]

    assert isinstance(last, RunFailed)
    assert "earlier answers up to 100" in last.message


@pytest.mark.parametrize(
    ("sizes", "room", "limit"),
    [
        ([5, 5], 10, None),
        ([], 0, None),
        ([10, 2], 6, 4),
        ([10, 10, 10], 9, 3),
        ([1, 8, 9], 11, 5),
        ([3, 3], 0, 0),
    ],
)
def test_fair_limit(sizes, room, limit):
    assert fair_limit(sizes, room) == limit


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 50), max_size=8), st.integers(0, 200))
def test_fair_limit_is_the_largest_that_fits(sizes, room):
    limit = fair_limit(sizes, room)

    if limit is None:
        assert sum(sizes) <= room
    else:
        assert sum(min(size, limit) for size in sizes) <= room
        assert sum(min(size, limit + 1) for size in sizes) > room


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.text("ab c", max_size=40), st.integers(0, 12))
def test_cut_text_is_the_longest_beginning_that_fits(text, limit):
    cut = cut_text(count_words, text, limit)

    assert count_text(count_words, cut) <= max(limit, 0)
    assert cut == "" or text.startswith(cut.removesuffix(CUT_MARK))


async def test_plan_of_best_of_n_has_the_judge(sized):
    made = await plan(
        replace(config(), strategy="best-of-n"), "hi", sized({"m1": "", "m2": "", "sum": ""}, 10_000)
    )

    assert [call.role for call in made.calls] == ["sampler"] * 4 + ["judge"]
    assert made.calls[-1].helper_tokens == 40


async def test_plan_follows_the_strategy(sized):
    provider = sized({"m1": "", "m2": "", "sum": ""}, 100_000)
    refined = replace(config(), strategy="propose-critique-refine")

    made = await plan(refined, "hi", provider)

    assert len(made.calls) == 33
    assert [call.role for call in made.calls].count("critic") == 16
    critic = next(call for call in made.calls if call.role == "critic")
    assert critic.helper_tokens == 10
    assert made.calls[-1].helper_tokens == 20


async def test_a_strangers_schema_of_lists_in_lists_is_planned_at_once(sized):
    schema = {"type": "object", "properties": {"anything": True}}
    for _ in range(8):  # each needs 64 of what is inside: 3e14 values in all
        schema = {"type": "array", "minItems": 64, "items": schema}
    agent = Agent("a", "m", response_schema={"type": "object", "properties": {"not needed": schema}})

    made = await plan(MoAConfig(layers=[[agent]], summarizer=agent), "hi", sized({"m": ""}, 4000))

    assert [call.max_tokens for call in made.calls] == [1024, 1024]


async def test_a_schema_that_a_model_cannot_be_held_to_stops_the_run_before_its_first_call(sized):
    def refuse(schema):
        raise RequestRefused(f"m: {schema['format']!r} is no format", 400)

    class Held(sized):
        async def context(self, model, on_wait=None):
            return replace(await super().context(model), check_schema=refuse)

    provider = Held({"m": "x"}, 4000)
    judge = Agent("judge", "m", response_schema={"type": "string", "format": "colour"})
    events = [event async for event in run(MoAConfig(layers=[[judge]]), "hi", provider)]

    assert isinstance(events[-1], RunFailed)
    assert events[-1].message == "agent 'judge', m: 'colour' is no format"
    assert provider.history == []
