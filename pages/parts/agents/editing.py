"""What the Agents page's widgets do to the setup when they change; every change can be undone."""

from typing import Any

import streamlit as st

from moa_core import MoAConfig
from pages.state.draft import AgentDraft, Draft, LayerDraft

NOTES, UNDO, MAX_UNDO = "agents_notes", "agents_undo", 30


def key_of(agent: AgentDraft, field: str) -> str:
    return f"agents_{agent.uid}_{field}"


def layer_key(layer: LayerDraft, field: str) -> str:
    return f"agents_layer_{layer.uid}_{field}"


class Editor:
    """Callbacks of widgets, over one browser's draft."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        st.session_state.setdefault(NOTES, ())

    @property
    def cycles_key(self) -> str:
        return f"agents_cycles_{self.draft.version}"  # another setup, another widget

    @property
    def strategy_key(self) -> str:
        return f"agents_strategy_{self.draft.version}"

    def option_key(self, name: str) -> str:
        return f"agents_option_{self.draft.version}_{name}"

    def store(self, agent: AgentDraft, field: str) -> None:
        """A widget changed: its value goes into the draft at once."""
        self.remember()
        setattr(agent, field, st.session_state[key_of(agent, field)])

    def move_agent(self, agent: AgentDraft, step: int) -> None:
        self.remember()
        self.draft.move_agent(agent.uid, step)

    def move_layer(self, layer: LayerDraft, step: int) -> None:
        self.remember()
        self.draft.move_layer(layer.uid, step)

    def act_on_agent(self, agent: AgentDraft) -> None:
        """A line of an agent's menu was chosen."""
        self.remember()
        match st.session_state[key_of(agent, "menu")]:
            case "model":
                self.draft.use_model(agent.model)
            case "duplicate":
                self.draft.duplicate_agent(agent.uid)
            case "remove":
                self.draft.remove_agent(agent.uid)

    def act_on_layer(self, layer: LayerDraft) -> None:
        """A line of a layer's menu was chosen."""
        self.remember()
        match st.session_state[layer_key(layer, "menu")]:
            case "duplicate":
                self.draft.duplicate_layer(layer.uid)
            case "remove":
                self.draft.remove_layer(layer.uid)

    def remember(self) -> None:
        """Keep the setup as it is now, for undo; the last MAX_UNDO of them."""
        kept: list[dict[str, Any]] = st.session_state.setdefault(UNDO, [])
        kept.append(self.draft.to_plain())
        del kept[:-MAX_UNDO]

    def undo(self) -> None:
        """The setup as it was before the last change."""
        if st.session_state.get(UNDO):
            self.draft.restore(st.session_state[UNDO].pop())
            st.session_state[NOTES] = ()

    def add_agent(self, layer_uid: int) -> None:
        self.remember()
        self.draft.add_agent(layer_uid)

    def add_layer(self) -> None:
        self.remember()
        self.draft.add_layer()

    def store_cycles(self) -> None:
        self.remember()
        self.draft.cycles = st.session_state[self.cycles_key]

    def store_strategy(self) -> None:
        self.remember()
        self.draft.use_strategy(st.session_state[self.strategy_key])

    def store_option(self, name: str) -> None:
        self.remember()
        self.draft.set_option(name, st.session_state[self.option_key(name)])

    def load(self, config: MoAConfig) -> None:
        """Replace the setup and its widgets."""
        self.remember()
        self.draft.load(config)
        st.session_state[NOTES] = config.notes

    def reset(self) -> None:
        self.load(MoAConfig.default())

    def replace_models(self, mapping: dict[str, str]) -> None:
        """Use the suggested models instead of those that are not available."""
        self.load(self.draft.to_config().with_models(mapping))
