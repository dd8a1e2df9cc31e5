"""Configurations that people already have: three families, their aliases, and what is wrong with others."""

import json

import pytest

from moa_core import ConfigError, MoAConfig

FAMILY_A = {
    "exported_at": "2025-06-01T10:00:00",
    "version": "1.0",
    "description": "my team",
    "ai_configuration": {
        "main_model": "llama-3.3-70b",
        "main_temperature": 0.1,
        "cycles": 3,
        "system_prompt": "Merge: {helper_response}",
        "layer_agents": [
            {"name": "Planner", "model": "llama3.1-8b", "temperature": 0.3, "prompt": "Plan {x}."},
            {"name": "Coder", "model": "qwen-3-32b", "temperature": 0, "prompt": "Code. {helper_response}"},
        ],
    },
}
FAMILY_B = {
    "main_model": "llama-3.3-70b",
    "temperature": 0.1,
    "cycles": 2,
    "system_prompt": "Merge: {helper_response}",
    "max_tokens": 2048,
    "layer_agent_config": {
        "first": {
            "system_prompt": "Think. {helper_response}",
            "model_name": "llama3.1-8b",
            "temperature": 0.3,
            "max_tokens": 512,
        },
        "second": {"system_prompt": "Check.", "model_name": "qwen-3-32b"},
    },
}
FAMILY_C = {
    "main_config": {
        "main_model": "llama-3.3-70b",
        "cycles": 1,
        "system_prompt": "Be good. {helper_response}",
        "reference_system_prompt": "Others said:\n{responses}\nEnd.",
    },
    "layer_config": {},
    "deterministic_settings": {"temperature": 0.0, "top_p": 0.9, "seed": 42, "frequency_penalty": 0.5},
}


def read(data):
    return MoAConfig.from_json(json.dumps(data))


def shape(config):
    return [[(a.name, a.model, a.temperature, a.prompt) for a in layer.agents] for layer in config.layers]


@pytest.mark.parametrize("is_wrapped", [True, False], ids=["wrapped", "inner object alone"])
def test_family_a(is_wrapped):
    config = read(FAMILY_A if is_wrapped else FAMILY_A["ai_configuration"])

    assert shape(config) == [
        [
            ("Planner", "llama3.1-8b", 0.3, "Plan {x}."),
            ("Coder", "qwen-3-32b", 0.0, "Code. {helper_response}"),
        ]
    ]
    assert config.cycles == 3
    main = config.summarizer
    assert (main.model, main.temperature, main.prompt) == ("llama-3.3-70b", 0.1, "Merge: {helper_response}")
    if is_wrapped:
        assert config.description == "my team"
        assert config.extra == {"exported_at": "2025-06-01T10:00:00", "version": "1.0"}


def test_family_b():
    config = read(FAMILY_B)

    assert shape(config) == [
        [
            ("first", "llama3.1-8b", 0.3, "Think. {helper_response}"),
            ("second", "qwen-3-32b", 0.1, "Check."),
        ]
    ]
    assert [agent.max_tokens for agent in config.layers[0].agents] == [512, 2048]
    assert (config.cycles, config.summarizer.max_tokens) == (2, 2048)


def test_family_c_with_empty_layers_has_no_layers_and_says_so():
    config = read(FAMILY_C)

    assert config.layers == ()
    assert any("the summarizer answers alone" in note for note in config.notes)
    assert config.seed == 42
    assert (config.summarizer.temperature, config.summarizer.top_p) == (0.0, 0.9)
    assert config.reference_prompt == "Others said:\n{responses}\nEnd."
    assert config.extra == {"deterministic_settings": {"frequency_penalty": 0.5}}
    assert any("frequency_penalty" in note for note in config.notes)


def test_family_c_settings_fill_in_what_agents_leave_open():
    layers = {"a": {"model_name": "m", "system_prompt": "p"}, "b": {"model_name": "m", "temperature": 0.8}}

    config = read({**FAMILY_C, "layer_config": layers})

    assert [(a.temperature, a.top_p) for a in config.layers[0].agents] == [(0.0, 0.9), (0.8, 0.9)]


@pytest.mark.parametrize("key", ["main_model", "model", "primary_model", "main"])
def test_aliases_of_the_main_model(key):
    assert read({key: "m1", "cycles": 1}).summarizer.model == "m1"


