"""Holds the present setup against the budgets of the rounds this browser plays in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import streamlit as st

from moa_core import ConfigError
from pages.parts.competition.place import has_database
from pages.state.session import Session
from pages.state.text import as_plain

if TYPE_CHECKING:
    from grader.competition import Round
    from pages.state.round_budget import BudgetCheck


def draw_budget_line(session: Session, *, has_bars: bool = False) -> None:
    """For every open round with a budget in which this browser has a seat; nothing elsewhere.

    has_bars: with a bar for each number that is limited, where the setup is edited.
    """
    for found, checked in _checked(session):
        title = as_plain(found.title)
        for what, used, allowed in checked.uses if has_bars else ():
            text = f"{title}: up to {used:,} of {allowed:,} {what}"
            st.progress(min(1.0, used / max(1, allowed)), text=text)
        if checked.problems:
            said = as_plain("; ".join(checked.problems))
            st.warning(f"{title} would refuse this setup: {said}.", icon=":material/block:")
        elif checked.notes:
            st.caption(f":material/info: {title}: {as_plain('; '.join(checked.notes))}.")
        else:
            st.caption(f":material/check: This setup keeps to the budget of {title}.")


def _checked(session: Session) -> Iterator[tuple[Round, BudgetCheck]]:
    """The rounds with a budget in which this browser has a seat, and the setup held against each."""
    if not session.seats or not has_database():
        return
    from grader.competition import CompetitionError, RoundBudget, now_ms, why_unplayable
    from pages.parts.competition import backend as shared
    from pages.state.round_budget import check_setup

    try:
        mine = [each for each in shared.rounds() if each.uid in session.seats]
        config = session.draft.to_config()
    except (CompetitionError, ConfigError):  # their own pages say what is wrong
        return
    for found in mine:
        if not (why_unplayable(found) or found.state(now_ms()) == "closed" or found.limits == RoundBudget()):
            yield found, check_setup(config, found.limits)
