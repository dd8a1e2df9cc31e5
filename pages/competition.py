"""Join a round, submit what your agents wrote, see where you stand."""

from contextlib import suppress

import streamlit as st

from grader import challenge as find_challenge
from grader.competition import (
    CompetitionError,
    Participant,
    Round,
    StoreError,
    Submission,
    now_ms,
    why_unplayable,
)
from grader.competition.limits import PICKS
from pages.parts import sign_in
from pages.parts.competition import backend as shared
from pages.parts.competition.account_entrance import draw_account_entrance
from pages.parts.competition.budget_line import draw_budget_line
from pages.parts.competition.entrance import draw_code, draw_entrance
from pages.parts.competition.final_view import about_final, draw_progress, final_table
from pages.parts.competition.mine import draw_attempts, submission_name
from pages.parts.competition.seat import draw_who, my_seat
from pages.parts.competition.view import (
    KIND_NAMES,
    LIVE_S,
    board_table,
    countdown,
    pace_s,
    show_competition_problem,
    state_badge,
    when,
)
from pages.parts.layout import page_body, page_title, row
from pages.parts.report import points
from pages.parts.session import init_session
from pages.state.attempts import Attempt
from pages.state.model_choice import dollars
from pages.state.text import as_plain, capitalised, count

session = init_session()
WAITING_S = 1
SPENT_HELP = "On my submissions, as far as the prices of their models were known."
ANSWER_KEPT = "Your attempt is kept in this browser session: send it again."


def submit(who: Participant, attempt: Attempt) -> None:
    """Store the attempt, then queue it for grading; until it is stored nothing is forgotten."""
    try:
        shared.store().submissions.add(who.id, attempt.generation())
    except CompetitionError as exc:
        st.session_state["competition_problem"] = exc
        return
    st.session_state[f"competition_sent_{who.id}"] = attempt.key
    shared.forget()
    with suppress(StoreError):  # it is stored; `draw_waiting` queues it when the database answers again
        shared.grading_queue().pick_up(who.round_id)


def choose_round(rounds: list[Round]) -> Round:
    """The only round, the one of the address, or the one that is picked."""
    by_uid = {each.uid: each for each in rounds}
    asked = st.query_params.get("round")
    if asked in by_uid and "competition_round" not in st.session_state:
        st.session_state["competition_round"] = asked
    if len(rounds) == 1:
        return rounds[0]
    chosen = st.selectbox(
        "Round",
        list(by_uid),
        format_func=lambda uid: by_uid[uid].title,
        key="competition_round",
        persist_state="session",
    )
    return by_uid[chosen]


def draw_rules(found: Round) -> None:
    """What the round is about and what its rules are, in one line."""
    rules = [as_plain(find_challenge(found.challenge).title)]
    if found.submission_limit:
        rules.append(f"{count(found.submission_limit, 'submission')} each")
    if found.cooldown_s:
        rules.append(f"{found.cooldown_s} s between two submissions")
    rules += [as_plain(rule) for rule in found.limits.rules]
    if found.team_size > 1:
        rules.append(f"teams of up to {found.team_size}")
    if found.takes_practice(now_ms()):
        rules.append("practice: it will not count")
    if found.closes_ms and found.state(now_ms()) == "open":
        rules.append(f"open until {when(found.closes_ms)}")
    with row(vertical_alignment="center", gap="small"):
        state_badge(found)
        st.caption(" · ".join(rules), width="content")


def last_graded(found: Round) -> Attempt | None:
    """The newest attempt of this session that has a report."""
    attempts = [a for a in session.attempts if a.challenge == found.challenge and a.report and a.config]
    return attempts[-1] if attempts else None


def draw_submit(found: Round, who: Participant, mine: list[Submission]) -> None:
    """The last graded generation, and the button that hands it in."""
    st.subheader("Submit")
    if who.is_disqualified:
        st.error(as_plain(who.disqualified_reason or ""), title="The host has disqualified you")
        return
    attempt = last_graded(found)
    if attempt is None or attempt.report is None:
        with row(vertical_alignment="center", gap="small"):
            st.caption(
                "Nothing to submit yet: let your agents write the function. A submission is what they wrote, "
                "not what you type.",
                width="content",
            )
            st.page_link("pages/challenge.py", label="To the challenge", icon=":material/trophy:")
        return
    is_sent = st.session_state.get(f"competition_sent_{who.id}") == attempt.key
    left = f" · {found.submission_limit - len(mine)} left" if found.submission_limit else ""
    st.caption(
        f"Attempt {attempt.number} of this session: {points(attempt.report['score'])} of "
        f"{points(attempt.report['max_score'])} points in practice{left}. The round draws cases of its own, "
        "so its score can differ a little."
    )
    with row(vertical_alignment="center", gap="small"):
        st.button(
            "Submitted" if is_sent else f"Submit attempt {attempt.number}",
            type="primary",
            icon=":material/check:" if is_sent else ":material/send:",
            key="competition_submit",
            disabled=is_sent or not (found.state(now_ms()) == "open" or found.takes_practice(now_ms())),
            on_click=submit,
            args=(who, attempt),
        )
        st.page_link("pages/agents.py", label="Change the agents", icon=":material/tune:")