@pytest.mark.parametrize("key", ["temperature", "temp"])
def test_aliases_of_temperature(key):
    config = read({"main_model": "m", key: 0.25, "layer_agent_config": {"a": {"model": "x", key: 0.5}}})

    assert (config.summarizer.temperature, config.layers[0].agents[0].temperature) == (0.25, 0.5)


@pytest.mark.parametrize("key", ["layer_agent_config", "layer_agents", "layers", "agents"])
@pytest.mark.parametrize("kind", ["list", "dict"])
def test_aliases_of_the_agents_as_list_and_dict(key, kind):
    agents = [{"name": "a", "model": "m1", "prompt": "p"}, {"name": "b", "model": "m2", "prompt": "q"}]
    given = agents if kind == "list" else {agent["name"]: agent for agent in agents}

    config = read({"main_model": "m", key: given})

    assert [(a.name, a.model, a.prompt) for a in config.layers[0].agents] == [
        ("a", "m1", "p"),
        ("b", "m2", "q"),
    ]


@pytest.mark.parametrize("key", ["system_prompt", "prompt", "system"])
def test_aliases_of_the_prompt(key):
    config = read({"main_model": "m", key: "P", "agents": {"a": {"model": "x", key: "Q"}}})

    assert (config.summarizer.prompt, config.layers[0].agents[0].prompt) == ("P", "Q")


@pytest.mark.parametrize("key", ["max_tokens", "max_length", "context_length"])
def test_aliases_of_max_tokens(key):
    config = read({"main_model": "m", key: 300, "agents": {"a": {"model": "x", key: 200}}})

    assert (config.summarizer.max_tokens, config.layers[0].agents[0].max_tokens) == (300, 200)


def test_number_under_layers_means_cycles():
    config = read({"main_model": "m", "layers": 4, "agents": {"a": {"model": "x"}}})

    assert (config.cycles, len(config.layers)) == (4, 1)


def test_layers_of_agents_stay_layers():
    config = read(
        {"main_model": "m", "layers": [{"agents": [{"name": "a"}]}, {"agents": {"b": {}, "c": {}}}]}
    )

    assert [layer.names for layer in config.layers] == [("a",), ("b", "c")]


def test_agents_of_one_name_both_survive_in_a_list():
    config = read(
        {"main_model": "m", "layer_agents": [{"name": "a", "prompt": "1"}, {"name": "a", "prompt": "2"}]}
    )

    assert [(a.name, a.prompt) for a in config.layers[0].agents] == [("a", "1"), ("a (2)", "2")]
    assert any("a (2)" in note for note in config.notes)


def test_agents_of_one_name_both_survive_as_keys_of_an_object():
    text = '{"main_model": "m", "layer_agent_config": {"a": {"prompt": "1"}, "a": {"prompt": "2"}}}'

    config = MoAConfig.from_json(text)

    assert [(a.name, a.prompt) for a in config.layers[0].agents] == [("a", "1"), ("a (2)", "2")]
    assert any("a (2)" in note for note in config.notes)


@pytest.mark.parametrize(
    "data",
    [
        {"main_model": "m"},
        {"main_model": "m", "layer_agents": []},
        {"main_model": "m", "layer_agent_config": {}},
    ],
    ids=["absent", "empty list", "empty dict"],
)
def test_no_agents_means_no_layers(data):
    config = read(data)

    assert config.layers == ()
    assert any("no layer agents" in note for note in config.notes)


def test_unknown_keys_are_kept_and_reported():
    data = {**FAMILY_B, "theme": {"dark": True}, "layer_agent_config": {"a": {"model": "x", "avatar": "cat"}}}

    config = read(data)

    assert config.extra == {"theme": {"dark": True}}
    assert config.layers[0].agents[0].extra == {"avatar": "cat"}
    assert any("'theme'" in note for note in config.notes)
    assert any("'avatar'" in note and "'a'" in note for note in config.notes)
    assert MoAConfig.from_json(config.to_json()) == config


def test_two_aliases_at_once_keep_the_second_one():
    config = read({"main_model": "m1", "model": "m2", "cycles": 1})

    assert config.summarizer.model == "m1"
    assert config.extra == {"model": "m2"}


