"""Look a word up: each idea in a few sentences, with a chart that is computed on the spot."""

from collections.abc import Callable

import plotly.graph_objects as go
import streamlit as st

from pages.parts.charts import CHART_CONFIG, with_legend_below
from pages.parts.layout import page_body, page_title, row
from pages.parts.learn_model import draw_attention, draw_next_token, draw_routing, loaded_engine
from pages.parts.session import init_session
from pages.parts.setup_drawing import draw_setup
from pages.parts.wafer.chart import duration_between, error_bars
from pages.state import ideas
from pages.state.measured import measured_models, phase_total
from pages.state.text import as_plain
from wse_backend import models as model_files

GIVEN = "modelled for a WSE-3 (docs/wafer.md says how well the model fits published measurements)"
CAUSE_NAMES = {
    "compute": "Arithmetic",
    "hops": "Distance (hops)",
    "routing": "Routing stages",
    "overhead": "Fixed overhead",
}

session = init_session()


def show(figure: go.Figure, key: str, alt: str) -> None:
    """One chart of this page."""
    st.plotly_chart(with_legend_below(figure), config=CHART_CONFIG, key=f"learn_{key}", alt=alt)


def bars(names: list[str], values: list[float], x_title: str, unit: str) -> go.Figure:
    """Horizontal bars with their values."""
    figure = go.Figure()
    figure.add_bar(
        y=names,
        x=values,
        orientation="h",
        text=[f"{value:,.3g} {unit}" for value in values],
        textposition="auto",
        hovertemplate="%{text}<extra></extra>",
    )
    figure.update_xaxes(title=x_title, rangemode="tozero")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_layout(height=90 + 38 * len(names), showlegend=False)
    return figure


def draw_moa() -> None:
    st.markdown(
        "A **Mixture of Agents** (Wang et al. 2024, arXiv 2406.04692) asks several language models the same "
        "question. The agents of one **agent layer** answer at the same time. The next agent layer gets the "
        "question and all of these answers. At the end a **summarizer** writes one answer. Nothing is "
        "trained: "
        "all that passes between agents is text. This is your setup:"
    )
    draw_setup(session.draft, key="learn_setup")
    st.page_link("pages/agents.py", label="Change it", icon=":material/tune:")


def draw_layer() -> None:
    st.markdown(
        "The word **layer** has two meanings here, so both are always named in full. An **agent layer** is a "
        "group of agents that answer at once. A **transformer layer** is a part inside one model (SmolLM2 "
        "has "
        "30 of them) that every token passes.\n\nEach agent layer reads all answers of the one before it, so "
        "prompts grow with the number of agents, and the summarizer reads the last ones:"
    )
    with row():
        n_layers = st.slider("Agent layers", 1, 4, 2, key="learn_layers", width=200)
        n_agents = st.slider("Agents in each", 1, 8, 3, key="learn_agents", width=200)
        answer = st.slider("Tokens of an answer", 50, 1000, 256, 50, key="learn_answer", width=200)
    rows = ideas.prompt_tokens(n_layers, n_agents, answer, 60)
    figure = bars(
        [f"{name}, {calls} ×" for name, calls, _ in rows],
        [float(tokens) for *_, tokens in rows],
        "Prompt tokens of each call (question of 60 tokens)",
        "tokens",
    )
    show(figure, "growth", "Prompt tokens of each call, by agent layer")
    total = sum(calls * tokens for _, calls, tokens in rows)
    st.caption(f"Computed here: {total:,} prompt tokens in all.")


