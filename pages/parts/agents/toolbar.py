"""What is done with the whole setup: presets, import, export, a link, undo; and its strategy."""

import streamlit as st

from moa_core import MoAConfig
from moa_core.config.values import MAX_CYCLES
from moa_core.strategies import all_strategies
from pages.parts.agents.cards import Choices
from pages.parts.agents.editing import UNDO, Editor
from pages.parts.agents.setup_import import draw_import, draw_presets
from pages.parts.files import offer_file
from pages.parts.layout import row
from pages.parts.setup_share import draw_share
from pages.state.text import as_plain, capitalised


def draw_toolbar(editor: Editor, config: MoAConfig | None, choices: Choices) -> None:
    with row(vertical_alignment="bottom"):
        st.number_input(
            "Cycles",
            1,
            MAX_CYCLES,
            editor.draft.cycles,
            key=editor.cycles_key,
            on_change=editor.store_cycles,
            width=130,
            help="How many times the layers are gone through, each time with the answers of the time before.",
        )
        presets_box = st.popover(
            "Presets", icon=":material/library_books:", key="agents_presets_box", on_change="rerun"
        )
        if presets_box.open:
            with presets_box:
                draw_presets(editor.load)
        with st.popover("Import", icon=":material/upload:", key="agents_import_box", on_change="rerun"):
            draw_import(config, choices, editor.load)
        offer_file(
            "Export",
            config.to_json if config else "",
            "agents.json",
            icon="download",
            is_disabled=config is None,
            key="agents_export",
        )
        share_box = st.popover(
            "Share", icon=":material/qr_code_2:", key="agents_share_box", on_change="rerun"
        )
        if share_box.open:
            with share_box:
                draw_share(config)
        st.button(
            "Undo",
            icon=":material/undo:",
            key="agents_undo_button",
            on_click=editor.undo,
            disabled=not st.session_state.get(UNDO),
        )
        with st.popover("Start over", icon=":material/restart_alt:"):
            st.markdown("Replace this setup by the one the app starts with?")
            st.button("Replace it", key="agents_reset", on_click=editor.reset)


def draw_strategy(editor: Editor) -> None:
    """How the answer comes about, and the numbers that this way takes."""
    strategies = all_strategies()
    chosen = strategies.get(editor.draft.base.strategy)
    with row(vertical_alignment="bottom"):
        st.selectbox(
            "Strategy",
            list(strategies),
            index=None if chosen is None else list(strategies).index(chosen.name),
            placeholder=f"{editor.draft.base.strategy} (unknown)",
            format_func=lambda name: strategies[name].title,
            key=editor.strategy_key,
            on_change=editor.store_strategy,
            width=260,
            help="How the answer is made of the agents' calls.",
        )
        for name, rule in (chosen.options if chosen else {}).items():
            st.number_input(
                capitalised(rule.description),
                rule.low,
                rule.high,
                min(rule.high, max(rule.low, int(editor.draft.base.options.get(name, rule.default)))),
                key=editor.option_key(name),
                on_change=editor.store_option,
                args=(name,),
                width=150,
            )
    if chosen is not None:
        where = " It works in a challenge, where answers can be tried." if chosen.needs_checker else ""
        st.caption(f"{as_plain(chosen.description)}{where}")
