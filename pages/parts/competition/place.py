"""Where the competition's database is; loads nothing of it, so that any page may ask."""

from __future__ import annotations

import os
from pathlib import Path

import streamlit as st

from pages.parts.settings import secrets_problem

ROOT = Path(__file__).parents[3]


def competition_url() -> str:
    """`[connections.competition] url` of the secrets, else COMPETITION_URL, else a file in data/."""
    if secrets_problem() is None:
        url = st.secrets.get("connections", {}).get("competition", {}).get("url")
        if url:
            return str(url)
    return os.environ.get("COMPETITION_URL") or f"sqlite:///{ROOT / 'data' / 'competition.sqlite3'}"


def has_database() -> bool:
    """Whether somebody has made a database already; a server is taken to have one."""
    url = competition_url()
    return not url.startswith("sqlite:///") or Path(url.removeprefix("sqlite:///")).is_file()
