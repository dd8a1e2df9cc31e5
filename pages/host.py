"""Run a round: create, open, close, watch, save. Behind HOST_PASSWORD, or a sign-in and HOST_EMAILS."""

import hashlib
import secrets

import streamlit as st

from grader.competition import (
    CompetitionError,
    Round,
    Source,
    browser_token,
    host_key_problem,
    is_host_key,
    is_same_password,
    sources,
    why_unplayable,
)
from pages.parts import sign_in
from pages.parts.competition import backend as shared
from pages.parts.competition.projector import draw_projector
from pages.parts.competition.view import show_competition_problem
from pages.parts.host.controls import (
    draw_board,
    draw_controls,
    draw_files,
    draw_receipt,
    draw_restore,
    new_round_form,
)
from pages.parts.host.entries import draw_participants, draw_submissions
from pages.parts.host.final import draw_final
from pages.parts.host.game import draw_game
from pages.parts.host.preview import draw_preview
from pages.parts.host.servers import draw_servers
from pages.parts.layout import page_body, page_title, row
from pages.parts.session import init_session
from pages.parts.settings import host_emails
from pages.state.text import as_plain, capitalised

session = init_session()
KNOWN = "host"  # where the browser's session keeps that the password was right there once
OPENED = "host_opened"  # a digest of the password or key that opened the page; another one closes it again
SECTIONS = {
    "board": "Board",
    "participants": "Participants",
    "submissions": "Submissions",
    "final": "Final",
    "game": "Game",
    "files": "Files",
}


def digest(password: str) -> str:
    return hashlib.sha256(password.encode("utf-8", "surrogatepass")).hexdigest()


def my_sources(password: str) -> tuple[Source, ...]:
    """What this browser's tries at the password are counted under."""
    session_id = shared.tab()
    address = st.context.ip_address  # None on this machine
    token = str(session.kept.get(KNOWN, ""))
    return sources(session_id, address if isinstance(address, str) else None, token, password)


def enter(password: str, key: str | None) -> None:
    """Open the page for this browser session when password or key is right, and know its browser again."""
    given = st.session_state["host_password"]
    limiter = shared.password_limiter()
    if is_host_key(given, key) or limiter.attempt(
        lambda: is_same_password(given, password), *my_sources(password)
    ):
        st.session_state[OPENED] = digest(given)
        session.kept[KNOWN] = browser_token(password)
        session.save()
    else:
        st.session_state["host_is_wrong"] = True
    st.session_state["host_password"] = ""


def leave() -> None:
    """Close the page; whoever is in by their account leaves by signing out."""
    st.session_state.pop(OPENED, None)
    if sign_in.is_host():
        sign_in.sign_out(session, "host")


def draw_account_gate() -> None:
    """The way in for hosts who are known by their address."""
    if sign_in.account() is None:
        st.caption("Hosts sign in with their account.")
        sign_in.draw_sign_in(session, "host")
        return
    sign_in.draw_signed_in(session, "host")
    if sign_in.is_unverified_host():
        st.warning(
            "This account's address is on the list of hosts, but its provider does not say that it has "
            "verified it (the claim email_verified). Use HOST_PASSWORD, or a provider that says so.",
            title="The address is not verified",
            icon=":material/lock:",
        )
    else:
        st.warning("This account is not on the list of hosts.", icon=":material/lock:")


def draw_key_problem(key: str | None) -> None:
    """Why the configured host key opens nothing, without saying what it is."""
    why = host_key_problem(key) if key else None
    if why:
        st.warning(
            f"{capitalised(why)}. Set one that nobody could guess, such as the line below, or remove it.",
            title="HOST_KEY is not used",
            icon=":material/key_off:",
        )
        st.code(proposed("HOST_KEY", 24), language="toml")


def proposed(name: str, n_bytes: int) -> str:
    """A line for the secrets with a value that nobody guesses, the same as long as this tab is open."""
    value = st.session_state.setdefault(f"host_proposed_{name}", secrets.token_urlsafe(n_bytes))
    return f'{name} = "{value}"'


def draw_gate(password: str | None, key: str | None) -> None:
    """What stands here for everybody who is not the host."""
    if sign_in.is_configured() and host_emails():
        draw_account_gate()
        if not password:
            return
    if not password:
        st.info(
            "This page opens with a password that is not set yet. Put a line such as "
            '`HOST_PASSWORD = "..."` into `.streamlit/secrets.toml` (on Community Cloud: the app\'s '
            "secrets), or set the environment variable HOST_PASSWORD, and restart the app.",
            title="No host password is configured",
            icon=":material/lock:",
        )
        st.caption(
            "Lines to copy: a password that nobody guesses, and a key that opens this page on a new device "
            "also while somebody guesses the password. Keep the key where only you find it."
        )
        lines = (proposed("HOST_PASSWORD", 12), proposed("HOST_KEY", 24))
        st.code("\n".join(lines), language="toml")
        with row():
            st.button("I have set it", icon=":material/refresh:", key="host_look_again")
            st.page_link("pages/competition.py", label="To the competition", icon=":material/leaderboard:")
        return
    wait_s = shared.password_limiter().wait_s(*my_sources(password))
    with st.form("host_gate", width=420):
        st.text_input("Host password", type="password", key="host_password", max_chars=200)
        st.form_submit_button(
            "Enter", type="primary", icon=":material/login:", on_click=enter, args=(password, key)
        )
    was_wrong = st.session_state.pop("host_is_wrong", False)
    if wait_s > 0:
        also = " The host key opens this page at once." if key and not host_key_problem(key) else ""
        st.error(
            f"Too many wrong passwords. Try again in {wait_s:.0f} s.{also}", icon=":material/hourglass_top:"
        )
    elif was_wrong:
        st.error("This is not the password.", icon=":material/lock:")
    draw_key_problem(key)