def draw_experts() -> None:
    st.markdown(
        "A **mixture of experts** is something else, in spite of its name: it is one model. In each of its "
        "transformer layers stand several feed-forward networks, the experts, and a small **router** "
        "sends every "
        "token to the best two or so. It is trained as a whole, the choice is made per token, and what "
        "passes "
        "are numbers. In a mixture of agents whole models work, the choice is yours, and what passes is text."
    )
    engine = loaded_engine(has_experts=True)
    if engine is not None:
        draw_routing(engine)
        return
    with row():
        n_experts = st.slider("Experts", 4, 16, 8, key="learn_experts", width=200)
        n_chosen = st.slider("Chosen for each token", 1, 4, 2, key="learn_chosen", width=200)
        token = st.number_input("Token number", 1, 99, 1, key="learn_token", width=150)
    shares, chosen = ideas.router_weights(n_experts, n_chosen, int(token))
    figure = go.Figure()
    names = [str(number + 1) for number in range(n_experts)]
    figure.add_bar(x=names, y=shares.tolist(), name="The router's view", hovertemplate="%{y:.1%}")
    figure.add_bar(x=names, y=chosen.tolist(), name="What is used", hovertemplate="%{y:.1%}")
    figure.update_xaxes(title="Expert", showgrid=False)
    figure.update_yaxes(title="Weight", rangemode="tozero", tickformat=".0%")
    figure.update_layout(height=280, barmode="group")
    show(figure, "router", f"Weights of {n_experts} experts for one token, {n_chosen} of them chosen")
    st.caption(
        "Computed here with drawn weights: no model with experts is loaded. With one in memory, its own "
        "router is drawn."
    )
    st.page_link("pages/models.py", label="Models with experts", icon=":material/database:")


def draw_token() -> None:
    st.markdown(
        "A language model writes one **token** at a time, a word or a piece of one. It gives every token "
        "it knows "
        "a number; the softmax makes probabilities of them, and one token is drawn. The **temperature** "
        "divides "
        "the numbers first: low makes the likeliest token certain, high gives others a chance."
    )
    draw_next_token()


def draw_looking() -> None:
    st.markdown(
        "In each transformer layer a token looks back at those before it and takes something of each: that "
        "is **attention**. How much of which is what the layer's **heads** decide, each in a way of its own "
        "that it has learned. So a pronoun can find its noun, and a closing bracket its opening one. Nothing "
        "looks forward: that text is not written yet."
    )
    draw_attention()


def draw_prefill() -> None:
    st.markdown(
        "A call has two phases. In **prefill** the model reads the prompt, many tokens in one pass over its "
        "weights. In **decode** it writes, one token after another, and each needs a pass of its own: all "
        "weights "
        "are read from memory for a single token. That is why reading is fast and writing is slow, and "
        "why agents "
        "of one agent layer share their passes here: one reading of the weights serves them all."
    )
    cards = model_files.CARDS
    name = st.selectbox("Model", list(cards), key="learn_model")
    together = (1, 2, 3, 6, 32, 256)
    figure = bars(
        [
            "Decode, 1 agent",
            "2 agents",
            "3 agents",
            "6 agents",
            "Prefill, 32 at once",
            "Prefill, 256 at once",
        ],
        [value / 1e6 for value in ideas.bytes_per_token(cards[name].size_bytes, together)],
        "Megabytes of weights read for each token",
        "MB",
    )
    figure.update_xaxes(type="linear")
    show(figure, "prefill", "Megabytes of weights read for each token, by how many tokens share a pass")
    st.caption("Computed here: the size of the model's file over the tokens that share a pass.")
    records = session.last_run.records if session.last_run else ()
    for model in measured_models(records):
        read, write = (phase_total(records, model, phase) for phase in ("prefill", "decode"))
        if read and write:
            st.caption(
                f"Measured in your last run, {as_plain(model)}: {read.pass_ms / read.tokens_per_pass:.1f} "
                f"ms per "
                f"token in prefill, {write.pass_ms / write.tokens_per_pass:.1f} ms in decode."
            )


def draw_cache() -> None:
    st.markdown(
        "To write the next token, a model looks back at all earlier ones. It keeps two vectors for "
        "every earlier token and transformer layer, its **keys and values**, so that they are computed "
        "only once: "
        "the **KV cache**. It grows with the conversation, and it is why long prompts cost memory. Agents "
        "whose "
        "prompts begin alike share that part of it here."
    )
    figure = go.Figure()
    for name, sizes in ideas.cache_curves().items():
        figure.add_scatter(x=list(ideas.CONTEXTS), y=sizes, name=name, mode="lines+markers")
    figure.update_xaxes(title="Tokens in the conversation", type="log", tickvals=list(ideas.CONTEXTS))
    figure.update_xaxes(ticktext=[f"{context / 1024:g}k" for context in ideas.CONTEXTS])
    figure.update_yaxes(title="GB", rangemode="tozero")
    figure.update_layout(height=320, hovermode="x unified")
    show(figure, "cache", "Gigabytes of KV cache over the length of a conversation, for three models")
    st.caption("Computed here from the published shapes: 2 × layers × width of keys × 2 bytes × tokens.")


