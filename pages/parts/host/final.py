"""The Host page's section about the final: what it would cost, how far it is, who sees it."""

from __future__ import annotations

import streamlit as st

from grader import challenge as find_challenge
from grader.competition import CompetitionError, Estimate, Final, FinalState, Progress, Round, now_ms
from grader.competition.final_export import final_to_json
from grader.competition.limits import FINAL_RUNS, MAX_FINAL_RUNS
from pages.parts.competition import backend as shared
from pages.parts.competition.final_view import about_final, draw_progress, final_table
from pages.parts.competition.view import show_competition_problem
from pages.parts.files import offer_file
from pages.parts.host.controls import act
from pages.parts.layout import row
from pages.state.text import count, seconds

LIVE_S = 2


def draw_final(found: Round) -> None:
    """The newest final of the round, or what it takes to start one."""
    shared.final_runner()
    latest = shared.latest_final(found)
    if latest is None:
        st.caption(
            "When the round is closed, everybody's setup can run on fresh seeds that nobody has seen: what "
            "they picked (up to two), else their best. The mean ranks, so luck does not."
        )
        draw_start(found)
        return
    final, progress, _ = latest
    draw_live(found, final.id, final.state)
    draw_steps(found, final, progress)
    if final.state in ("done", "cancelled"):
        with st.expander("Start another final", icon=":material/restart_alt:"):
            draw_start(found)


def draw_start(found: Round) -> None:
    """Seeds, prices, the estimate, and the button."""
    with row(vertical_alignment="bottom"):
        n_seeds = st.number_input(
            "Seeds",
            1,
            MAX_FINAL_RUNS,
            FINAL_RUNS,
            key="host_final_seeds",
            width=110,
            help="Runs of each setup.",
        )
        has_price = st.toggle(
            "Tokens cost money",
            key="host_final_priced",
            help="In-process models cost nothing. Prices are what your provider asks for a million tokens.",
        )
        prices: list[float | None] = [None, None, None]
        if has_price:
            for index, (label, key) in enumerate(
                (
                    ("Dollars per million read", "host_final_in"),
                    ("Dollars per million written", "host_final_out"),
                    ("Stop at so many dollars", "host_final_cap"),
                )
            ):
                prices[index] = st.number_input(label, 0.0, 100_000.0, 1.0, format="%.2f", key=key, width=190)
    prompt_price, completion_price, cap = prices
    finals = shared.store().finals
    draw_estimate(finals.estimate(found.id, n_seeds, prompt_price, completion_price), has_price=has_price)
    is_closed = found.state(now_ms()) == "closed"

    def start() -> None:
        finals.start(found.id, n_seeds, prompt_price, completion_price, cap)
        shared.final_runner().wake()

    st.button(
        "Start the final",
        type="primary",
        icon=":material/flag:",
        key="host_final_start",
        disabled=not is_closed,
        help=None if is_closed else "Close the round first.",
        on_click=act,
        args=("The final is running.", start),
    )


def draw_estimate(found: Estimate, *, has_price: bool) -> None:
    """What it would take, measured on the submissions themselves."""
    said = [
        f"{count(found.n_entries, 'setup')}, {count(found.n_runs, 'run')}",
        f"about {found.prompt_tokens:,} tokens read and {found.tokens:,} written",
        f"{seconds(found.seconds)} of running, one after another",
    ]
    if has_price:
        said.append(f"about {found.dollars:.2f} dollars")
    st.caption(f"Estimate, from what the submissions took: {' · '.join(said)}.")
    if found.n_unknown:
        st.caption(f"{count(found.n_unknown, 'setup')} did not tell how much was read; it counts as nothing.")


@st.fragment(run_every=LIVE_S)
def draw_live(found: Round, final_id: int, state: FinalState) -> None:
    """Progress and standings; redraws the page when the final is another one, or in another state, by now."""
    try:
        latest = shared.latest_final(found)
    except CompetitionError as exc:
        show_competition_problem(exc)
        return
    if latest is None:
        return
    final, progress, standings = latest
    if (final.id, final.state) != (final_id, state):
        st.rerun()
    draw_progress(final, progress)
    st.caption(about_final(final))
    final_table(standings, found, max_score=find_challenge(found.challenge).max_score)


def draw_steps(found: Round, final: Final, progress: Progress) -> None:
    """Cancel, go on, try again, release, hide, export."""
    finals = shared.store().finals

    def go_on(cap: float | None = None) -> None:
        finals.resume(final.id, cap)
        shared.final_runner().wake()

    def retry() -> None:
        finals.retry_failed(final.id)
        shared.final_runner().wake()

    with row(vertical_alignment="bottom", gap="small"):
        if final.state == "running":
            _button(
                "Cancel", "stop_circle", "cancel", "The final is cancelled.", lambda: finals.cancel(final.id)
            )
        elif final.state == "cancelled":
            _button("Go on", "play_circle", "resume", "The final goes on.", go_on)
        elif final.state == "capped":
            cap = st.number_input(
                "New cap in dollars",
                0.0,
                1e6,
                2 * (final.cost_cap or 1.0),
                key="host_final_new_cap",
                width=190,
            )
            _button("Go on", "play_circle", "resume", "The final goes on.", lambda: go_on(cap))
        if progress.n_failed and final.state != "running":
            _button(f"Run the {progress.n_failed} failed again", "replay", "retry", "They run again.", retry)
        is_shown = final.released_ms is not None
        _button(
            "Hide the final" if is_shown else "Release the final",
            "visibility_off" if is_shown else "campaign",
            "release",
            "Only you see the final." if is_shown else "Everybody sees the final.",
            lambda: finals.release(final.id, released=not is_shown),
            is_primary=not is_shown and final.state == "done",
        )
        offer_file(
            "Final with all runs (JSON)",
            lambda: final_to_json(shared.store(), final.id),
            f"final-{found.uid[:8]}.json",
            icon="data_object",
            key="host_final_json",
        )


def _button(label: str, icon: str, key: str, said: str, change: object, *, is_primary: bool = False) -> None:
    st.button(
        label,
        icon=f":material/{icon}:",
        key=f"host_final_{key}",
        type="primary" if is_primary else "secondary",
        on_click=act,
        args=(said, change),
    )