def draw_storage_note() -> None:
    """Where the data is, and what that means."""
    database = shared.store().database
    if not database.is_sqlite:
        st.caption(f":material/database: PostgreSQL: {as_plain(database.place)}")
        return
    if shared.is_on_community_cloud():
        st.warning(
            "Community Cloud's disk does not survive a restart of the app, and an app that nobody visits is "
            "restarted. Download the round often (Files), or set `[connections.competition] url` to a "
            "PostgreSQL database in the app's secrets.",
            title="This round can be lost",
            icon=":material/warning:",
        )
        return
    st.caption(f":material/database: SQLite file {as_plain(database.place)} on this machine")


def choose_round(rounds: list[Round]) -> Round:
    """The round to work on."""
    by_id = {each.id: each for each in rounds}
    if st.session_state.get("host_round") not in by_id:
        st.session_state.pop("host_round", None)
    chosen = st.selectbox(
        "Round",
        list(by_id),
        format_func=lambda number: by_id[number].title,
        key="host_round",
        persist_state="session",
    )
    return by_id[chosen]


def draw_round(found: Round) -> None:
    """One round: its controls, then one section at a time."""
    why = why_unplayable(found)
    if why is not None:
        st.error(
            f"{as_plain(capitalised(why))}. Save it or delete it here.",
            title="This round cannot be played here",
            icon=":material/block:",
        )
        draw_files(found)
        return
    draw_controls(found)
    section = st.segmented_control(
        "Section",
        list(SECTIONS),
        default="board",
        required=True,
        format_func=SECTIONS.__getitem__,
        key="host_section",
        label_visibility="collapsed",
    )
    if section == "board":
        draw_board(found)
    elif section == "participants":
        draw_participants(found)
    elif section == "submissions":
        draw_submissions(session, found)
    elif section == "final":
        draw_final(found)
    elif section == "game":
        draw_game(found)
    else:
        draw_files(found)


def is_on_the_wall() -> bool:
    """Whether this tab shows the projector."""
    return st.session_state.get("host_view") == "projector"


def draw_view_switch() -> None:
    """The way to the wall, and back."""
    st.segmented_control(
        "View",
        ["desk", "projector"],
        default="desk",
        required=True,
        format_func={"desk": "Desk", "projector": "Projector"}.__getitem__,
        key="host_view",
        label_visibility="collapsed",
        persist_state="session",
    )


def draw_desk() -> None:
    """The host's desk: the projector, or the rounds."""
    rounds = shared.store().rounds.all()
    if is_on_the_wall() and rounds:
        shown: int = st.session_state.get("host_shown_round", 0)
        draw_projector(shown if any(each.id == shown for each in rounds) else rounds[0].id)
        draw_view_switch()  # below: what the class sees begins with the board
        return
    with page_title("Host"):
        draw_view_switch()
        st.button("Leave", icon=":material/logout:", on_click=leave, key="host_leave", type="tertiary")
    problem, said = st.session_state.get("host_problem"), st.session_state.get("host_said", "")
    if st.session_state.get("host_code_seen"):
        st.session_state.pop("host_code", None)
    st.session_state["host_code_seen"] = "host_code" in st.session_state
    if problem is not None:
        show_competition_problem(problem)
    if said:
        st.success(as_plain(said), icon=":material/check:")
    draw_key_problem(shared.host_key())
    draw_receipt()
    draw_storage_note()
    if rounds:
        found = choose_round(rounds)
        st.session_state["host_shown_round"] = found.id
        draw_round(found)
    new_round_form(is_expanded=not rounds)
    draw_preview()
    draw_restore()
    draw_servers()
    # Only now: where a part that looks by itself draws the page anew, this run was never seen to its end.
    for read in ("host_problem", "host_said"):
        st.session_state.pop(read, None)


password, key = shared.host_password(), shared.host_key()
sign_in.arrive(session)
is_open = bool(password) and st.session_state.get(OPENED) in [
    digest(each) for each in (password, key) if each
]
is_in = sign_in.is_host() or is_open
with page_body(is_wall=is_in and is_on_the_wall()):
    if not is_in:
        page_title("Host")
        st.caption("For whoever runs the competition.")
        draw_gate(password, key)
    else:
        try:
            draw_desk()
        except CompetitionError as exc:
            page_title("Host")
            show_competition_problem(exc)
            st.button("Try again", key="host_again", icon=":material/refresh:")
