"""Structured answers: the caller gets JSON that fits the schema, or a clear failure."""

import json

import pytest

from moa_core import Agent, AgentFailed, AgentFinished, MoAConfig
from moa_core.runs.field_by_field import assemble, questions_for, read_answer
from moa_core.runs.structured import parse_structured

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
        ('{"n": 1, "m": "\\ud83d"}', "half a character"),
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


@pytest.mark.timeout(20)  # a search that is not linear takes minutes
@pytest.mark.parametrize(
    "text",
    [
        *("```" + "\n" * 400_000, "```json\n" * 50_000, "``` \n" * 50_000),
        *("[" * 400_000, '{"a":' * 80_000, f"[{'{},' * 130_000}1]"),
    ],
    ids=["blank lines", "fences", "fences with blanks", "brackets", "objects", "a long list"],
)
def test_a_hostile_answer_is_searched_in_linear_time(text):
    assert parse_structured(text, SCHEMA)[0] is None


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" + "0" * 400, "1" * 5000])
@pytest.mark.parametrize("rule", [{"multipleOf": 0.1}, {"multipleOf": 3}, {"maximum": 5.5}, {}])
def test_a_number_beyond_all_bounds_is_a_fault_or_a_number(number, rule):
    value, said = parse_structured(f'{{"n": {number}}}', {"properties": {"n": {"type": "number", **rule}}})

    assert value is None or value == {"n": 10**400}
    assert (value is None) == (said is not None)


def test_a_fault_never_quotes_a_whole_answer():
    assert len(parse_structured(json.dumps(["x" * 100_000]), SCHEMA)[1]) < 600


def test_a_form_with_too_many_questions_is_not_asked():
    scores = {"type": "array", "minItems": 60, "items": {"type": "integer"}}

    assert len(questions_for({"type": "object", "properties": {"a": scores}})) == 60
    assert questions_for({"type": "object", "properties": {"a": scores, "b": scores}}) is None


def test_invalid_answer_is_asked_again_with_the_error(play, scripted):
    provider = scripted({"m": ['{"n": "x"}', '{"n": 3}'], "b": "b", "sum": "s"})

    events = play(ASK, "hi", provider)

    asked = [request for request in provider.history if request.model == "m"]
    assert len(asked) == 2
    assert asked[0].response_schema == SCHEMA
    assert json.dumps(SCHEMA) in asked[0].messages[0]["content"]
    assert asked[1].messages[-2] == {"role": "assistant", "content": '{"n": "x"}'}
    assert "'x' is not of type 'integer'" in asked[1].messages[-1]["content"]
    finished = next(e for e in events if isinstance(e, AgentFinished) and e.agent == "a")
    assert (finished.text, finished.call.attempts) == ('{"n": 3}', 2)
    assert any("no valid answer" in note for note in events[-1].notes)


def test_answer_that_never_fits_is_a_failure_and_not_handed_on(play, scripted):
    provider = scripted({"m": "nonsense", "b": "good", "sum": "done"})

    events = play(ASK, "hi", provider)

    (failed,) = [event for event in events if isinstance(event, AgentFailed)]
    assert failed.message.startswith(
        "no valid JSON after 2 attempts, nor field by field: n: found no value in"
    )
    assert "nonsense" not in provider.systems("sum")[0]
    assert events[-1].answer == "done"


def test_server_gets_the_schema_as_response_format(play, cloud, server):
    model = 'json:oops|{"n": 5}'
    config = MoAConfig(summarizer=Agent("s", model, response_schema=SCHEMA))

    assert play(config, "hi", cloud())[-1].answer == '{"n": 5}'
    first, second = server.requests(model)
    assert first["body"]["response_format"]["json_schema"]["schema"] == SCHEMA
    assert len(second["body"]["messages"]) == len(first["body"]["messages"]) + 2


VERDICT = {
    "type": "object",
    "properties": {
        "score": {"type": "integer", "minimum": 0, "maximum": 10, "description": "the score"},
        "critique": {"type": "string"},
    },
    "required": ["score", "critique"],
}


def test_model_that_writes_no_json_is_asked_field_by_field(play, scripted):
    says = ["bad", "worse", "I give it 12 of... no, 7.", "Too short."]
    provider = scripted({"m": says, "sum": "s"})
    agent = Agent("a", "m", "You judge.", max_tokens=99, response_schema=VERDICT)

    events = play(MoAConfig(layers=[[agent]], summarizer=Agent("s", "sum")), "the question", provider)

    (finished,) = [event for event in events if isinstance(event, AgentFinished)]
    assert json.loads(finished.text) == {"score": 7, "critique": "Too short."}
    third, fourth = [request for request in provider.history if request.model == "m"][2:]
    assert "the score. Answer with one number from 0 to 10" in third.messages[-1]["content"]
    assert third.messages[-1]["content"].startswith("the question")
    assert (third.max_tokens, fourth.max_tokens) == (24, 99)
    assert third.messages[0]["content"] == "You judge."
    assert third.response_schema is None
    assert any("field by field" in note for note in events[-1].notes)
    # One word is one token here: bad, worse, 7 words, 2 words.
    assert finished.call.completion_tokens == 11


def test_field_without_a_value_is_asked_once_more(play, scripted):
    provider = scripted({"m": ["bad", "worse", "hm", "8"], "b": "b", "sum": "s"})

    events = play(ASK, "hi", provider)

    assert next(e for e in events if isinstance(e, AgentFinished) and e.agent == "a").text == '{"n": 8}'


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "integer"}, "about 3.5 or 4", 4),
        ({"type": "number", "minimum": 0, "maximum": 10}, "-3, 11, 8/10", 8),
        ({"type": "number"}, "2.50", 2.5),
        ({"type": "number"}, "none", None),
        ({"type": "boolean"}, "No, yes", False),
        ({"type": "boolean"}, "know", None),
        ({"enum": ["left", "right"]}, "Right or left", "right"),
        ({"enum": ["left", "right"]}, "up", None),
        ({"type": "string"}, "  text ", "text"),
        ({"type": "string"}, "  ", None),
    ],
)
def test_field_is_read_generously(schema, text, value):
    (entry,) = questions_for({"type": "object", "properties": {"x": schema}})

    assert read_answer(entry, text) == value


def test_list_of_fixed_length_is_asked_for_one_by_one():
    items = {"type": "integer", "minimum": 0, "maximum": 10}
    scores = {"type": "array", "items": items, "minItems": 2, "maxItems": 2}
    form = questions_for({"type": "object", "properties": {"scores": scores}, "required": ["scores"]})

    assert ["number 1 of 2" in form[0].question, "number 2 of 2" in form[1].question] == [True, True]
    assert assemble(dict(zip(form, (3, 4), strict=True))) == {"scores": [3, 4]}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array"},
        {"type": "object"},
        {"type": "object", "properties": {"x": {"type": "object"}}},
        {"type": "object", "properties": {"x": {"type": "array", "items": {"type": "string"}}}},
        {"type": "object", "properties": {}, "required": ["x"]},
    ],
    ids=["list", "anything", "nested", "list of any length", "undescribed"],
)
def test_deep_schema_is_no_form(schema):
    assert questions_for(schema) is None


def test_deep_schema_fails_clearly(play, scripted):
    schema = {"type": "array", "items": {"type": "integer"}}
    agent = Agent("a", "m", response_schema=schema)

    last = play(MoAConfig(summarizer=agent), "hi", scripted({"m": "nonsense"}))[-1]

    assert last.message.startswith("no valid JSON after 2 attempts: ")