def draw_standing(found: Round, who: Participant, n_graded: int) -> None:
    """Where I stand, live; redraws the whole page when one of my grades has come in."""
    try:
        mine = shared.store().submissions.of_participant(who.id)
        if sum(each.is_graded for each in mine) != n_graded:
            st.rerun()
        draw_numbers(found, who, mine)
        for each in mine:
            if not each.is_graded:
                draw_waiting(each)
    except CompetitionError as exc:
        show_competition_problem(exc)


def draw_numbers(found: Round, who: Participant, mine: list[Submission]) -> None:
    """Place, best score, number of submissions, time left."""
    board = shared.public_board(found) if shared.is_scores_public(found) else ()
    place = next((line.place for line in board if line.participant_id == who.id), None)
    best = max((each.score for each in mine if each.score is not None), default=None)
    with row(gap="medium"):
        if shared.is_scores_public(found):
            of = f" of {len(board)}" if board else ""
            st.metric("Place", f"{place}{of}" if place else "–", width="content")
        if shared.is_own_score_shown(found):
            st.metric("My best", "–" if best is None else points(best), width="content")
        st.metric("My submissions", len(mine), width="content")
        costs = [each.cost_usd for each in mine if each.cost_usd is not None]
        if costs:
            st.metric("Spent", as_plain(dollars(sum(costs))), width="content", help=SPENT_HELP)
        left = countdown(found)
        if left:
            is_open = found.state(now_ms()) == "open"
            st.metric("Time left" if is_open else "Opens in", left, width="content")


def draw_waiting(submission: Submission) -> None:
    """A submission that is stored but not graded yet."""
    queue = shared.grading_queue()
    ahead, problem = queue.ahead_of(submission.id), queue.problem(submission.id)
    if problem and ahead is None:
        st.caption(
            f":material/error: Stored, but not graded yet: {as_plain(problem)}. The host can try again."
        )
    elif ahead is None:
        shared.grading_queue().pick_up(submission.round_id)
        st.caption(":material/hourglass_top: Stored. Waiting for its grade.")
    else:
        before = f", {count(ahead, 'submission')} of yours before it" if ahead else ""
        st.caption(f":material/hourglass_top: Stored at {when(submission.created_ms)}. Grading{before}.")


def draw_winners(found: Round) -> None:
    """Who has won what, when the round is over."""
    if found.state(now_ms()) == "closed" and shared.is_scores_public(found):
        for prize, name in shared.winners(found):
            st.markdown(f":material/emoji_events: **{as_plain(prize)}**: {as_plain(name)}")


def draw_picks(found: Round, who: Participant, mine: list[Submission]) -> None:
    """Which of my submissions run in the final; until it is started, and when it was cancelled."""
    finals, latest = shared.store().finals, shared.latest_final(found)
    if len(mine) < 2 or (latest is not None and latest[0].state != "cancelled"):
        return
    names = {each.id: submission_name(number, each) for number, each in enumerate(mine, start=1)}
    key = f"competition_picks_{who.id}"
    if key not in st.session_state:
        st.session_state[key] = finals.picks(who.id)

    def pick() -> None:
        try:
            finals.pick(who.id, st.session_state[key])
        except CompetitionError as exc:
            st.session_state["competition_problem"] = exc

    st.multiselect(
        "For the final",
        list(names),
        format_func=names.__getitem__,
        max_selections=PICKS,
        placeholder="Your best one",
        key=key,
        on_change=pick,
        help="The final runs your setup on seeds that nobody has seen. The better of two counts.",
    )


def draw_final(found: Round, mine: int | None) -> None:
    """The final: how far it is, and the standings once the host has released them."""
    latest = shared.latest_final(found)
    if latest is None:
        return
    final, progress, standings = latest
    st.subheader("Final")
    if final.released_ms is None:
        draw_progress(final, progress)
        st.caption("The host shows the standings when it is time.")
        return
    st.caption(about_final(final))
    final_table(standings, found, max_score=find_challenge(found.challenge).max_score, mine=mine)


def final_state(found: Round) -> str | None:
    """Whether there is a final, and how far it is: it says whether setups can be picked."""
    latest = shared.latest_final(found)
    return None if latest is None else latest[0].state


