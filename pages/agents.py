"""Edit the setup: summarizer, layers, agents; import and export it as JSON."""

import streamlit as st

from moa_core import ConfigError, MoAConfig
from pages.parts import backend
from pages.parts.agents.budget_bar import draw_budget
from pages.parts.agents.cards import (
    Choices,
    Models,
    draw_layer,
    draw_model,
    draw_name,
    draw_prompt_and_limits,
)
from pages.parts.agents.editing import NOTES, Editor
from pages.parts.agents.plan_table import show_plan
from pages.parts.agents.toolbar import draw_strategy, draw_toolbar
from pages.parts.layout import page_body, page_title, row
from pages.parts.model_advice import measured_speeds
from pages.parts.session import init_session
from pages.parts.setup_share import draw_arrival
from pages.parts.tour import draw_tour
from pages.parts.words import draw_words
from pages.state.text import as_plain, capitalised
from wse_backend.models import DEFAULT_MODEL

SAMPLE_QUESTION = "Why is the sky blue?"

session = init_session()
draft = session.draft
editor = Editor(draft)


def draw_model_suggestions(config: MoAConfig, choices: Choices) -> None:
    """Models that nobody here has, and what they could be replaced by."""
    suggestions = config.suggest_models(choices)
    if not suggestions:
        return
    mapping = {s.model: s.replacement or DEFAULT_MODEL for s in suggestions}
    lines = [
        f"- {as_plain(s.model)} ({as_plain(', '.join(s.agents))}): could be {as_plain(mapping[s.model])}"
        + (f", {as_plain(s.reason)}" if s.replacement else "")
        for s in suggestions
    ]
    st.warning("\n".join(lines), title="Models that are not available here", icon=":material/help:")
    st.button(
        "Use these instead",
        key="agents_replace_models",
        on_click=editor.replace_models,
        args=(mapping,),
    )


with page_body():
    page_title("Agents")
    st.caption(
        "The agents of a layer answer at the same time. Each layer reads the answers of the one before it; "
        "the summarizer reads the last layer's and writes the final answer."
    )
    draw_words(agents="Mixture of agents", layer="Agent layer", token="Temperature")
    draw_tour("pages/agents.py")
    in_process = backend.in_process_models()
    from_cloud, cloud_problem = backend.cloud_models()
    choices = {choice.name: choice for choice in [*in_process, *from_cloud]}
    models = Models(choices, measured_speeds(session))
    config: MoAConfig | None = None
    problem: ConfigError | None = None
    try:
        config = draft.to_config()
    except ConfigError as exc:
        problem = exc

    draw_arrival(config, editor.load)
    draw_toolbar(editor, config, choices)
    draw_strategy(editor)
    if config:
        draw_budget(session, config, SAMPLE_QUESTION)
    if cloud_problem:
        st.warning(
            as_plain(cloud_problem), title="The cloud's models are not listed", icon=":material/cloud_off:"
        )
        st.button("Ask again", key="agents_relist", on_click=backend.forget_listing)
    if problem:
        st.warning(
            as_plain(capitalised(str(problem))), title="The setup is not complete", icon=":material/build:"
        )
    notes = (*st.session_state[NOTES], *(config.notes if config else ()))
    for note in notes:
        st.caption(f":material/info: {as_plain(note)}")
    if config:
        draw_model_suggestions(config, choices)

    for number, layer in enumerate(draft.layers, start=1):
        draw_layer(editor, layer, number, models)
    if not draft.layers:
        st.warning(
            "There are no layers, so the summarizer answers alone. Add a layer to let agents answer first.",
            icon=":material/layers_clear:",
        )
    st.button("Add a layer", icon=":material/add:", key="agents_add_layer", on_click=editor.add_layer)

    st.subheader("Summarizer")
    with st.container(border=True):
        left, right = st.columns(2)
        with left:
            draw_name(editor, draft.summarizer)
        with right:
            draw_model(editor, draft.summarizer, models)
        draw_prompt_and_limits(editor, draft.summarizer)
    with row(vertical_alignment="center"):
        st.caption(f"{backend.describe(list(choices.values()))} to choose from.", width="content")
        if from_cloud:
            st.button(
                "Ask the servers again",
                icon=":material/refresh:",
                type="tertiary",
                key="agents_refresh",
                on_click=backend.forget_listing,
                help="Models, contexts and prices are asked for every two minutes at most.",
            )

    if config:
        st.subheader("What each call may receive")
        show_plan(config, SAMPLE_QUESTION)
