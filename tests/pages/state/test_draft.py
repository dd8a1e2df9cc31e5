"""The editor's copy of a setup: what is edited, what is kept."""

from __future__ import annotations

import pytest

from moa_core import ConfigError, MoAConfig
from pages.state.draft import Draft


def names(draft: Draft) -> list[list[str]]:
    return [[agent.name for agent in layer.agents] for layer in draft.layers]


def test_an_untouched_draft_gives_the_same_configuration_back() -> None:
    config = MoAConfig.default()
    assert Draft(config).to_config() == config


def test_what_the_editor_does_not_show_survives_an_edit() -> None:
    config = MoAConfig.from_json(
        '{"format": "moa-config", "version": 1, "seed": 7, "wish": "more",'
        ' "summarizer": {"name": "S", "top_p": 0.5}}'
    )
    draft = Draft(config)
    draft.summarizer.temperature = 1.5
    edited = draft.to_config()
    assert (edited.seed, edited.summarizer.top_p, edited.summarizer.temperature) == (7, 0.5, 1.5)
    assert edited.extra == {"wish": "more"}


def test_a_duplicated_agent_stands_beside_its_source_under_a_free_name() -> None:
    draft = Draft(MoAConfig.default())
    first = draft.layers[0].agents[0]
    copy = draft.duplicate_agent(first.uid)
    assert names(draft)[0] == ["Direct", "Direct 2", "Example", "Careful"]
    assert (copy.prompt, copy.uid != first.uid) == (first.prompt, True)


def test_an_agent_moves_within_its_layer_and_then_into_the_next_one() -> None:
    draft = Draft(MoAConfig.default())
    uid = draft.layers[0].agents[1].uid
    draft.move_agent(uid, 1)
    assert names(draft)[0] == ["Direct", "Careful", "Example"]
    draft.move_agent(uid, 1)
    assert names(draft) == [["Direct", "Careful"], ["Example 2", "Direct", "Example", "Careful"]]


def test_an_agent_at_the_outer_end_stays_where_it_is() -> None:
    draft = Draft(MoAConfig.default())
    draft.move_agent(draft.layers[0].agents[0].uid, -1)
    assert names(draft)[0] == ["Direct", "Example", "Careful"]


def test_layers_are_added_copied_moved_and_removed() -> None:
    draft = Draft(MoAConfig.default())
    added = draft.add_layer()
    draft.move_layer(added.uid, -2)
    assert [len(layer.agents) for layer in draft.layers] == [1, 3, 3]
    copy = draft.duplicate_layer(added.uid)
    draft.remove_layer(added.uid)
    assert draft.layers[0] is copy
    assert len({agent.uid for agent in draft.agents}) == 8


def test_an_emptied_layer_is_refused_with_what_to_do() -> None:
    draft = Draft(MoAConfig.default())
    for agent in list(draft.layers[1].agents):
        draft.remove_agent(agent.uid)
    with pytest.raises(ConfigError, match="add an agent or remove the layer"):
        draft.to_config()


def test_a_removed_agent_is_gone() -> None:
    draft = Draft(MoAConfig.default())
    uid = draft.layers[0].agents[0].uid
    draft.remove_agent(uid)
    with pytest.raises(KeyError):
        draft.agent(uid)