def test_unknown_keys_of_the_own_format_are_kept_and_reported():
    data = json.loads(MoAConfig.default().to_json())
    data["colour"] = "red"
    data["layers"][0]["title"] = "first"
    data["layers"][0]["agents"][0]["mood"] = "good"

    config = read(data)

    assert config.extra == {"colour": "red", "layer 1": {"title": "first"}}
    assert config.layers[0].agents[0].extra == {"mood": "good"}
    assert any("'colour'" in note for note in config.notes)
    assert MoAConfig.from_json(config.to_json()) == config


def test_missing_models_are_filled_in_and_it_is_said():
    config = read({"cycles": 1, "agents": {"a": {"prompt": "p"}}})

    assert config.models == ("smollm2-135m",)
    assert any("no main model" in note for note in config.notes)
    assert any("'a'" in note and "the main model" in note for note in config.notes)


def test_null_counts_as_not_given():
    config = read({"main_model": "m", "max_tokens": None, "system_prompt": None, "temperature": None})

    assert (config.summarizer.max_tokens, config.summarizer.prompt, config.extra) == (1024, "", {})


def test_numbers_written_as_text_are_read_and_it_is_said():
    config = read({"main_model": "m", "temperature": "0.4", "cycles": "2", "max_tokens": 100.0})

    assert (config.summarizer.temperature, config.cycles, config.summarizer.max_tokens) == (0.4, 2, 100)
    assert any("text '0.4'" in note for note in config.notes)


def test_misspelt_model_is_left_alone_and_pointed_out():
    config = read({"main_model": "llama3.3-70b"})

    assert config.summarizer.model == "llama3.3-70b"
    assert any("probably 'llama-3.3-70b'" in note for note in config.notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not valid JSON"),
        ('{"main_model": "m\\ud83d"}', "holds half a character"),
        ("{", "line 1, column 2"),
        ("[]", "found|is a list; expected a JSON object"),
        ('"x"', "is a text"),
        ("null", "is null"),
        ("{}", "no keys at all"),
        ('{"foo": 1}', "found 'foo'"),
        ('{"main_model": "m", "temperature": NaN}', "NaN is no JSON number"),
        ('{"main_model": 3}', r"summarizer\.model: 3 is not of type 'string'"),
        (
            '{"main_model": "m", "temperature": "hot"}',
            r"summarizer\.temperature: 'hot' is not of type 'number'",
        ),
        (
            '{"main_model": "m", "temperature": 3}',
            r"summarizer\.temperature: 3 is greater than the maximum of 2",
        ),
        ('{"main_model": "m", "cycles": 0}', "cycles: 0 is less than the minimum of 1"),
        ('{"main_model": "m", "agents": [3]}', "an agent of layer 1: found a number"),
        ('{"ai_configuration": []}', "ai_configuration: found a list; expected a JSON object"),
        ('{"main_config": "x"}', "main_config: found a text"),
        ('{"format": "moa-config", "version": 2}', "version is 2; this program reads version 1"),
        ('{"format": "moa-config", "version": 1}', "summarizer"),
        (
            '{"format": "moa-config", "summarizer": {"name": "s"}, "layers": [{"agents": []}]}',
            r"layers\[0\]\.agents",
        ),
        ('{"summarizer": {"name": "s"}, "layers": 3}', "layers: 3 is not of type 'array'"),
        ("\ud800".encode("utf-16-le", "surrogatepass"), "not UTF-8"),
        ("[" * 100_000, "nested too deeply|not valid"),
        ('{"main_model": "m", "seed": ' + "1" * 5000 + "}", "a number in it is too long"),
        ('{"main_model": "m", "prompt": "\\ud800"}', "half a character"),
        ('{"main_model": "\ud800"}', "half a character"),
        ('{"summarizer": {"name": "s", "extra": [1], "foo": 2}}', r"summarizer\.extra: \[1\] is not"),
        ('{"summarizer": {"name": "s"}, "extra": "x", "foo": 2}', "extra: 'x' is not"),
        (
            '{"summarizer": {"name": "s"}, "extra": 1, "layers": [{"agents": [{"name": "a"}], "x": 1}]}',
            "extra: 1 is not",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_shape_says_where_and_what_is_expected(text, words):
    with pytest.raises(ConfigError, match=words):
        MoAConfig.from_json(text)


def test_bytes_with_a_byte_order_mark_are_read():
    assert MoAConfig.from_json(b"\xef\xbb\xbf" + json.dumps(FAMILY_B).encode()).cycles == 2


def test_data_that_is_already_parsed_is_read():
    assert MoAConfig.from_json(FAMILY_A) == read(FAMILY_A)
