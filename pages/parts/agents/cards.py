"""Layers and agents as cards, each with the fields that its agent has."""

from typing import Any, NamedTuple

import streamlit as st

from moa_core.config.sampling import EFFORTS
from moa_core.config.values import MAX_TEMPERATURE
from pages.parts.agents.editing import Editor, key_of, layer_key
from pages.parts.layout import row
from pages.state.draft import AgentDraft, Draft, LayerDraft
from pages.state.model_choice import ModelChoice, model_words
from pages.state.text import as_plain

MAX_TOKENS_LIMIT = 32_768
NAME_CHARS = 80
PROMPT_HELP = (
    "What the model is told before the question. `{helper_response}` stands for the answers of the layer "
    "before; without it they are appended."
)
Choices = dict[str, ModelChoice]


MENU = {
    "model": ":material/done_all: Use its model for all",
    "duplicate": ":material/content_copy: Duplicate",
    "remove": ":material/delete: Remove",
}
LAYER_MENU = {
    "duplicate": ":material/content_copy: Duplicate the layer",
    "remove": ":material/delete: Remove the layer",
}


class Models(NamedTuple):
    """What an agent can be given. speeds: tokens per second of each model in this browser's runs."""

    choices: Choices
    speeds: dict[str, float]


def _wiring(editor: Editor, agent: AgentDraft, field: str) -> dict[str, Any]:
    """Key and callback of a field, whose widget writes into the draft.

    Its first value is given as `value=`, never through session state: that is sent to the browser only once,
    and is lost when the next rerun comes quickly; the browser would then report an empty field.
    """
    return {"key": key_of(agent, field), "on_change": editor.store, "args": (agent, field)}


def _label(editor: Editor, word: str, agent: AgentDraft) -> str:
    """ "Name · 1.2": which agent a field belongs to."""
    return f"{word} · {_place_of(editor.draft, agent)}"


def _place_of(draft: Draft, agent: AgentDraft) -> str:
    """ "1.2" for the second agent of the first layer, "summarizer"."""
    for number, layer in enumerate(draft.layers, start=1):
        if agent in layer.agents:
            return f"{number}.{layer.agents.index(agent) + 1}"
    return "summarizer"


def draw_name(editor: Editor, agent: AgentDraft) -> None:
    st.text_input(
        _label(editor, "Name", agent),
        agent.name,
        max_chars=max(NAME_CHARS, len(agent.name)),
        **_wiring(editor, agent, "name"),
    )


def draw_model(editor: Editor, agent: AgentDraft, models: Models) -> None:
    choices = models.choices
    options = list(choices) if agent.model in choices else [agent.model, *choices]
    st.selectbox(
        _label(editor, "Model", agent),
        options,
        index=options.index(agent.model),
        format_func=lambda name: choices[name].label if name in choices else f"{name} (not available here)",
        **_wiring(editor, agent, "model"),
    )
    listed = choices[agent.model].details if agent.model in choices else ""
    about_it = [words for words in (listed, model_words(agent.model, models.speeds)) if words]
    if about_it:
        st.caption(as_plain(" · ".join(about_it)))


def draw_prompt_and_limits(editor: Editor, agent: AgentDraft) -> None:
    st.text_area(
        _label(editor, "Prompt", agent),
        agent.prompt,
        height=140,
        help=PROMPT_HELP,
        **_wiring(editor, agent, "prompt"),
    )
    left, right = st.columns(2)
    with left:
        st.slider(
            _label(editor, "Temperature", agent),
            0.0,
            MAX_TEMPERATURE,
            agent.temperature,
            step=0.05,
            help="0 always takes the likeliest word.",
            **_wiring(editor, agent, "temperature"),
        )
    with right:
        st.number_input(
            _label(editor, "Token limit", agent),
            1,
            max(MAX_TOKENS_LIMIT, agent.max_tokens),
            agent.max_tokens,
            step=32,
            help="The most tokens it may answer with. Thinking has a budget of its own.",
            **_wiring(editor, agent, "max_tokens"),
        )
    st.selectbox(
        _label(editor, "Thinking before the answer", agent),
        [None, *EFFORTS],
        index=[None, *EFFORTS].index(agent.reasoning_effort),
        format_func=lambda effort: effort.capitalize() if effort else "As the model does by itself",
        help="For models that reason. A server that does not take it answers without, and the run says so.",
        **_wiring(editor, agent, "reasoning_effort"),
    )


def _draw_arrows(editor: Editor, agent: AgentDraft) -> None:
    """Move an agent one place back or on; past the end of its layer it goes on into the neighbouring one."""
    for step, icon, word in ((-1, "arrow_back", "back"), (1, "arrow_forward", "on")):
        st.button(
            f":material/{icon}:",
            type="tertiary",
            key=key_of(agent, word),
            help=f"Move {as_plain(agent.name)} {word}",
            on_click=editor.move_agent,
            args=(agent, step),
            disabled=not editor.draft.can_move_agent(agent.uid, step),
        )


def draw_agent(editor: Editor, agent: AgentDraft, models: Models) -> None:
    with st.container(border=True, key=key_of(agent, "card")):
        with row(horizontal_alignment="distribute", vertical_alignment="center"):
            st.caption(_place_of(editor.draft, agent), width="content")
            with row(horizontal_alignment="right", width="content", gap="xsmall"):
                _draw_arrows(editor, agent)
                st.menu_button(
                    "More",
                    list(MENU),
                    format_func=MENU.__getitem__,
                    key=key_of(agent, "menu"),
                    on_click=editor.act_on_agent,
                    args=(agent,),
                )
        draw_name(editor, agent)
        draw_model(editor, agent, models)
        draw_prompt_and_limits(editor, agent)


def draw_layer(editor: Editor, layer: LayerDraft, number: int, models: Models) -> None:
    with row(horizontal_alignment="distribute", vertical_alignment="center"):
        st.subheader(f"Agent layer {number}")
        with row(horizontal_alignment="right", vertical_alignment="center", width="content"):
            for step, icon, word in ((-1, "arrow_upward", "up"), (1, "arrow_downward", "down")):
                st.button(
                    f":material/{icon}:",
                    type="tertiary",
                    key=layer_key(layer, word),
                    help=f"Move agent layer {number} {word}",
                    on_click=editor.move_layer,
                    args=(layer, step),
                    disabled=not 0 <= number - 1 + step < len(editor.draft.layers),
                )
            st.button(
                "Add an agent",
                icon=":material/add:",
                key=layer_key(layer, "add"),
                on_click=editor.add_agent,
                args=(layer.uid,),
            )
            st.menu_button(
                "More",
                list(LAYER_MENU),
                format_func=LAYER_MENU.__getitem__,
                key=layer_key(layer, "menu"),
                on_click=editor.act_on_layer,
                args=(layer,),
            )
    if not layer.agents:
        st.warning("This layer has no agents. Add an agent or remove the layer.", icon=":material/group_off:")
        return
    with st.grid(3, min_column_width=280):
        for agent in layer.agents:
            draw_agent(editor, agent, models)
