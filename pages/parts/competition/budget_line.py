"""One line that holds the present setup against the budget of the round this browser plays in."""

from __future__ import annotations

import streamlit as st

from pages.parts.competition.place import has_database
from pages.state.session import Session
from pages.state.text import as_plain


def draw_budget_line(session: Session) -> None:
    """For every open round with a budget in which this browser has a seat; nothing elsewhere."""
    if not session.seats or not has_database():
        return
    from grader.competition import Budget, CompetitionError, now_ms, why_unplayable
    from pages.parts.competition import backend as shared
    from pages.state.round_budget import check_setup

    try:
        mine = [each for each in shared.rounds() if each.uid in session.seats]
    except CompetitionError:
        return
    for found in mine:
        if why_unplayable(found) or found.state(now_ms()) == "closed" or found.limits == Budget():
            continue
        checked = check_setup(session.draft.to_config(), found.limits)
        title = as_plain(found.title)
        if checked.problems:
            said = as_plain("; ".join(checked.problems))
            st.warning(f"{title} would refuse this setup: {said}.", icon=":material/block:")
        elif checked.notes:
            st.caption(f":material/info: {title}: {as_plain('; '.join(checked.notes))}.")
        else:
            st.caption(f":material/check: This setup keeps to the budget of {title}.")
