"""What all sessions share of the competition: the store, the grading queue, the count of wrong passwords.

Boards, rounds and counts are kept for a second, as resources: tuples of frozen rows that nobody changes, so
200 browsers that look at a board every few seconds cost one query a second.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import cast

import streamlit as st

from grader import challenge as find_challenge
from grader.competition import (
    AttemptLimiter,
    BoardRow,
    Final,
    FinalJob,
    FinalRunner,
    GradingQueue,
    Kind,
    Participant,
    Progress,
    Round,
    SetupRun,
    Standing,
    Store,
    now_ms,
)
from grader.errors import GraderError
from grader.grading.workers import ClusterElseHere, connect
from pages.parts import backend as agents
from pages.parts.competition.place import ROOT, competition_url
from pages.parts.settings import cluster_scheduler, secret
from pages.state.certificate import Certificate, RoundOutcome, certificates
from pages.state.final_runs import run_setup

_log = logging.getLogger(__name__)

COMMUNITY_CLOUD_FOLDER = "/mount/src/"
BOARD_TTL_S = 1.0
GRADING_SLOTS = 2
FINAL_SLOTS = 2


def store() -> Store:
    """The one store of this app. Raises StoreError; then the next call tries again."""
    return _store(competition_url())


@st.cache_resource(show_spinner=False)
def _store(url: str) -> Store:
    return Store.open(url)


def grading_queue() -> GradingQueue:
    """The one fair grading queue; on its first use it takes up what was waiting before a restart."""
    return _grading_queue(competition_url())


@st.cache_resource(show_spinner=False)
def _grading_queue(url: str) -> GradingQueue:
    made = GradingQueue(_store(url), _graders(), GRADING_SLOTS)
    made.pick_up()
    return made


def _graders() -> Executor:
    """The cluster of the settings, or threads of this process, also when it goes away: a round goes on."""
    address = cluster_scheduler()
    if address:
        try:
            return ClusterElseHere(connect(address), GRADING_SLOTS)
        except GraderError as exc:
            _log.warning("grading in this process: %s", exc)
    return ThreadPoolExecutor(GRADING_SLOTS, thread_name_prefix="grading")


def final_runner() -> FinalRunner:
    """The one runner of finals; on its first use it goes on with what a restart interrupted."""
    return _final_runner(competition_url())


@st.cache_resource(show_spinner=False)
def _final_runner(url: str) -> FinalRunner:
    def run(job: FinalJob, should_stop: Callable[[], bool]) -> SetupRun:
        return run_setup(job, should_stop, agents.providers(), agents.routed)

    made = FinalRunner(_store(url), run, FINAL_SLOTS)
    made.wake()
    return made


@st.cache_resource(show_spinner=False)
def password_limiter() -> AttemptLimiter:
    """The count of wrong passwords on the Host page, the same for every session."""
    return AttemptLimiter()


def tab() -> str:
    """Names this browser session, for counts of wrong tries; a new tab has another name."""
    name: str = st.session_state.setdefault("competition_tab", uuid.uuid4().hex)
    return name


def host_password() -> str | None:
    """The host's password; None when it is not configured."""
    return secret("HOST_PASSWORD")


def host_key() -> str | None:
    """The key that opens the Host page while its password has to wait; None when there is none."""
    return secret("HOST_KEY")


def is_on_community_cloud() -> bool:
    """Whether this runs where the disk does not survive a restart."""
    return f"{ROOT}/".startswith(COMMUNITY_CLOUD_FOLDER)


def is_scores_public(found: Round) -> bool:
    """Whether everybody may see the board now."""
    return found.visibility == "everyone" or found.state(now_ms()) == "closed"


def is_own_score_shown(found: Round) -> bool:
    """Whether a participant may see their own scores now."""
    return found.visibility != "closed" or found.state(now_ms()) == "closed"


def public_board(found: Round, kind: Kind = "best", max_tokens: int | None = None) -> tuple[BoardRow, ...]:
    """The board as everybody may see it: up to the freeze. Shared for a second by all sessions."""
    return _board(competition_url(), found.id, kind, found.frozen_ms, max_tokens)


@st.cache_resource(ttl=BOARD_TTL_S, max_entries=200, show_spinner=False)
def _board(
    url: str, round_id: int, kind: Kind, until_ms: int | None, max_tokens: int | None
) -> tuple[BoardRow, ...]:
    return tuple(_store(url).boards.board(round_id, kind, until_ms=until_ms, max_tokens=max_tokens))


@st.cache_resource(ttl=BOARD_TTL_S, max_entries=50, show_spinner=False)
def _rounds(url: str) -> tuple[Round, ...]:
    return tuple(_store(url).rounds.all())


@st.cache_resource(ttl=BOARD_TTL_S, max_entries=50, show_spinner=False)
def _counts(url: str, round_id: int) -> tuple[int, int]:
    opened = _store(url)
    return len(opened.participants.of_round(round_id)), len(opened.submissions.of_round(round_id))


@st.cache_resource(ttl=BOARD_TTL_S, max_entries=50, show_spinner=False)
def _final(url: str, round_id: int) -> tuple[Final, Progress, tuple[Standing, ...]] | None:
    opened = _store(url)
    finals = opened.finals.of_round(round_id)
    if not finals:
        return None
    latest = finals[0]
    standings = tuple(opened.final_boards.standings(latest.id))
    return latest, opened.finals.progress(latest.id), standings


def latest_final(found: Round) -> tuple[Final, Progress, tuple[Standing, ...]] | None:
    """The round's newest final, how far it is, and its standings so far; at most a second old."""
    return _final(competition_url(), found.id)


def winners(found: Round) -> list[tuple[str, str]]:
    """(prize, name) of what has been decided; the final's prize only once the final is released."""
    won = []
    for prize, board in found.prize_list:
        if board == "final":
            latest = latest_final(found)
            is_out = latest is not None and latest[0].released_ms is not None
            lines: Sequence[Standing | BoardRow] = latest[2] if latest is not None and is_out else ()
        else:
            lines = public_board(found, cast(Kind, board))
        if lines:
            first = lines[0]
            won.append((prize, f"Player {first.number}" if found.has_hidden_names else first.nickname))
    return won


def all_certificates(
    found: Round, people: Sequence[Participant], outcome: RoundOutcome
) -> dict[int, Certificate]:
    """The certificates of these people, by participant; of those without a place there is none."""
    task = find_challenge(found.challenge)
    members = store().participants.members(found.id)
    return certificates(found, task.title, task.max_score, people, members, outcome)


def rounds() -> tuple[Round, ...]:
    """All rounds, the newest first; at most a second old."""
    return _rounds(competition_url())


def counts(found: Round) -> tuple[int, int]:
    """Participants and submissions of a round; at most a second old."""
    return _counts(competition_url(), found.id)


def forget() -> None:
    """Show what was just changed at once."""
    _board.clear()
    _rounds.clear()
    _counts.clear()
    _final.clear()
