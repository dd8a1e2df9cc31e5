"""Schemas from a stranger's file: what is dangerous, endless or unknown is refused when it is imported."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moa_core import Agent, ConfigError, MoAConfig
from moa_core.config.formats import config_schema
from moa_core.config.response_schema import KEYWORDS, MAX_COUNT, check_response_schema
from moa_core.config.sampling import Sampling
from moa_core.config.shortest_answer import shortest_answer
from moa_core.config.values import Layer
from moa_core.runs.plan import plan_sync
from moa_core.runs.structured import parse_structured

DEEP: dict = {"type": "string"}
for _ in range(20):
    DEEP = {"type": "array", "items": DEEP}


def _object(**properties):
    return {"type": "object", "properties": properties, "required": list(properties)}


TOWER: dict = {"type": "null"}
for _ in range(4):
    TOWER = {"type": "array", "minItems": 64, "items": TOWER}
DOUBLING: dict = {"$ref": "#/$defs/a0", "$defs": {"a100": {}}}
for step in range(100):
    following = {"$ref": f"#/$defs/a{step + 1}"}
    DOUBLING["$defs"][f"a{step}"] = _object(x=following, y=following)

REFUSED = {
    "a million items": ({"type": "array", "minItems": 2_000_000}, "minItems is 2000000; allowed"),
    "a negative count": ({"minLength": -1}, "minLength is -1"),
    "half an item": ({"minItems": 1.5}, "minItems is 1.5"),
    "a list of properties": ({"type": "object", "properties": [1]}, "properties is [1]"),
    "a property that is a number": ({"properties": {"a": 1}}, "properties.a: is 1"),
    "an unknown type": ({"type": "colour"}, "type is 'colour'"),
    "a reference to a server": ({"$ref": "http://127.0.0.1:1/x"}, "only references inside"),
    "a reference to a file": ({"items": {"$ref": "file:///etc/passwd"}}, "items: $ref is 'file"),
    "a reference to nothing": ({"$ref": "#/$defs/a"}, "which is not there"),
    "a reference to a default": (
        {"items": {"$ref": "#/default"}, "default": {"pattern": "(a+)+$"}},
        "items: $ref is '#/default', which is not there, or is no schema",
    ),
    "a reference to a choice": ({"items": {"$ref": "#/const"}, "const": {"type": "colour"}}, "is no schema"),
    "a reference with an escape": (
        {
            "items": {"$ref": "#/properties/a%2Fdefault"},
            "properties": {"a%2Fdefault": {}, "a": {"default": {"pattern": "(a+)+$"}}},
        },
        "a%2Fdefault', which is not there",
    ),
    "a reference to a reference to a default": (
        {"items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"$ref": "#/$defs/a/default", "default": {}}}},
        "is no schema",
    ),
    "a reference to itself": ({"$ref": "#"}, "circle"),
    "a circle of references": (
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        "circle",
    ),
    "a regular expression": ({"type": "string", "pattern": "(a+)+$"}, "'pattern' is not supported"),
    "another keyword": ({"uniqueItems": True}, "'uniqueItems' is not supported"),
    "too deep": (DEEP, "too large"),
    "too many": ({"properties": {f"p{n}": {} for n in range(600)}}, "too large"),
    "too much text": ({"enum": ["x" * 30_000]}, "too large"),
    "a huge number": ({"minimum": 1e300}, "minimum is 1e+300"),
    "an empty choice": ({"enum": []}, "enum is []"),
    "no schema": ([], "is []"),
    "a value without end": (
        {"$ref": "#/$defs/a", "$defs": {"a": _object(next={"$ref": "#/$defs/a"})}},
        "needs another one inside",
    ),
    "two that need each other": (
        {
            "anyOf": [{"$ref": "#/$defs/a"}],
            "$defs": {
                "a": _object(b={"$ref": "#/$defs/b"}),
                "b": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/a"}},
            },
        },
        "needs another one inside",
    ),
    "a circle through a choice": (
        {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}},
        "needs another one inside",
    ),
    "what it forbids": ({"type": "object", "required": ["a"], "additionalProperties": False}, "forbids"),
    "a tower of lists": (TOWER, "more than 200,000 characters"),
    "what doubles at each step": (DOUBLING, "more than 200,000 characters"),
}


@pytest.mark.parametrize(("schema", "said"), REFUSED.values(), ids=REFUSED)
def test_a_dangerous_schema_is_refused_at_import(schema, said):
    agent = {"name": "judge", "response_schema": schema}
    data = {"format": "moa-config", "version": 1, "summarizer": agent}

    with pytest.raises(ConfigError) as caught:
        MoAConfig.from_json(json.dumps(data))
    assert said in str(caught.value) or "is not of type" in str(caught.value)
    with pytest.raises(ConfigError, match="judge"):
        Agent("judge", response_schema=schema)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({}, "0"),
        ({"type": ["string", "null"], "minLength": 3}, "null"),
        ({"enum": ["red", 10, [1]]}, "10"),
        ({"const": {"a": "é"}}, '{"a": "\\u00e9"}'),
        (_object(a={"type": "boolean"}, b=_object(c={})), '{"a": true, "b": {"c": 0}}'),
        ({"type": "object", "required": ["x"], "additionalProperties": {"type": "string"}}, '{"x": ""}'),
        ({"type": "array", "minItems": 2, "items": {"type": "array"}}, "[[], []]"),
        ({"anyOf": [{"type": "string", "minLength": 9}, {"type": "boolean"}]}, "true"),
        ({"allOf": [_object(a={}), {"type": "object"}]}, '{"a": 0}'),
        ({"$defs": {"n": _object(next={"anyOf": [{"$ref": "#/$defs/n"}, {"type": "null"}]})},
          "$ref": "#/$defs/n"}, '{"next": null}'),
        ({"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/a~1b"},
          "$defs": {"a/b": {"$ref": "#/$defs/c"}, "c": {"const": 7}}}, "[7]"),
    ],
)  # fmt: skip
def test_the_shortest_answer_is_found_through_choices_and_references(schema, text):
    check_response_schema(schema, "here")

    assert shortest_answer(schema).text() == text
    assert parse_structured(text, schema)[1] is None


def test_a_recursive_schema_is_allowed_and_checks_answers():
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "additionalProperties": False}
    schema = {"$ref": "#/$defs/node", "$defs": {"node": node}}
    check_response_schema(schema, "here")

    assert parse_structured('{"next": {"next": {}}}', schema) == ({"next": {"next": {}}}, None)
    assert "unexpected" in parse_structured('{"next": {"last": 1}}', schema)[1]


def test_a_reference_is_never_retrieved(server):
    schema = {"$ref": f"{server.address}/history"}

    value, said = parse_structured('{"a": 1}', schema)

    assert value is None
    assert "not in it" in said
    assert server.history()["connections"] == 1  # this very question


BRANCHING = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(100)}
BRANCHING["a100"] = {}
BY_ITEMS = {"a": {"allOf": [{"items": {"$ref": "#/$defs/a"}}] * 2}}


@pytest.mark.parametrize(
    ("definitions", "first", "answer"),
    [(BRANCHING, "a0", "1"), (BY_ITEMS, "a", "[" * 60 + "]" * 60)],
    ids=["at one place", "deeper each time"],
)
def test_references_that_double_are_not_followed_for_ever(definitions, first, answer):
    """Each step asks for two more: 2**100 and 2**60 in all."""
    schema = {"$ref": f"#/$defs/{first}", "$defs": definitions}
    check_response_schema(schema, "here")

    value, said = parse_structured(answer, schema)

    assert value is None
    assert "more references" in said


def test_a_long_list_of_references_is_checked():
    schema = {"type": "array", "items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"type": "integer"}}}
    numbers = list(range(5_000))

    assert parse_structured(json.dumps(numbers), schema) == (numbers, None)


def test_properties_that_take_anything_or_nothing_are_planned_for():
    schema = {"type": "object", "properties": {"a": True, "b": False, "c": {"items": True, "minItems": 2}}}
    agent = Agent("a", "m", response_schema=schema)
    config = MoAConfig(layers=(Layer((agent,)),), summarizer=agent)

    assert len(plan_sync(config, "hi", _Nobody()).calls) == 2


@settings(deadline=None)
@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from([*KEYWORDS, "pattern"]) | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
))  # fmt: skip
def test_any_value_is_a_schema_or_a_clear_refusal(value):
    """What passes can be planned for and checked against without another error."""
    try:
        agent = Agent("a", "m", response_schema=value)
    except ConfigError:
        return
    plan_sync(MoAConfig(layers=(Layer((agent,)),), summarizer=agent), "hi", _Nobody())
    parse_structured("{}", value or {})


def test_the_largest_list_allowed_is_planned_for():
    item = {"type": "array", "minItems": MAX_COUNT, "items": {"type": "number"}}
    agent = Agent("a", "m", response_schema={"type": "object", "properties": {"x": item}})
    config = MoAConfig(layers=(Layer((agent,)),), summarizer=agent)

    assert len(plan_sync(config, "hi", _Nobody()).calls) == 2


def test_the_published_schema_has_every_sampling_setting_as_it_is_checked():
    published = config_schema()["$defs"]["agent"]["properties"]

    for name, item in Sampling.__dataclass_fields__.items():
        assert {**published[name], **item.metadata["schema"]} == published[name]


class _Nobody:
    name = "nobody"

    async def models(self):
        return []

    async def stream(self, request):
        raise AssertionError("a plan asks nobody")
        yield
