"""Edit the setup: summarizer, layers, agents; import and export it as JSON."""

from typing import Any

import streamlit as st

from moa_core import ConfigError, MoAConfig
from moa_core.config.sampling import EFFORTS
from moa_core.config.values import MAX_CYCLES, MAX_TEMPERATURE
from moa_core.strategies import all_strategies
from pages.parts import backend
from pages.parts.agents.budget_bar import draw_budget
from pages.parts.agents.plan_table import show_plan
from pages.parts.agents.setup_import import draw_import, draw_presets
from pages.parts.layout import page_body, page_title, row
from pages.parts.model_advice import measured_speeds
from pages.parts.session import init_session
from pages.parts.setup_share import draw_arrival, draw_share
from pages.parts.tour import draw_tour
from pages.parts.words import draw_words
from pages.state.draft import AgentDraft, LayerDraft
from pages.state.model_choice import ModelChoice, model_words
from pages.state.text import as_plain, capitalised
from wse_backend.models import DEFAULT_MODEL

MAX_TOKENS_LIMIT = 32_768
NAME_CHARS = 80
UNDO, MAX_UNDO = "agents_undo", 30
SAMPLE_QUESTION = "Why is the sky blue?"
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

session = init_session()
draft = session.draft
st.session_state.setdefault("agents_notes", ())


def key_of(agent: AgentDraft, field: str) -> str:
    return f"agents_{agent.uid}_{field}"


def store(agent: AgentDraft, field: str) -> None:
    """A widget changed: its value goes into the draft at once."""
    remember()
    setattr(agent, field, st.session_state[key_of(agent, field)])


def move_agent(agent: AgentDraft, step: int) -> None:
    remember()
    draft.move_agent(agent.uid, step)


def move_layer(layer: LayerDraft, step: int) -> None:
    remember()
    draft.move_layer(layer.uid, step)


def act_on_agent(agent: AgentDraft) -> None:
    """A line of an agent's menu was chosen."""
    remember()
    match st.session_state[key_of(agent, "menu")]:
        case "model":
            draft.use_model(agent.model)
        case "duplicate":
            draft.duplicate_agent(agent.uid)
        case "remove":
            draft.remove_agent(agent.uid)


def act_on_layer(layer: LayerDraft) -> None:
    """A line of a layer's menu was chosen."""
    remember()
    match st.session_state[f"agents_layer_{layer.uid}_menu"]:
        case "duplicate":
            draft.duplicate_layer(layer.uid)
        case "remove":
            draft.remove_layer(layer.uid)


def remember() -> None:
    """Keep the setup as it is now, for undo; the last MAX_UNDO of them."""
    kept: list[dict[str, Any]] = st.session_state.setdefault(UNDO, [])
    kept.append(draft.to_plain())
    del kept[:-MAX_UNDO]


def undo() -> None:
    """The setup as it was before the last change."""
    if st.session_state.get(UNDO):
        draft.restore(st.session_state[UNDO].pop())
        st.session_state["agents_notes"] = ()


def add_agent(layer_uid: int) -> None:
    remember()
    draft.add_agent(layer_uid)


def add_layer() -> None:
    remember()
    draft.add_layer()


def cycles_key() -> str:
    return f"agents_cycles_{draft.version}"  # another setup, another widget


def store_cycles() -> None:
    remember()
    draft.cycles = st.session_state[cycles_key()]


def store_strategy() -> None:
    remember()
    draft.use_strategy(st.session_state[f"agents_strategy_{draft.version}"])


def store_option(name: str) -> None:
    remember()
    draft.set_option(name, st.session_state[f"agents_option_{draft.version}_{name}"])


def load(config: MoAConfig) -> None:
    """Replace the setup and its widgets."""
    remember()
    draft.load(config)
    st.session_state["agents_notes"] = config.notes


def reset() -> None:
    load(MoAConfig.default())


def replace_models(mapping: dict[str, str]) -> None:
    """Use the suggested models instead of those that are not available."""
    load(draft.to_config().with_models(mapping))


def wiring(agent: AgentDraft, field: str) -> dict[str, Any]:
    """Key and callback of a field, whose widget writes into the draft.

    Its first value is given as `value=`, never through session state: that is sent to the browser only once,
    and is lost when the next rerun comes quickly; the browser would then report an empty field.
    """
    return {"key": key_of(agent, field), "on_change": store, "args": (agent, field)}


