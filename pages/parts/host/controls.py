"""The parts of the Host page. Every change happens in a callback and says what it did."""

from __future__ import annotations

import json
from collections.abc import Callable

import streamlit as st

from grader import challenge as find_challenge
from grader import challenges
from grader.competition import (
    VISIBILITIES,
    CompetitionError,
    Round,
    RoundBudget,
    Visibility,
    backup,
    now_ms,
    restore,
    to_csv,
    to_json,
    why_unplayable,
)
from grader.competition.gradebook import to_gradebook
from grader.competition.limits import MAX_TEAM_SIZE
from pages.parts.competition import backend as shared
from pages.parts.competition.view import (
    KIND_NAMES,
    board_table,
    countdown,
    show_competition_problem,
    state_badge,
)
from pages.parts.files import offer_file
from pages.parts.layout import row
from pages.state.certificate import RoundOutcome, to_zip
from pages.state.text import as_plain

LIVE_S = 3
BACKUP_MB = 200
MINUTE_S = 60
VISIBILITY_NAMES: dict[Visibility, str] = {
    "everyone": "Everybody sees the board",
    "own": "Only their own scores",
    "closed": "No scores before the end",
}


def act(said: str, change: Callable[[], object]) -> None:
    """Make a change; what went wrong, or that it worked, is shown on the next run."""
    try:
        change()
    except CompetitionError as exc:
        st.session_state["host_problem"] = exc
        return
    st.session_state["host_said"] = said
    shared.forget()


def draw_controls(found: Round) -> None:
    """Open, close, extend, freeze, hide names, visibility."""
    state, rounds = found.state(now_ms()), shared.store().rounds
    draw_state(found, state)
    with row(gap="small", vertical_alignment="bottom"):
        if state == "open":
            st.button(
                "Close",
                icon=":material/stop_circle:",
                key="host_close",
                on_click=act,
                args=("The round is closed.", lambda: rounds.close(found.id)),
            )
        else:
            st.button(
                "Open now" if state != "closed" else "Open again",
                icon=":material/play_circle:",
                type="primary",
                key="host_open",
                on_click=act,
                args=("The round is open.", lambda: rounds.open(found.id)),
            )
        for minutes in (5, 15):
            st.button(
                f"+{minutes} min",
                key=f"host_extend_{minutes}",
                help="Until it closes; from now when it has no end or is closed.",
                on_click=act,
                args=(
                    f"The round runs {minutes} min longer.",
                    lambda minutes=minutes: rounds.extend(found.id, minutes * MINUTE_S),
                ),
            )
        if found.frozen_ms is None:
            st.button(
                "Freeze the board",
                icon=":material/ac_unit:",
                key="host_freeze",
                on_click=act,
                args=("The board stands still for everybody but you.", lambda: rounds.freeze(found.id)),
            )
        else:
            st.button(
                "Show everything",
                icon=":material/wb_sunny:",
                key="host_unfreeze",
                on_click=act,
                args=("The board moves again.", lambda: rounds.unfreeze(found.id)),
            )
        hidden = found.has_hidden_names
        st.button(
            "Show names" if hidden else "Hide names",
            icon=":material/visibility:" if hidden else ":material/visibility_off:",
            key="host_names",
            on_click=act,
            args=(
                "Nicknames are shown." if hidden else "Numbers are shown instead of nicknames.",
                lambda: rounds.hide_names(found.id, not hidden),
            ),
        )
        draw_visibility(found)


def draw_visibility(found: Round) -> None:
    """Who sees scores while the round is open."""
    key = f"host_visibility_{found.id}"

    def change() -> None:
        chosen = st.session_state[key]
        act(
            f"{VISIBILITY_NAMES[chosen]}.",
            lambda: shared.store().rounds.set_visibility(found.id, chosen),
        )

    st.selectbox(
        "Who sees scores",
        VISIBILITIES,
        index=VISIBILITIES.index(found.visibility),
        format_func=VISIBILITY_NAMES.__getitem__,
        key=key,
        on_change=change,
        label_visibility="collapsed",
        width=240,
    )


@st.fragment(run_every=LIVE_S)
def draw_state(found: Round, drawn: str) -> None:
    """How the round is going, live; a round that ends by its clock redraws the page.

    drawn: what it was when the page was drawn. A change that the host has just made is no news: the page
    would be drawn once more and what it said about it would be gone.
    """
    state = found.state(now_ms())
    if state != drawn:
        st.rerun()
    try:
        n_people, n_submissions = shared.counts(found)
    except CompetitionError as exc:
        show_competition_problem(exc)
        return
    with row(gap="medium", vertical_alignment="center"):
        state_badge(found)
        st.metric("Participants", n_people, width="content")
        st.metric("Submissions", n_submissions, width="content")
        st.metric("Being graded", shared.grading_queue().n_queued, width="content")
        left = countdown(found)
        if left:
            st.metric("Opens in" if state == "waiting" else "Time left", left, width="content")
        seed = f"seed {found.seed}"
        st.caption(f"{as_plain(find_challenge(found.challenge).title)} · {seed}", width="content")


