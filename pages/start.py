"""The first page: what this is, how the agents are set up, where one is, and the ways on."""

import streamlit as st

from moa_core import MoAError
from pages.parts import backend
from pages.parts.layout import page_body, page_title, row
from pages.parts.own_key import draw_own_key
from pages.parts.session import forget_everything, init_session, sessions
from pages.parts.settings import OWN_KEY
from pages.parts.setup import setup_line
from pages.parts.setup_drawing import draw_setup
from pages.parts.sign_in import return_to_page
from pages.parts.tour import begin_tour
from pages.state.servers import ServerSetting
from pages.state.text import as_plain, count, size
from wse_backend import machine
from wse_backend import models as model_files

WAYS = (
    ("pages/chat.py", "Ask your agents", ":material/forum:", "Watch every agent answer, layer by layer."),
    (
        "pages/challenge.py",
        "The challenge",
        ":material/trophy:",
        "Let them write a function, graded at once.",
    ),
    (
        "pages/competition.py",
        "The competition",
        ":material/leaderboard:",
        "Hand in what they wrote, and rise.",
    ),
    (
        "pages/lab.py",
        "The lab",
        ":material/science:",
        "Many tries instead of one lucky draw, and what is sure.",
    ),
    ("pages/wafer.py", "The wafer", ":material/memory:", "Where each millisecond goes, here and on a wafer."),
    (
        "pages/learn.py",
        "Look a word up",
        ":material/school:",
        "Each idea in short, with a live chart.",
    ),
)

session = init_session()
return_to_page(session)


def start_tour() -> None:
    """To the first step of the guided run, which is on Chat."""
    begin_tour()
    st.session_state["start_go"] = True


def draw_what() -> None:
    """What this is, in five lines."""
    st.markdown(
        "Several small language models can answer better than one: that is the idea of a **Mixture of "
        "Agents**. "
        "Agents answer a question in layers, each layer reads what the one before it wrote, and a summarizer "
        "makes one answer of the last ones.\n\n"
        "Here you set such agents up, watch them write token by token, open any call, and see where the time "
        "goes. Then you compete: whoever's agents write the best function leads the class.\n\n"
        "Everything runs inside this app on real open weights. No key and no account are needed."
    )
    with row(vertical_alignment="center"):
        st.button(
            "Guided first run, two minutes",
            type="primary",
            icon=":material/play_circle:",
            key="start_tour",
            on_click=start_tour,
        )
        st.page_link("pages/chat.py", label="Or ask right away", icon=":material/forum:")


def draw_models() -> None:
    """Which models are on disk, which would have to be fetched, and the memory there is for them."""
    lines = []
    for name, card in model_files.CARDS.items():
        is_here = model_files.is_downloaded(name)
        icon = ":green[:material/check_circle:]" if is_here else ":gray[:material/download:]"
        state = "on disk" if is_here else f"{size(card.size_bytes)} to fetch at its first use"
        lines.append(
            f"{icon} **{as_plain(name)}** · {state}, {card.ram_note} of memory · {as_plain(card.note)}"
        )
    others = [name for name in model_files.available() if name not in model_files.CARDS]
    if others:
        lines.append(
            f":green[:material/check_circle:] {count(len(others), 'file')} of your own in the model folder"
        )
    st.markdown("\n\n".join(lines))
    free, cores = machine.memory_available_bytes(), machine.n_cores()
    st.caption(f"This machine: {count(cores, 'core')}, {size(free)} of memory left for models.")


def draw_cloud() -> None:
    """Whether there is a key, whether the cloud takes it, and a field for one's own."""
    found, problem = backend.cloud_models()
    if problem:
        whose = "Your own key is" if st.session_state.get(OWN_KEY) else "A key or an address is"
        for line in problem.splitlines():
            st.markdown(f":red[:material/key_off:] {whose} there, but: {as_plain(line)}")
    elif not backend.has_servers():
        st.markdown(":gray[:material/cloud_off:] No cloud key: all models run in this app. That is fine.")
    for server in backend.servers() if backend.has_servers() else ():
        models = [choice for choice in found if choice.where == server.name]
        if models:
            st.markdown(
                f":green[:material/cloud_done:] {_whose(server)}: {count(len(models), 'model')} to choose."
            )
    with st.expander("Use a cloud key of your own", icon=":material/key:"):
        draw_own_key()


def forget_all() -> None:
    """Take all of this browser off the server."""
    from pages.parts.lab.backend import forget_experiments  # this page needs the Lab for nothing else

    try:
        forget_experiments()
    except MoAError as exc:
        st.toast(f"The experiments could not be deleted: {as_plain(str(exc))}", icon=":material/error:")
    forget_everything()


def _whose(server: ServerSetting) -> str:
    """ "Cerebras cloud, with the app's key", or only the name of a server that wants none.

    That it lists its models does not say that it takes the key: OpenRouter's list is open to all.
    """
    if not server.api_key:
        return as_plain(server.title)
    whose = "your own" if server.api_key == st.session_state.get(OWN_KEY) else "the app's"
    return f"{as_plain(server.title)}, with {whose} key"


def draw_kept() -> None:
    """What this browser has here, and the button that forgets it."""
    agents, turns, attempts = len(list(session.draft.agents)), len(session.turns), len(session.attempts)
    seats = len(session.seats)
    st.markdown(
        f"{count(agents, 'agent')}, {count(turns, 'question')}, {count(attempts, 'attempt')} and "
        f"{count(seats, 'seat')} in rounds are kept for this browser: a reload, a second tab and a "
        f"restart of the "
        "server find them again, another browser never does."
    )
    if sessions().problem:
        st.warning(
            f"The disk takes nothing ({as_plain(sessions().problem or '')}): a restart of the server will "
            f"lose it."
        )
    with st.popover("Forget everything here", icon=":material/delete_forever:"):
        st.markdown(
            "Agents, conversation, attempts, experiments and your seats in rounds are deleted, on the "
            "server too. A run that is going on is stopped. What you handed in stays with its round."
        )
        st.button("Forget it all", type="primary", key="start_forget", on_click=forget_all)


if st.session_state.pop("start_go", False):
    st.switch_page("pages/chat.py")

with page_body():
    page_title("MoA workshop")
    draw_what()
    st.subheader("Your agents")
    with row(vertical_alignment="center", gap="small"):
        st.caption(setup_line(session.draft), width="content")
        st.page_link("pages/agents.py", label="Change them", icon=":material/tune:")
    draw_setup(session.draft, key="start_setup")

    st.subheader("Ways on")
    with st.grid(3, min_column_width=260):
        for page, title, icon, words in WAYS:
            with st.container(border=True, height="stretch", gap="xsmall"):
                st.page_link(page, label=f"**{title}**", icon=icon)
                st.caption(words)

    st.subheader("Where you are")
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True, height="stretch"):
        st.markdown("**Models in this app**")
        draw_models()
    with right, st.container(border=True, height="stretch"):
        st.markdown("**Cloud**")
        draw_cloud()
        st.markdown("**Your work here**")
        draw_kept()
