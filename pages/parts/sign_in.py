"""Sign-in with Streamlit's own `st.login` (OpenID Connect), where `[auth]` of the secrets configures it.

Without it nothing here does anything. Who somebody is comes from the provider's signed ID token, which
Streamlit keeps in a cookie of its own; an e-mail address is only ever compared, never stored or shown.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

from pages.parts.layout import row
from pages.parts.session import Session
from pages.parts.settings import email_key, host_emails, secrets_problem
from pages.state.text import as_plain, capitalised

if TYPE_CHECKING:  # the first page asks this file too, and loads nothing of the competition
    from grader.competition import Account

RETURN, SEATS_OF, PROBLEM = "sign_in_return", "sign_in_seats_of", "sign_in_problem"
LEAVING = "sign_in_leaving"  # in the tab that is on its way to the provider
RETURN_S = 600.0
PAGES = {"competition": "pages/competition.py", "host": "pages/host.py"}


def is_configured() -> bool:
    """Whether people sign in here instead of choosing a nickname."""
    return bool(providers())


def providers() -> list[str | None]:
    """What `st.login` can be asked for; None: the one that `[auth]` itself describes."""
    if secrets_problem() is not None or "auth" not in st.secrets:
        return []
    section = st.secrets["auth"]
    if not isinstance(section, Mapping):
        return []
    named = [name for name, part in section.items() if isinstance(part, Mapping) and "client_id" in part]
    return [None, *named] if "client_id" in section else list(named)


def account() -> Account | None:
    """Who has signed in in this browser; None: nobody, or sign-in is not configured."""
    found = _claims()
    if found is None:
        return None
    from grader.competition import Account

    return Account.from_claims(found)


def is_host() -> bool:
    """Whether the account's address is on the list of hosts, and its provider has verified it.

    An address that somebody may write into their account as they like would open the page to anybody.
    """
    claims = _claims() or {}
    email = claims.get("email")
    is_verified = claims.get("email_verified") in (True, "true")
    return is_verified and isinstance(email, str) and email_key(email) in host_emails()


def is_unverified_host() -> bool:
    """Whether the address is on the list, but the provider does not say that it has verified it."""
    email = (_claims() or {}).get("email")
    return isinstance(email, str) and email_key(email) in host_emails() and not is_host()


def _claims() -> dict[str, Any] | None:
    if not is_configured() or not st.user.get("is_logged_in"):
        return None
    return st.user.to_dict()


def own_seats(session: Session) -> None:
    """Forget the seats that this browser has from another account, or from before anybody signed in."""
    who = account()
    key = "" if who is None else who.key("")
    if session.kept.get(SEATS_OF) != key:
        session.seats.clear()
        session.kept[SEATS_OF] = key
        session.save()


def sign_in(session: Session, provider: str | None, page: str, round_uid: str = "") -> None:
    """Off to the provider; it sends the browser back to the app's first page, which comes back here."""
    _leave(session, page, round_uid)
    try:
        st.login(provider)
    except StreamlitAPIException as exc:  # not installed, or a key of [auth] is missing; it names no value
        st.session_state[PROBLEM] = str(exc)
        st.session_state.pop(LEAVING)


def sign_out(session: Session, page: str) -> None:
    """Forget the account, and this browser's seats with it."""
    session.seats.clear()
    session.kept.pop(SEATS_OF, None)
    _leave(session, page)
    st.logout()


def _leave(session: Session, page: str, round_uid: str = "") -> None:
    session.kept[RETURN] = {"page": page, "round": round_uid, "at_s": time.time()}
    session.save()
    st.session_state[LEAVING] = True


def arrive(session: Session) -> None:
    """The page that somebody signed in for is there: nothing has to come back to it any more.

    The tab that is about to leave draws the page once more; that is no arrival.
    """
    if not st.session_state.get(LEAVING) and session.kept.pop(RETURN, None) is not None:
        session.save()


def return_to_page(session: Session) -> None:
    """On the app's first page: go on to the page that somebody just signed in or out for."""
    asked = session.kept.pop(RETURN, None)
    if asked is None:
        return
    session.save()
    is_recent = isinstance(asked, dict) and time.time() - float(asked.get("at_s", 0)) < RETURN_S
    if is_recent and is_configured() and asked.get("page") in PAGES:
        if asked.get("round"):
            st.session_state["competition_round"] = asked["round"]
        st.switch_page(PAGES[asked["page"]])


def draw_sign_in(session: Session, page: str, round_uid: str = "") -> None:
    """A button for each provider."""
    with row():
        for provider in providers():
            name = "" if provider is None else f" with {capitalised(as_plain(provider))}"
            st.button(
                f"Sign in{name}",
                type="primary",
                icon=":material/login:",
                key=f"sign_in_{page}_{provider or 'default'}",
                on_click=sign_in,
                args=(session, provider, page, round_uid),
            )
    problem = st.session_state.pop(PROBLEM, None)
    if problem:
        st.error(as_plain(problem), title="Sign-in is not set up right", icon=":material/key_off:")


def draw_signed_in(session: Session, page: str) -> None:
    """Whose account it is, and the way out; nothing while nobody has signed in."""
    if _claims() is None:
        return
    who = account()
    name = who.name if who is not None else ""
    with row(vertical_alignment="center", gap="small"):
        said = f"Signed in as **{as_plain(name)}**." if name else "Signed in."
        st.markdown(f":material/account_circle: {said}", width="content")
        st.button(
            "Sign out",
            icon=":material/logout:",
            type="tertiary",
            key=f"sign_out_{page}",
            on_click=sign_out,
            args=(session, page),
        )