def draw_board(found: Round, state: str, final: str | None, mine: int | None) -> None:
    """The final and the board that everybody sees, live: one part, because each costs a class a rerun.

    Redraws the whole page when the host has changed the round or its final since, or the clock has: what a
    fragment was given stays as it was, and names may have been hidden meanwhile.
    """
    try:
        latest = next((each for each in shared.rounds() if each.id == found.id), None)
        if latest != found or found.state(now_ms()) != state or final_state(found) != final:
            st.rerun()
        draw_final(found, mine)
        draw_boards(found, mine)
    except CompetitionError as exc:
        show_competition_problem(exc)


def draw_boards(found: Round, mine: int | None) -> None:
    """The four boards, one at a time."""
    st.subheader("Board")
    if not shared.is_scores_public(found):
        st.caption("The board is shown when the round is closed.")
        return
    kind = st.segmented_control(
        "Board",
        list(KIND_NAMES),
        default="best",
        required=True,
        format_func=KIND_NAMES.__getitem__,
        key="competition_kind",
        label_visibility="collapsed",
    )
    if found.frozen_ms:
        st.caption(
            f":material/ac_unit: Frozen since {when(found.frozen_ms)}: later submissions are a surprise."
        )
    max_score = find_challenge(found.challenge).max_score
    classes: dict[str, int | None] = {"Every attempt": None, **dict(found.limits.classes)}
    chosen = "Every attempt"
    if len(classes) > 1:
        chosen = st.segmented_control(
            "Budget",
            list(classes),
            default=chosen,
            required=True,
            key="competition_class",
            label_visibility="collapsed",
        )
    board_table(
        shared.public_board(found, kind, classes[chosen]), found, kind, max_score=max_score, mine=mine
    )


def draw_round(found: Round) -> None:
    """Everything of one round."""
    why = why_unplayable(found)
    if why is not None:
        st.warning(
            f"{as_plain(capitalised(why))}. Tell the host.",
            title="This round cannot be played here",
            icon=":material/block:",
        )
        return
    draw_rules(found)
    problem = st.session_state.get("competition_problem")
    live_s = pace_s(shared.counts(found)[0])
    seat = my_seat(session, found)
    if problem is not None:
        show_competition_problem(problem, kept=ANSWER_KEPT if seat else "")
    draw_code(found)
    who = seat.participant if seat else None
    mine: list[Submission] = []
    if seat is None or who is None:
        if sign_in.is_configured():
            draw_account_entrance(session, found)
        else:
            draw_entrance(found, session)
    else:
        mine = shared.store().submissions.of_participant(who.id)
        draw_who(session, found, seat)
        draw_budget_line(session)
        is_waiting = any(not each.is_graded for each in mine)
        live = st.fragment(draw_standing, run_every=WAITING_S if is_waiting else live_s)
        live(found, who, sum(each.is_graded for each in mine))
        draw_submit(found, who, mine)
        draw_picks(found, who, mine)
    draw_winners(found)
    board = st.fragment(draw_board, run_every=live_s)
    board(found, found.state(now_ms()), final_state(found), who.id if who else None)
    if who is not None and mine and shared.is_own_score_shown(found):
        draw_attempts(found, who, mine)
    st.session_state.pop("competition_problem", None)  # only now: `st.rerun` above draws it once more


def is_shown(found: Round) -> bool:
    """Whether participants see the round: not before it has an opening time, unless it takes practice."""
    return found.state(now_ms()) != "draft" or found.has_practice


@st.fragment(run_every=LIVE_S)
def wait_for_round() -> None:
    """Look again from time to time; the page is drawn anew when the host has made a round."""
    st.caption("There is no round yet. This page looks for one by itself.")
    with row(vertical_alignment="center", gap="small"):
        st.page_link("pages/challenge.py", label="Practise on the challenge", icon=":material/trophy:")
        st.page_link("pages/host.py", label="Open a round as its host", icon=":material/key:")
    if any(is_shown(each) for each in shared.rounds()):
        st.rerun()


with page_body():
    page_title("Competition")
    st.caption("Submit what your agents wrote. The best score leads; of equal ones, the earlier.")
    if sign_in.is_configured():
        sign_in.arrive(session)
        sign_in.own_seats(session)
        sign_in.draw_signed_in(session, "competition")
    try:
        rounds = [each for each in shared.rounds() if is_shown(each)]
        if rounds:
            draw_round(choose_round(rounds))
        else:
            wait_for_round()
    except CompetitionError as exc:
        show_competition_problem(exc, kept="Your attempts are kept in this browser session.")
        st.button("Try again", key="competition_again", icon=":material/refresh:")