def label(word: str, agent: AgentDraft) -> str:
    """ "Name · 1.2": which agent a field belongs to."""
    return f"{word} · {place_of(agent)}"


def place_of(agent: AgentDraft) -> str:
    """ "1.2" for the second agent of the first layer, "summarizer"."""
    for number, layer in enumerate(draft.layers, start=1):
        if agent in layer.agents:
            return f"{number}.{layer.agents.index(agent) + 1}"
    return "summarizer"


def draw_name(agent: AgentDraft) -> None:
    st.text_input(
        label("Name", agent), agent.name, max_chars=max(NAME_CHARS, len(agent.name)), **wiring(agent, "name")
    )


def draw_model(agent: AgentDraft, choices: Choices) -> None:
    options = list(choices) if agent.model in choices else [agent.model, *choices]
    st.selectbox(
        label("Model", agent),
        options,
        index=options.index(agent.model),
        format_func=lambda name: choices[name].label if name in choices else f"{name} (not available here)",
        **wiring(agent, "model"),
    )
    listed = choices[agent.model].details if agent.model in choices else ""
    about_it = [words for words in (listed, model_words(agent.model, measured_speeds(session))) if words]
    if about_it:
        st.caption(as_plain(" · ".join(about_it)))


def draw_prompt_and_limits(agent: AgentDraft) -> None:
    st.text_area(
        label("Prompt", agent), agent.prompt, height=140, help=PROMPT_HELP, **wiring(agent, "prompt")
    )
    left, right = st.columns(2)
    with left:
        st.slider(
            label("Temperature", agent),
            0.0,
            MAX_TEMPERATURE,
            agent.temperature,
            step=0.05,
            help="0 always takes the likeliest word.",
            **wiring(agent, "temperature"),
        )
    with right:
        st.number_input(
            label("Token limit", agent),
            1,
            max(MAX_TOKENS_LIMIT, agent.max_tokens),
            agent.max_tokens,
            step=32,
            help="The most tokens it may answer with. Thinking has a budget of its own.",
            **wiring(agent, "max_tokens"),
        )
    st.selectbox(
        label("Thinking before the answer", agent),
        [None, *EFFORTS],
        index=[None, *EFFORTS].index(agent.reasoning_effort),
        format_func=lambda effort: effort.capitalize() if effort else "As the model does by itself",
        help="For models that reason. A server that does not take it answers without, and the run says so.",
        **wiring(agent, "reasoning_effort"),
    )


def draw_arrows(agent: AgentDraft) -> None:
    """Move an agent one place back or on; past the end of its layer it goes on into the neighbouring one."""
    for step, icon, word in ((-1, "arrow_back", "back"), (1, "arrow_forward", "on")):
        st.button(
            f":material/{icon}:",
            type="tertiary",
            key=key_of(agent, word),
            help=f"Move {as_plain(agent.name)} {word}",
            on_click=move_agent,
            args=(agent, step),
            disabled=not draft.can_move_agent(agent.uid, step),
        )


def draw_agent(agent: AgentDraft, choices: Choices) -> None:
    with st.container(border=True, key=key_of(agent, "card")):
        with row(horizontal_alignment="distribute", vertical_alignment="center"):
            st.caption(place_of(agent), width="content")
            with row(horizontal_alignment="right", width="content", gap="xsmall"):
                draw_arrows(agent)
                st.menu_button(
                    "More",
                    list(MENU),
                    format_func=MENU.__getitem__,
                    key=key_of(agent, "menu"),
                    on_click=act_on_agent,
                    args=(agent,),
                )
        draw_name(agent)
        draw_model(agent, choices)
        draw_prompt_and_limits(agent)


def draw_layer(layer: LayerDraft, number: int, choices: Choices) -> None:
    with row(horizontal_alignment="distribute", vertical_alignment="center"):
        st.subheader(f"Agent layer {number}")
        with row(horizontal_alignment="right", vertical_alignment="center", width="content"):
            for step, icon, word in ((-1, "arrow_upward", "up"), (1, "arrow_downward", "down")):
                st.button(
                    f":material/{icon}:",
                    type="tertiary",
                    key=f"agents_layer_{layer.uid}_{word}",
                    help=f"Move agent layer {number} {word}",
                    on_click=move_layer,
                    args=(layer, step),
                    disabled=not 0 <= number - 1 + step < len(draft.layers),
                )
            st.button(
                "Add an agent",
                icon=":material/add:",
                key=f"agents_layer_{layer.uid}_add",
                on_click=add_agent,
                args=(layer.uid,),
            )
            st.menu_button(
                "More",
                list(LAYER_MENU),
                format_func=LAYER_MENU.__getitem__,
                key=f"agents_layer_{layer.uid}_menu",
                on_click=act_on_layer,
                args=(layer,),
            )
    if not layer.agents:
        st.warning("This layer has no agents. Add an agent or remove the layer.", icon=":material/group_off:")
        return
    with st.grid(3, min_column_width=280):
        for agent in layer.agents:
            draw_agent(agent, choices)