@st.fragment(run_every=LIVE_S)
def draw_board(found: Round) -> None:
    """The host's board: live, with names, not frozen."""
    kind = st.segmented_control(
        "Board",
        list(KIND_NAMES),
        default="best",
        required=True,
        format_func=KIND_NAMES.__getitem__,
        key="host_kind",
        label_visibility="collapsed",
    )
    if found.frozen_ms or found.has_hidden_names:
        st.caption(":material/info: You see names and every submission; the others do not.")
    try:
        rows = shared.store().boards.board(found.id, kind)
    except CompetitionError as exc:
        show_competition_problem(exc)
        return
    named = Round(**{**vars(found), "has_hidden_names": False})
    board_table(rows, named, kind, max_score=find_challenge(found.challenge).max_score)


def draw_files(found: Round) -> None:
    """Tables to study, the backup, and deletion."""
    stem = f"round-{found.uid[:8]}"
    store = shared.store()
    with row():
        offer_file(
            "Table (CSV)",
            lambda: to_csv(store, found.id),
            f"{stem}.csv",
            icon="table",
            key="host_csv",
        )
        offer_file(
            "Gradebook (CSV)",
            lambda: to_gradebook(store, found.id),
            f"{stem}-gradebook.csv",
            icon="school",
            key="host_gradebook",
            about="A line per person and a column per check, for a learning platform.",
            is_disabled=why_unplayable(found) is not None,
        )
        draw_certificates(found, stem)
        offer_file(
            "Everything (JSON)",
            lambda: to_json(store, found.id),
            f"{stem}.json",
            icon="data_object",
            key="host_json",
        )
        offer_file(
            "Backup of the round",
            lambda: backup(store, found.id),
            f"{stem}.moa-round.gz",
            icon="save",
            key="host_backup",
            is_primary=True,
        )
    st.caption(
        "The backup restores the round here or elsewhere, and its participants come back with their codes. "
        "It holds only hashes of them; keep it to yourself all the same."
    )
    st.button(
        "Delete the round",
        icon=":material/delete:",
        key="host_delete",
        on_click=lambda: st.session_state.update(host_deleting=found.id),
    )
    if st.session_state.get("host_deleting") == found.id:
        confirm_delete(found)


def draw_certificates(found: Round, stem: str) -> None:
    """One printable page for everybody with a place: in the newest final that is done, else on the board."""

    def pack() -> bytes:
        store = shared.store()
        done = next((each for each in store.finals.of_round(found.id) if each.state == "done"), None)
        outcome = (
            RoundOutcome(store.boards.board(found.id))
            if done is None
            else RoundOutcome((), done, store.final_boards.standings(done.id))
        )
        people = store.participants.of_round(found.id)
        return to_zip(list(shared.all_certificates(found, people, outcome).values()))

    is_over = found.state(now_ms()) == "closed"
    offer_file(
        "Certificates (ZIP)",
        pack,
        f"{stem}-certificates.zip",
        icon="workspace_premium",
        key="host_certificates",
        about="A page to print for each entry." if is_over else "When the round is closed.",
        is_disabled=not is_over or why_unplayable(found) is not None,
    )


def confirm_delete(found: Round) -> None:
    """Deleting takes the round's title, typed."""
    with st.form("host_confirm", width=420):
        st.markdown(f"Everything of **{as_plain(found.title)}** is lost. Type its title to delete it.")
        st.text_input("Title", key="host_typed_title")

        def take_away() -> None:
            st.session_state["host_receipt"] = shared.store().rounds.delete(found.id)

        def delete() -> None:
            if st.session_state["host_typed_title"].strip() != found.title:
                st.session_state["host_said"] = "Nothing was deleted: that is not the title."
                return
            st.session_state.pop("host_deleting", None)
            act(f"{found.title} is deleted; its receipt is below.", take_away)

        with row():
            st.form_submit_button("Delete it", type="primary", icon=":material/delete:", on_click=delete)
            st.form_submit_button("Keep it", on_click=lambda: st.session_state.pop("host_deleting", None))


