"""The controls of the Wafer page: which model, on which hardware, laid out how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import streamlit as st

from pages.state.text import count
from pages.state.wafer_setting import (
    EXPERT_NAMES,
    KV_NAMES,
    MAPPING_NAMES,
    MAPPING_NOTES,
    PROGRAM_NAMES,
    WAFER_CHOICES,
    Setting,
    preset_for,
    unique,
)
from wse_backend import models as model_files
from wse_backend.wafer.routing import RouterTrace
from wse_backend.wafer.shapes import PRESETS, ModelShape
from wse_backend.wafer.spec import WAFERS, WSE3

FIRST_PRESET = "llama3-8b"
DEFAULTS = {
    "wafer_model": FIRST_PRESET,
    "wafer_is_chosen": False,  # until somebody chooses a model, the page follows the last run
    "wafer_spec": WSE3.name,
    "wafer_count": 0,
    "wafer_context": 4096,
    "wafer_prompt": 4096,
    "wafer_mapping": "layer",
    "wafer_side": 420,
    "wafer_kv": "shift",
    "wafer_density": 0.1,
    "wafer_seed": 1,
    "wafer_program": "reference",
    "wafer_experts": "spread",
    "wafer_skew": 0.2,
}


def shape_of(name: str) -> ModelShape | None:
    """The shape of a model by its name in a picker: from its file when that is here, else a preset.

    Raises BrokenGGUF, InvalidParams (a file whose header is no model's).
    """
    is_file = name not in model_files.CARDS and name in model_files.available()
    if is_file or (name in model_files.CARDS and model_files.is_downloaded(name)):
        path = model_files.ensure(name)
        return replace(_file_shape(str(path), path.stat().st_mtime_ns), name=name)
    return preset_for(name)


@st.cache_data(max_entries=64, show_spinner="Reading the model's header")
def _file_shape(path: str, changed_ns: int) -> ModelShape:
    """The shape in a GGUF file's header; `changed_ns` makes another version another entry."""
    del changed_ns
    return ModelShape.from_gguf(Path(path))


def model_names(run_models: list[str]) -> list[str]:
    """The last run's models, the files that are here, the presets."""
    own = [name for name in model_files.available() if name not in PRESETS]
    known = [name for name in run_models if name in own or preset_for(name)]
    return unique([*known, *own, *PRESETS])


def choose(run_models: list[str], traces: Mapping[str, RouterTrace] | None = None) -> Setting:
    """Draw the controls and return what they say. Raises BrokenGGUF, InvalidParams (an unreadable file).

    traces: by model, what the routers of the last run chose.
    """
    for key, value in DEFAULTS.items():
        st.session_state.setdefault(key, value)
    names = model_names(run_models)
    has_own = bool(run_models) and names[0] in run_models
    if st.session_state["wafer_model"] not in names or (has_own and not st.session_state["wafer_is_chosen"]):
        st.session_state["wafer_model"] = names[0] if has_own else FIRST_PRESET
    with st.grid(4, min_column_width=150):
        model = st.selectbox(
            "Model",
            names,
            key="wafer_model",
            on_change=_remember_choice,
            format_func=lambda name: f"{name} · your last run" if name in run_models else name,
            persist_state="session",
        )
        spec = st.segmented_control(
            "Wafer", list(WAFERS), key="wafer_spec", required=True, persist_state="session"
        )
        wafers = st.selectbox(
            "How many wafers",
            WAFER_CHOICES,
            key="wafer_count",
            format_func=lambda count: str(count or "As few as hold it"),
            help="More wafers form a pipeline over the transformer layers; only activations cross.",
            persist_state="session",
        )
        context = st.number_input(
            "Context (tokens)",
            key="wafer_context",
            min_value=0,
            step=1024,
            help="Tokens of one sequence whose keys and values are in the cache.",
            persist_state="session",
        )
    with st.expander("Mapping, grid, cache and defects", icon=":material/tune:"):
        layout = _choose_layout()
        shape = shape_of(str(model)) or PRESETS[FIRST_PRESET]
        if shape.n_experts:
            layout = _choose_experts(layout, shape, (traces or {}).get(str(model)))
    return replace(layout, model=shape, spec=WAFERS[str(spec)], wafers=wafers or None, context=int(context))


def _remember_choice() -> None:
    st.session_state["wafer_is_chosen"] = True


def _choose_experts(layout: Setting, shape: ModelShape, recorded: RouterTrace | None) -> Setting:
    """The controls of a mixture of experts. Raises InvalidParams (a trace that is not this model's)."""
    left, right = st.columns(2, gap="large")
    with left:
        experts = st.segmented_control(
            "Experts",
            list(EXPERT_NAMES),
            key="wafer_experts",
            required=True,
            format_func=EXPERT_NAMES.__getitem__,
            persist_state="session",
        )
    with right:
        skew = st.slider(
            "Imbalance of drawn routes",
            0.0,
            2.0,
            step=0.1,
            key="wafer_skew",
            help="0: every expert is as popular as any other. Popularity falls with the power of this "
            "number.",
            persist_state="session",
        )
    given = st.file_uploader(
        "Router trace (JSON), instead of a drawn one",
        type="json",
        key="wafer_trace",
        help="For each token, for each transformer layer with experts, the numbers of the chosen experts.",
    )
    trace = RouterTrace.parse(given.getvalue(), shape) if given else recorded
    if recorded is not None and not given:
        n_tokens = len(recorded.experts)
        st.caption(
            f"Routes: as the engine recorded them in your last run, {count(n_tokens, 'token')}. They take "
            "the place of drawn ones."
        )
    return replace(layout, experts=str(experts), skew=float(skew), trace=trace)


def _choose_layout() -> Setting:
    """The controls that most people leave as they are."""
    left, right = st.columns(2, gap="large")
    with left:
        layout = _choose_grid()
    with right:
        return _choose_work(layout)


def _choose_grid() -> Setting:
    """How a wafer is cut into regions, and where the cache lies."""
    mapping = st.segmented_control(
        "Mapping",
        list(MAPPING_NAMES),
        key="wafer_mapping",
        required=True,
        format_func=MAPPING_NAMES.__getitem__,
        persist_state="session",
    )
    st.caption(MAPPING_NOTES[str(mapping)])
    side = st.number_input(
        "Grid (PEs per side)",
        key="wafer_side",
        min_value=1,
        step=20,
        disabled=mapping == "layer",
        help="Side of the square grid that a region's matrices are tiled over.",
        persist_state="session",
    )
    kv = st.segmented_control(
        "KV cache",
        list(KV_NAMES),
        key="wafer_kv",
        required=True,
        format_func=KV_NAMES.__getitem__,
        persist_state="session",
    )
    return Setting(
        model=PRESETS[FIRST_PRESET],
        spec=WSE3,
        mapping=str(mapping),
        side=None if mapping == "layer" else int(side),
        kv=str(kv),
    )


def _choose_work(layout: Setting) -> Setting:
    """What is read by which program, and with which defects."""
    prompt = st.number_input(
        "Prompt for the prefill (tokens)",
        key="wafer_prompt",
        min_value=0,
        step=512,
        persist_state="session",
    )
    program = st.segmented_control(
        "Prefill program",
        list(PROGRAM_NAMES),
        key="wafer_program",
        required=True,
        format_func=PROGRAM_NAMES.__getitem__,
        help="The published program projects K and V as wide as Q, and was measured so. One that used "
        "grouped K and V would be faster; nobody has measured it.",
        persist_state="session",
    )
    density = st.number_input(
        "Defects per cm²",
        key="wafer_density",
        min_value=0.0,
        step=0.1,
        format="%.2f",
        help="A mature process has about 0.1. A wafer has 462 cm².",
        persist_state="session",
    )
    seed = st.number_input(
        "Seed of the defects", key="wafer_seed", min_value=0, step=1, persist_state="session"
    )
    return replace(
        layout,
        prompt_tokens=int(prompt),
        density_per_cm2=float(density),
        seed=int(seed),
        program=str(program),
    )