def draw_toolbar(config: MoAConfig | None, choices: Choices) -> None:
    with row(vertical_alignment="bottom"):
        st.number_input(
            "Cycles",
            1,
            MAX_CYCLES,
            draft.cycles,
            key=cycles_key(),
            on_change=store_cycles,
            width=130,
            help="How many times the layers are gone through, each time with the answers of the time before.",
        )
        presets_box = st.popover(
            "Presets", icon=":material/library_books:", key="agents_presets_box", on_change="rerun"
        )
        if presets_box.open:
            with presets_box:
                draw_presets(load)
        with st.popover("Import", icon=":material/upload:", key="agents_import_box", on_change="rerun"):
            draw_import(config, choices, load)
        st.download_button(
            "Export",
            config.to_json if config else "",
            "agents.json",
            "application/json",
            icon=":material/download:",
            disabled=config is None,
            on_click="ignore",
            key="agents_export",
        )
        share_box = st.popover(
            "Share", icon=":material/qr_code_2:", key="agents_share_box", on_change="rerun"
        )
        if share_box.open:
            with share_box:
                draw_share(config)
        st.button(
            "Undo",
            icon=":material/undo:",
            key="agents_undo_button",
            on_click=undo,
            disabled=not st.session_state.get(UNDO),
        )
        with st.popover("Start over", icon=":material/restart_alt:"):
            st.markdown("Replace this setup by the one the app starts with?")
            st.button("Replace it", key="agents_reset", on_click=reset)


def draw_strategy() -> None:
    """How the answer comes about, and the numbers that this way takes."""
    strategies = all_strategies()
    chosen = strategies.get(draft.base.strategy)
    with row(vertical_alignment="bottom"):
        st.selectbox(
            "Strategy",
            list(strategies),
            index=None if chosen is None else list(strategies).index(chosen.name),
            placeholder=f"{draft.base.strategy} (unknown)",
            format_func=lambda name: strategies[name].title,
            key=f"agents_strategy_{draft.version}",
            on_change=store_strategy,
            width=260,
            help="How the answer is made of the agents' calls.",
        )
        for name, rule in (chosen.options if chosen else {}).items():
            st.number_input(
                capitalised(rule.description),
                rule.low,
                rule.high,
                min(rule.high, max(rule.low, int(draft.base.options.get(name, rule.default)))),
                key=f"agents_option_{draft.version}_{name}",
                on_change=store_option,
                args=(name,),
                width=150,
            )
    if chosen is not None:
        where = " It works in a challenge, where answers can be tried." if chosen.needs_checker else ""
        st.caption(f"{as_plain(chosen.description)}{where}")


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
    st.button("Use these instead", key="agents_replace_models", on_click=replace_models, args=(mapping,))


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
    config: MoAConfig | None = None
    problem: ConfigError | None = None
    try:
        config = draft.to_config()
    except ConfigError as exc:
        problem = exc

    draw_arrival(config, load)
    draw_toolbar(config, choices)
    draw_strategy()
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
    notes = (*st.session_state["agents_notes"], *(config.notes if config else ()))
    for note in notes:
        st.caption(f":material/info: {as_plain(note)}")
    if config:
        draw_model_suggestions(config, choices)

    for number, layer in enumerate(draft.layers, start=1):
        draw_layer(layer, number, choices)
    if not draft.layers:
        st.warning(
            "There are no layers, so the summarizer answers alone. Add a layer to let agents answer first.",
            icon=":material/layers_clear:",
        )
    st.button("Add a layer", icon=":material/add:", key="agents_add_layer", on_click=add_layer)

    st.subheader("Summarizer")
    with st.container(border=True):
        left, right = st.columns(2)
        with left:
            draw_name(draft.summarizer)
        with right:
            draw_model(draft.summarizer, choices)
        draw_prompt_and_limits(draft.summarizer)
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