def new_round_form(*, is_expanded: bool) -> None:
    """The rules of a new round."""
    with (
        st.expander("New round", icon=":material/add:", expanded=is_expanded),
        st.form("host_new", border=False),
    ):
        st.text_input("Title", max_chars=80, key="host_title", placeholder="Monday, group A")
        by_name = {each.name: each.title for each in challenges()}
        with st.grid(3, min_column_width=220):
            st.selectbox("Challenge", list(by_name), format_func=by_name.__getitem__, key="host_challenge")
            st.number_input(
                "Minutes",
                0,
                10_000,
                0,
                key="host_minutes",
                help="From Create and open on. 0: until you close it.",
            )
            st.selectbox(
                "Who sees scores", VISIBILITIES, format_func=VISIBILITY_NAMES.__getitem__, key="host_new_seen"
            )
            st.number_input("Submissions each", 0, 1_000, 0, key="host_limit", help="0: no limit.")
            st.number_input("Seconds between two", 0, 86_400, 10, key="host_cooldown")
            st.text_input(
                "Seed of the hidden cases", key="host_seed", placeholder="drawn", help="Empty: one is drawn."
            )
        draw_new_rules()
        with row():
            st.form_submit_button(
                "Create and open",
                type="primary",
                icon=":material/play_circle:",
                on_click=create,
                args=(True,),
            )
            st.form_submit_button("Create", on_click=create, args=(False,))


def draw_new_rules() -> None:
    """Teams, practice and budgets of a new round; 0 and empty mean free."""
    with st.expander("Teams, practice and budget", icon=":material/rule:"):
        with st.grid(3, min_column_width=220):
            st.number_input("People per entry", 1, MAX_TEAM_SIZE, 1, key="host_team", help="1: no teams.")
            st.number_input("Tokens an attempt", 0, 10**8, 0, key="host_tokens", help="Written in all.")
            st.number_input("Calls an attempt", 0, 10_000, 0, key="host_calls")
            st.text_input("Only these models", key="host_models", placeholder="all", help="With commas.")
            st.text_input("Only these strategies", key="host_strategies", placeholder="all")
            st.number_input(
                "Tokens of the thrifty class", 0, 10**8, 0, key="host_class", help="It has boards of its own."
            )
            st.number_input("Dollars each", 0.0, 1e6, 0.0, key="host_dollars", help="Over all submissions.")
            st.number_input("Dollars per million read", 0.0, 1e5, 0.0, key="host_in")
            st.number_input("Dollars per million written", 0.0, 1e5, 0.0, key="host_out")
        st.checkbox(
            "Practice before it opens",
            key="host_practice",
            help="People may submit before the start; when the round opens, those count no more.",
        )


def typed_budget() -> RoundBudget:
    """The budget that was filled in. Raises Refused for one that is none."""
    state = st.session_state
    most = state["host_class"]
    names = {
        what: tuple(name.strip() for name in state[f"host_{what}"].split(",") if name.strip())
        for what in ("models", "strategies")
    }
    return RoundBudget(
        tokens=state["host_tokens"] or None,
        calls=state["host_calls"] or None,
        models=names["models"],
        strategies=names["strategies"],
        dollars=state["host_dollars"] or None,
        prompt_price=state["host_in"] or None,
        completion_price=state["host_out"] or None,
        classes=((f"Under {most:,} tokens", most),) if most else (),
    )


def create(is_opened: bool) -> None:
    """Make the round that was filled in."""
    state = st.session_state
    minutes, seed = state["host_minutes"], state["host_seed"].strip()
    if seed and not seed.isdecimal():
        st.session_state["host_said"] = "No round was made: a seed is a whole number."
        return

    def change() -> None:
        now = now_ms()
        made = shared.store().rounds.create(
            state["host_title"],
            state["host_challenge"],
            seed=int(seed) if seed else None,
            opens_ms=now if is_opened else None,
            closes_ms=now + minutes * MINUTE_S * 1000 if is_opened and minutes else None,
            submission_limit=state["host_limit"] or None,
            cooldown_s=state["host_cooldown"],
            visibility=state["host_new_seen"],
            budget=typed_budget(),
            team_size=state["host_team"],
            has_practice=state["host_practice"],
        )
        state["host_round"] = made.id

    act("The round is open." if is_opened else "The round is made.", change)


def draw_receipt() -> None:
    """What the last deletion took away, to keep."""
    receipt = st.session_state.get("host_receipt")
    if receipt:
        offer_file(
            "Receipt of the deletion",
            json.dumps(receipt, ensure_ascii=False, indent=1),
            f"deleted-{receipt['uid'][:8]}.json",
            icon="receipt_long",
            key="host_receipt_file",
        )


def draw_restore() -> None:
    """Bring a round back from its backup."""
    with st.expander("Restore a round", icon=":material/restore_page:"):
        file = st.file_uploader(
            "Backup of a round", type=["gz"], max_upload_size=BACKUP_MB, key="host_upload"
        )

        def bring_back() -> None:
            if file is not None:
                act("The round is restored.", lambda: restore(shared.store(), file.getvalue()))

        st.button(
            "Restore it",
            icon=":material/restore_page:",
            key="host_restore",
            disabled=file is None,
            on_click=bring_back,
        )