def draw_first_token() -> None:
    st.markdown(
        "The **time to first token** is how long a reader stares at nothing: the queue, the prefill of "
        "the whole "
        "prompt, one step of decode. In a mixture of agents every agent layer adds one, because it can "
        "start only "
        "when the slowest agent before it is done."
    )
    times = ideas.first_token_curve()
    figure = go.Figure()
    figure.add_scatter(
        x=list(ideas.PROMPTS),
        y=[one.value for one in times],
        error_y=error_bars(times),
        mode="lines+markers",
        name="Llama 3 8B on a WSE-3",
    )
    figure.update_xaxes(title="Tokens of the prompt")
    figure.update_yaxes(title="Milliseconds", rangemode="tozero")
    figure.update_layout(height=300)
    show(figure, "first", "Time to first token over the length of the prompt on a wafer")
    longest = duration_between(times[-1].scaled(1e-3))
    st.caption(
        f"Computed here, {GIVEN}: {longest} for {ideas.PROMPTS[-1]:,} tokens, an extrapolation: no WSE-3 was "
        "measured. Your own runs' times stand on Chat, under What this run took."
    )


def draw_wafer() -> None:
    st.markdown(
        "A **wafer-scale engine** is one chip as large as a whole silicon wafer: some 900,000 small "
        "processors, the "
        "**PEs** (processing elements), each with its own 48 KB of memory, in a mesh where each talks to "
        "its four "
        "neighbours. All weights lie in that memory, so decode need not wait for any other. What costs "
        "time then "
        "is the way between PEs: distance and routing."
    )
    causes = ideas.decode_causes()
    figure = bars(
        [CAUSE_NAMES[cause] for cause in causes],
        list(causes.values()),
        "Microseconds for one token of Llama 3 8B",
        "µs",
    )
    show(figure, "wafer", "Microseconds of one token by cause on a wafer")
    st.caption(
        f"Computed here, {GIVEN}: {duration_between(ideas.token_interval())} in all, an extrapolation: no "
        "WSE-3 was measured."
    )
    st.page_link("pages/wafer.py", label="To the Wafer page", icon=":material/memory:")


IDEAS: dict[str, tuple[str, Callable[[], None]]] = {
    "agents": ("Mixture of agents, summarizer", draw_moa),
    "layer": ("Layer", draw_layer),
    "experts": ("Mixture of experts, router", draw_experts),
    "token": ("Token, temperature", draw_token),
    "prefill": ("Prefill and decode", draw_prefill),
    "attention": ("Attention, heads", draw_looking),
    "cache": ("KV cache", draw_cache),
    "first": ("Time to first token", draw_first_token),
    "wafer": ("Wafer, PE", draw_wafer),
}


def follow_address() -> None:
    """Show the idea that a link asked for; what was chosen since stays chosen."""
    asked = st.query_params.get("idea")
    if asked in IDEAS and asked != st.session_state.get("learn_asked"):
        st.session_state["learn_idea"] = asked
    st.session_state["learn_asked"] = asked
    st.session_state.setdefault("learn_idea", "agents")


def tell_address() -> None:
    """The address names the chosen idea, so that it can be handed on."""
    st.query_params["idea"] = st.session_state["learn_asked"] = st.session_state["learn_idea"]


with page_body():
    page_title("Learn")
    follow_address()
    idea = st.pills(
        "An idea",
        list(IDEAS),
        required=True,
        format_func=lambda name: IDEAS[name][0],
        key="learn_idea",
        on_change=tell_address,
        label_visibility="collapsed",
    )
    title, draw = IDEAS[idea or "agents"]
    st.subheader(title)
    draw()
