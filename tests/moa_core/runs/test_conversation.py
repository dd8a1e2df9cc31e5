"""A conversation over several turns."""

import pytest

from moa_core import ConfigError
from moa_core.runs.conversation import Conversation, Exchange

TALK = Conversation((Exchange("q1", "a1"), Exchange("q2\nline", "a2 **bold**", ("one was left out",), "m")))


def test_next_question_comes_after_questions_and_answers():
    assert [(m["role"], m["content"]) for m in TALK.ask("q3")] == [
        ("user", "q1"),
        ("assistant", "a1"),
        ("user", "q2\nline"),
        ("assistant", "a2 **bold**"),
        ("user", "q3"),
    ]


def test_answers_of_a_run_reach_the_next_run(play, moa, scripted):
    provider = scripted({"m": "helper", "sum": ["first answer", "second answer"]})
    talk = Conversation()
    for question in ("one", "two"):
        last = play(moa(["m"]), talk.ask(question), provider)[-1]
        talk = talk.add(Exchange(question, last.answer, last.notes))

    assert [turn.answer for turn in talk.turns] == ["first answer", "second answer"]
    contents = [message["content"] for message in provider.history[-1].messages[1:]]
    assert contents == ["one", "first answer", "two"]


def test_regenerate_asks_the_last_question_again():
    before, question = TALK.regenerate()

    assert (before.turns, question) == (TALK.turns[:1], "q2\nline")
    with pytest.raises(ConfigError, match="empty"):
        Conversation().regenerate()


def test_markdown_holds_every_text():
    assert TALK.to_markdown("Talk") == (
        "# Talk\n\n## 1\n\n> q1\n\na1\n\n"
        "## 2\n\n> q2\n> line\n\na2 **bold**\n\n*m*\n\n- Note: one was left out\n"
    )


def test_json_round_trips():
    assert Conversation.from_json(TALK.to_json()) == TALK
    assert Conversation.from_json(Conversation().to_json()) == Conversation()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("[]", "no conversation"),
        ('{"format": "moa-conversation", "version": 2}', "version 1"),
        ('{"format": "moa-conversation", "version": 1, "turns": [{"question": "q"}]}', r"turns\[0\]: needs"),
        ('{"format": "moa-conversation", "version": 1, "turns": [3]}', r"turns\[0\]: needs"),
        ('{"format": "moa-conversation", "version": 1, "turns": 3}', "turns: is int; expected a list"),
        (
            '{"format": "moa-conversation", "version": 1, "turns": '
            '[{"question": "q", "answer": "a", "notes": 3}]}',
            "its notes are no list",
        ),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_wrong_shape_is_refused(text, words):
    with pytest.raises(ConfigError, match=words):
        Conversation.from_json(text)
