"""Begin with another setup: one made for the challenge, or a configuration from a file or a paste."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from moa_core import ConfigError, MoAConfig
from moa_core.experiments.presets import presets
from pages.parts import backend
from pages.parts.layout import row
from pages.parts.setup_share import draw_change
from pages.state.model_choice import ModelChoice
from pages.state.text import as_plain, capitalised
from wse_backend.models import DEFAULT_MODEL

Load = Callable[[MoAConfig], None]  # replaces the setup that is being edited


def draw_presets(load: Load) -> None:
    """Setups to begin with, and what each reached where it was measured."""
    st.markdown("Begin with a setup that was made for the challenge. Undo brings yours back.")
    models = list(dict.fromkeys(preset.model for preset in presets()))
    model = st.selectbox("For the model", models, key="agents_preset_model")
    for preset in presets():
        if preset.model == model:
            with row(vertical_alignment="center", horizontal_alignment="distribute"):
                st.markdown(
                    f"**{as_plain(preset.config.name or preset.setup)}** :gray[· {as_plain(preset.words)}]"
                )
                st.button(
                    "Use",
                    key=f"agents_preset_{preset.setup}",
                    on_click=load,
                    args=(preset.config,),
                    help=preset.config.description or None,
                )


def draw_import(config: MoAConfig | None, choices: Mapping[str, ModelChoice], load: Load) -> None:
    """A file or a paste, at once what it would change or what is wrong, models to map, and the button."""
    st.file_uploader("A configuration file", type="json", key="agents_upload", max_upload_size=1)
    st.text_area("Or paste it here", key="agents_pasted", height=120)
    found = read_import()
    if isinstance(found, ConfigError):
        st.error(
            f"{as_plain(capitalised(str(found)))}\n\nThe setup is as it was. Correct the text.",
            title="This cannot be imported",
            icon=":material/error:",
        )
    elif found is not None:
        for note in found.notes:
            st.caption(f":material/info: {as_plain(note)}")
        draw_change(config, found)
        missing = found.suggest_models(choices)
        if missing:
            names = ", ".join(
                f"{as_plain(s.model)} → {as_plain(s.replacement or DEFAULT_MODEL)}" for s in missing
            )
            st.checkbox(
                f"Map models that are not here: {names}",
                value=not backend.has_servers(),
                key="agents_import_map",
            )
    st.button(
        "Import",
        type="primary",
        key="agents_import",
        on_click=import_text,
        args=(tuple(choices), load),
        disabled=isinstance(found, ConfigError),
    )
    st.caption("The app's own format and the workshop's older ones are read. The present setup is replaced.")


def read_import() -> MoAConfig | ConfigError | None:
    """The uploaded or pasted configuration, or what is wrong with it; None when there is none."""
    upload = st.session_state.get("agents_upload")
    text = upload.getvalue() if upload is not None else st.session_state.get("agents_pasted", "")
    if not text.strip():
        return None
    try:
        return MoAConfig.from_json(text)
    except ConfigError as exc:
        return exc


def import_text(available: tuple[str, ...], load: Load) -> None:
    """Take the pasted or uploaded configuration over, and close the box."""
    found = read_import()
    if not isinstance(found, MoAConfig):
        return
    if st.session_state.get("agents_import_map"):
        suggestions = found.suggest_models(available)
        found = found.with_models({s.model: s.replacement or DEFAULT_MODEL for s in suggestions})
    load(found)
    st.session_state["agents_pasted"] = ""
    st.session_state["agents_import_box"] = False
    st.toast("The setup was imported", icon=":material/check:")
