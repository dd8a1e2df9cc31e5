"""Structured answers: the caller gets JSON that fits the schema, or a clear failure."""

import json

import pytest

from moa_core import Agent, AgentFailed, AgentFinished, MoAConfig
from moa_core.structured import parse_structured

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
ASK = MoAConfig(
    layers=[[Agent("a", "m", response_schema=SCHEMA), Agent("b", "b")]], summarizer=Agent("s", "sum")
)


@pytest.mark.parametrize(
    "text",
    [
        '{"n": 3}',
        '  \n{"n": 3}\n',
        'Sure!\n```json\n{"n": 3}\n```\nDone.',
        '```\n{"n": 3}\n```',
        'The answer {curly} is {"n": 3}, I think.',
        'First {"m": 1}, then {"n": 3}.',
    ],
)
def test_json_is_found_in_what_models_write(text):
    assert parse_structured(text, SCHEMA) == ({"n": 3}, None)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("no", "not valid JSON"),
        ('{"n": 3', "not valid JSON"),
        ('{"n": "x"}', "$.n: 'x' is not of type 'integer'"),
        ("{}", "'n' is a required property"),
        ('{"n": NaN}', "NaN is no JSON number"),
        ("[1]", "[1] is not of type 'object'"),
    ],
)
def test_fault_is_named_in_words_a_model_can_act_on(text, fault):
    value, said = parse_structured(text, SCHEMA)

    assert value is None
    assert fault in said


def test_invalid_answer_is_asked_again_with_the_error(play, scripted):
    provider = scripted({"m": ["nonsense", '{"n": "x"}', '{"n": 3}'], "b": "b", "sum": "s"})

    events = play(ASK, "hi", provider)

    asked = [request for request in provider.history if request.model == "m"]
    assert len(asked) == 3
    assert asked[0].response_schema == SCHEMA
    assert json.dumps(SCHEMA) in asked[0].messages[0]["content"]
    assert asked[1].messages[-2] == {"role": "assistant", "content": "nonsense"}
    assert "'x' is not of type 'integer'" in asked[2].messages[-1]["content"]
    finished = next(e for e in events if isinstance(e, AgentFinished) and e.agent == "a")
    assert (finished.text, finished.call.attempts) == ('{"n": 3}', 3)
    assert any("no valid answer" in note for note in events[-1].notes)


def test_answer_that_never_fits_is_a_failure_and_not_handed_on(play, scripted):
    provider = scripted({"m": "nonsense", "b": "good", "sum": "done"})

    events = play(ASK, "hi", provider)

    (failed,) = [event for event in events if isinstance(event, AgentFailed)]
    assert failed.message.startswith("no valid JSON after 3 attempts")
    assert "nonsense" not in provider.systems("sum")[0]
    assert events[-1].answer == "done"


def test_server_gets_the_schema_as_response_format(play, cloud, server):
    model = 'json:oops|{"n": 5}'
    config = MoAConfig(summarizer=Agent("s", model, response_schema=SCHEMA))

    assert play(config, "hi", cloud())[-1].answer == '{"n": 5}'
    first, second = server.requests(model)
    assert first["body"]["response_format"]["json_schema"]["schema"] == SCHEMA
    assert len(second["body"]["messages"]) == len(first["body"]["messages"]) + 2
