"""Try setups over many seeds instead of trusting one lucky draw."""

import time
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import streamlit as st

from moa_core import MoAConfig, MoAError
from moa_core.experiments.presets import presets
from moa_core.experiments.store import Record
from moa_core.experiments.trial import Trial, replay_words
from pages.parts import backend
from pages.parts.lab import backend as lab
from pages.parts.lab.form import ask
from pages.parts.lab.view import draw_experiment, winning_config
from pages.parts.layout import page_body, page_title, row
from pages.parts.problems import show_problem
from pages.parts.session import init_session
from pages.parts.settings import cluster_scheduler
from pages.parts.setup import setup_line
from pages.state.lab_form import Asked, expected_end_s, replay_asked
from pages.state.text import as_plain, capitalised, count, seconds

session = init_session()
POLL_S = 1.0


def begin(asked: Asked) -> None:
    """Start the experiment; it then runs on the server, whoever looks at it."""
    providers = lab.trial_providers()
    configs = tuple(backend.routed(config) for config in asked.configs)
    asked = replace(asked, configs=configs)
    place, study = lab.lab_place(), f"lab-{time.time_ns()}"
    if asked.kind == "search":
        asked.space.check(asked.configs[0])  # said here, before anything is stored
    key = lab.experiments().start(
        asked.kind,
        asked.title,
        lab.owner(),
        asked.request(),
        asked.planned,
        lambda executor: asked.make(executor, providers, place, study),
        cluster_scheduler(),
    )
    st.session_state["lab_shown"] = key


def use(config: MoAConfig) -> None:
    """Take a setup into the Agents page."""
    session.draft.load(config)
    st.toast("This setup is now yours: see the Agents page", icon=":material/tune:")


def draw_start(asked: Asked | None) -> None:
    if asked is None:
        return
    label = (
        f"Start: {count(asked.planned, 'try').replace('trys', 'tries')}"
        if asked.planned
        else "Start the search"
    )
    if st.button(label, type="primary", icon=":material/science:", key="lab_go"):
        try:
            begin(asked)
        except MoAError as exc:
            show_problem(exc)


def draw_list(records: list[Record]) -> Record:
    """The experiments of this browser, newest first; returns the one to show."""
    by_id = {record.id: record for record in records}
    if st.session_state.get("lab_shown") not in by_id:
        st.session_state["lab_shown"] = records[0].id
    shown = st.selectbox(
        "Your experiments", list(by_id), format_func=lambda key: line(by_id[key]), key="lab_shown"
    )
    return by_id[shown]


def line(record: Record) -> str:
    """An experiment in the list; nothing in it changes while it runs, or its widget would be a new one."""
    when = time.strftime("%H:%M", time.localtime(record.started_at_s))
    return f"{record.id} · {record.title} · {when}"


@st.fragment(run_every=POLL_S)
def watch(key: int) -> None:
    """Progress of a running experiment, with what has ended so far; the page is drawn anew at its end."""
    running = lab.experiments()
    record = running.store.experiment(key)
    if not running.is_alive(key):
        st.rerun()
    done, elapsed_s = running.store.count(key), time.time() - record.started_at_s
    left_s = expected_end_s(done, record.planned, elapsed_s)
    ends = "" if left_s is None else f", about {seconds(left_s)} to go"
    total = f" of {record.planned}" if record.planned else ""
    share = min(1.0, done / record.planned) if record.planned else 0.0
    st.progress(share, text=f"Tries that have ended: {done}{total}, after {seconds(elapsed_s)}{ends}")
    st.caption("It runs on the server: leave this page and find it again here.")
    draw_experiment(record, running.store.trials(key), mark())


def mark() -> float | None:
    """The score that tries are counted above."""
    value = st.session_state.get("lab_mark")
    return float(value) if value else None


def draw_shown(record: Record) -> None:
    running = lab.experiments()
    if running.is_alive(record.id):
        st.button(
            "Stop", icon=":material/stop_circle:", key="lab_stop", on_click=running.stop, args=(record.id,)
        )
        watch(record.id)
        return
    if running.state(record) == "stopped" and not record.message:
        st.info("The server was restarted while it ran; what had ended is kept.", icon=":material/info:")
    if record.message:
        st.info(as_plain(capitalised(record.message)), icon=":material/info:")
    with row():
        draw_use("Open in Agents", "lab_use", lambda: MoAConfig.from_json(record.request["configs"][-1]))
        winner = winning_config(record)
        if winner is not None:
            draw_use("Open the winner in Agents", "lab_use_winner", lambda: winner)
    trials = running.store.trials(record.id)
    draw_replay(record, trials)
    draw_experiment(record, trials, mark(), lambda trial: replay_try(record, trial))


def replay_try(record: Record, trial: Trial) -> None:
    """Begin a stored try once more, as an experiment of its own."""
    try:
        begin(replay_asked(record, trial))
    except MoAError as exc:
        st.toast(as_plain(str(exc)), icon=":material/error:")


def draw_replay(record: Record, trials: list[Trial]) -> None:
    """How a replay compares with the try that it repeats, where that is still kept."""
    of = record.request.get("replay_of")
    if not of or not trials:
        return
    kept = {(each.label, each.seed): each for each in lab.experiments().store.trials(of[0])}
    if (of[1], of[2]) in kept:
        words = replay_words(kept[of[1], of[2]], trials[0])
        st.info(as_plain(words), icon=":material/replay:")


def draw_use(label: str, key: str, config: Callable[[], MoAConfig]) -> None:
    st.button(label, icon=":material/tune:", key=key, on_click=lambda: use(config()))


def draw_presets() -> None:
    """Setups that were made with the Lab, with what they reached."""
    found = presets()
    table = pd.DataFrame(
        [{"Setup": each.config.name, "Model": each.model, "On user_metrics": each.words} for each in found]
    )
    st.dataframe(table, hide_index=True, key="lab_presets")
    index = st.selectbox(
        "Setup",
        range(len(found)),
        format_func=lambda number: f"{found[number].config.name} · {found[number].model}",
        key="lab_preset",
    )
    st.caption(as_plain(found[index].config.description))
    draw_use("Open in Agents", "lab_use_preset", lambda: found[index].config)


with page_body():
    page_title("Lab")
    st.caption("One try is mostly luck. Try a setup over many seeds, and see what is sure.")
    with row(vertical_alignment="center", gap="small"):
        st.caption(setup_line(session.draft), width="content")
        st.page_link("pages/agents.py", label="Change the agents", icon=":material/tune:")
    draw_start(ask(session))
    try:
        records = lab.experiments().store.experiments(lab.owner())
        if records:
            st.divider()
            shown = draw_list(records)
            st.number_input("Count tries with at least so many points", 0, 1000, 0, key="lab_mark", width=300)
            draw_shown(shown)
    except MoAError as exc:
        show_problem(exc)
    with st.expander("Setups worth starting from", icon=":material/star:"):
        draw_presets()
