"""The Host page's section about the game around a round: announcements, pause, prizes, a copy."""

from __future__ import annotations

import streamlit as st

from grader.competition import Round
from grader.competition.limits import ANNOUNCEMENT_CHARS, MAX_PRIZES, TITLE_CHARS
from grader.competition.rounds import PRIZE_BOARDS
from pages.parts.backend import engine_pool
from pages.parts.competition import backend as shared
from pages.parts.competition.view import KIND_NAMES
from pages.parts.host.controls import act
from pages.parts.layout import row
from pages.state.text import as_plain, count

LIVE_S = 3
BOARD_NAMES: dict[str, str] = {"final": "Final"} | {str(kind): name for kind, name in KIND_NAMES.items()}


def draw_game(found: Round) -> None:
    """Everything that changes how the round is played, not what is in it."""
    draw_announcement(found)
    draw_load()
    rounds = shared.store().rounds
    with row(vertical_alignment="bottom"):
        paused = found.has_paused_runs
        st.button(
            "Let runs start again" if paused else "Pause new runs",
            icon=":material/play_circle:" if paused else ":material/pause_circle:",
            key="host_pause_runs",
            help="Runs that have begun go on; nobody starts another one in this app while it is paused.",
            on_click=act,
            args=(
                "Runs can start again." if paused else "New runs are paused.",
                lambda: rounds.pause_runs(found.id, not paused),
            ),
        )
        st.button(
            "Copy the round",
            icon=":material/content_copy:",
            key="host_copy",
            help="A new round with the same rules and other hidden cases, without people.",
            on_click=act,
            args=("The round is copied; it waits to be opened.", lambda: rounds.copy(found.id)),
        )
    draw_prizes(found)


@st.fragment(run_every=LIVE_S)
def draw_load() -> None:
    """What this machine's models are doing now."""
    engines = engine_pool().loaded()
    if not engines:
        st.caption(":material/speed: No model is loaded on this machine.")
    for engine in engines:
        running, waiting = engine.n_requests
        st.caption(
            f":material/speed: {as_plain(engine.name)}: {count(running, 'answer')} being written, "
            f"{waiting} waiting for a place"
        )


def draw_announcement(found: Round) -> None:
    """A line for every page of the app."""
    key = f"host_announcement_{found.id}"
    st.session_state.setdefault(key, found.announcement)

    def announce() -> None:
        text = st.session_state[key]
        said = "Everybody sees the announcement." if text.strip() else "The announcement is gone."
        act(said, lambda: shared.store().rounds.announce(found.id, text))

    with st.form("host_announce", border=False), row(vertical_alignment="bottom"):
        st.text_input("Announcement on every page", max_chars=ANNOUNCEMENT_CHARS, key=key, width=560)
        st.form_submit_button("Announce", icon=":material/campaign:", on_click=announce)


def draw_prizes(found: Round) -> None:
    """A table of prizes; the first place of a board wins its prize."""
    given = [{"prize": name, "board": BOARD_NAMES[board]} for name, board in found.prize_list]
    edited = st.data_editor(
        given or [{"prize": "", "board": BOARD_NAMES["final"]}],
        num_rows="dynamic",
        hide_index=True,
        key=f"host_prizes_{found.id}",
        column_config={
            "prize": st.column_config.TextColumn("Prize", max_chars=TITLE_CHARS),
            "board": st.column_config.SelectboxColumn(
                "For the first place of", options=[BOARD_NAMES[board] for board in PRIZE_BOARDS]
            ),
        },
    )
    by_name = {name: board for board, name in BOARD_NAMES.items()}
    prizes = [
        (str(line["prize"]).strip(), by_name[line["board"]])
        for line in edited[:MAX_PRIZES]
        if line.get("prize") and line.get("board")
    ]
    st.button(
        "Keep these prizes",
        icon=":material/emoji_events:",
        key="host_keep_prizes",
        on_click=act,
        args=("The prizes are kept.", lambda: shared.store().rounds.set_prizes(found.id, prizes)),
    )
