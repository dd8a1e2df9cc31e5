"""Configurations as values: checked when built, exported and read back equal."""

import json
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from moa_core import Agent, ConfigError, Layer, MoAConfig
from moa_core.config.formats import config_schema

names = st.text(min_size=1, max_size=12).filter(lambda text: text.strip())
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
agents = st.builds(
    Agent,
    name=names,
    model=names,
    prompt=st.text(max_size=40),
    temperature=st.floats(0, 2),
    max_tokens=st.integers(1, 10**6),
    top_p=st.floats(0, 1),
    seed=st.none() | st.integers(0, 2**31),
    stop=st.lists(st.text(min_size=1, max_size=4), max_size=2).map(tuple),
    provider=st.none() | names,
    thinking_budget=st.none() | st.integers(0, 9999),
    pass_reasoning=st.booleans(),
    response_schema=st.none() | st.just({"type": "object"}),
    extra=st.dictionaries(st.text(max_size=5), json_values, max_size=2),
)
configs = st.builds(
    MoAConfig,
    layers=st.lists(st.lists(agents, min_size=1, max_size=3).map(tuple), max_size=3).map(tuple),
    summarizer=agents,
    cycles=st.integers(1, 20),
    name=st.text(max_size=9),
    description=st.text(max_size=9),
    strategy=st.sampled_from(["layered", "single", "best-of-n"]),
    options=st.dictionaries(st.sampled_from(["n", "rounds"]), st.integers(1, 9), max_size=2),
    roles=st.dictionaries(st.sampled_from(["judge", "critic"]), agents, max_size=2),
    reference_prompt=st.text(max_size=9),
    trim_helpers=st.booleans(),
    seed=st.none() | st.integers(0, 2**31),
    extra=st.dictionaries(st.text(max_size=5), json_values, max_size=2),
)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(configs)
def test_export_and_import_round_trip_exactly(config):
    text = config.to_json()
    again = MoAConfig.from_json(text)

    assert again == config
    assert again.to_json() == text


@settings(max_examples=50, deadline=None, derandomize=True)
@given(configs)
def test_every_export_fits_the_published_schema(config):
    Draft202012Validator(config_schema()).validate(json.loads(config.to_json()))


def test_published_schema_is_a_schema():
    Draft202012Validator.check_schema(config_schema())


def test_default_is_three_agents_in_two_layers_and_a_summarizer():
    config = MoAConfig.default()

    assert [len(layer.agents) for layer in config.layers] == [3, 3]
    assert config.models == ("smollm2-135m",)
    assert all("{helper_response}" in agent.prompt for agent in (*config.layers[1].agents, config.summarizer))
    assert MoAConfig.from_json(config.to_json()) == config


def test_configuration_cannot_be_changed_in_place():
    with pytest.raises(FrozenInstanceError):
        MoAConfig().cycles = 3
    with pytest.raises(FrozenInstanceError):
        Agent("a").model = "x"


def test_run_layers_are_all_layers_as_often_as_cycles():
    config = MoAConfig(layers=[[Agent("a")], [Agent("b")]], cycles=2)

    assert [layer.names for layer in config.run_layers] == [("a",), ("b",), ("a",), ("b",)]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": " "}, "give every agent a name"),
        ({"model": ""}, "choose one"),
        ({"temperature": -0.1}, "temperature is -0.1; allowed: 0 to 2"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"temperature": True}, "temperature is True"),
        ({"top_p": 1.5}, "top_p is 1.5; allowed: 0 to 1"),
        ({"max_tokens": 0}, "max_tokens is 0; allowed: whole numbers from 1"),
        ({"max_tokens": 1.5}, "max_tokens is 1.5"),
        ({"thinking_budget": -1}, "thinking_budget is -1"),
    ],
    ids=str,
)
def test_agent_out_of_range_is_refused_with_what_is_allowed(settings, words):
    with pytest.raises(ConfigError) as caught:
        Agent(**{"name": "a", **settings})

    assert words in str(caught.value)


@pytest.mark.parametrize("cycles", [0, -1, 21, 1.0, True])
def test_cycles_out_of_range_are_refused(cycles):
    with pytest.raises(ConfigError, match="whole numbers from 1 to 20"):
        MoAConfig(cycles=cycles)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: MoAConfig(seed=2**63), "seed is 9223372036854775808; allowed"),
        (lambda: MoAConfig(seed=1.5), "seed is 1.5"),
        (lambda: MoAConfig(layers=[[Agent("a")]] * 51), "there are 51 layers; allowed: 50"),
        (lambda: MoAConfig(layers=[[Agent("a")] * 101, [Agent("b")] * 100]), "there are 201 agents"),
        (lambda: MoAConfig(roles={f"r{n}": Agent("a") for n in range(201)}), "there are 201 agents"),
        (lambda: Agent("a" * 4097), "at most 4,096 characters"),
        (lambda: Agent("a", "m" * 4097), "at most 4,096 characters"),
    ],
    ids=["a large seed", "half a seed", "layers", "agents", "roles", "a name", "a model's name"],
)
def test_what_no_page_could_show_is_refused(build, words):
    with pytest.raises(ConfigError, match=words):
        build()


def test_a_schema_that_takes_anything_is_kept():
    config = MoAConfig(summarizer=Agent("s", response_schema={}))

    assert MoAConfig.from_json(config.to_json()).summarizer.response_schema == {}


def test_layer_without_agents_is_refused():
    with pytest.raises(ConfigError, match="add an agent or remove the layer"):
        Layer(())


def test_agents_of_one_name_are_renamed_and_it_is_said():
    config = MoAConfig(layers=[[Agent("a"), Agent("a (2)"), Agent("a"), Agent("a")], [Agent("a")]])

    assert config.layers[0].names == ("a", "a (2)", "a (3)", "a (4)")
    assert config.layers[1].names == ("a",)
    assert len(config.notes) == 2
    assert "layer 1" in config.notes[0]


def test_models_are_suggested_and_replaced_only_on_request():
    config = MoAConfig(
        layers=[[Agent("a", "llama3.3-70b"), Agent("b", "qwen-3-32B"), Agent("c", "here")]],
        summarizer=Agent("s", "zzz"),
    )

    suggestions = config.suggest_models(["llama-3.3-70b", "qwen-3-32b", "here"])
    assert [(s.model, s.agents, s.replacement) for s in suggestions] == [
        ("llama3.3-70b", ("a",), "llama-3.3-70b"),
        ("qwen-3-32B", ("b",), "qwen-3-32b"),
        ("zzz", ("s",), "llama-3.3-70b"),  # nothing is known of the name: what is served is proposed
    ]
    assert config.layers[0].agents[0].model == "llama3.3-70b"

    mapped = config.with_models({"llama3.3-70b": "llama-3.3-70b", "unused": "x"})
    assert mapped.models == ("llama-3.3-70b", "qwen-3-32B", "here", "zzz")
    assert mapped.notes == ("model 'llama3.3-70b' is replaced by 'llama-3.3-70b'",)


def test_notes_are_no_part_of_equality():
    config = MoAConfig()

    assert replace(config, notes=("x",)) == config
