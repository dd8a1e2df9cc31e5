"""Drawn pieces of the Models page: the table, a file's own words, a router, and changes to the folder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.parts import backend
from pages.parts.problems import show_problem
from pages.parts.settings import secret
from pages.state.model_table import is_own, row_of
from pages.state.routing import entropy_bits, use_of_experts
from pages.state.text import as_plain, count, size
from wse_backend import SamplingParams
from wse_backend import models as model_files
from wse_backend.engine.model_file import ModelFile, describe
from wse_backend.engine.neuron_groups import ARCHITECTURES, MAX_TOKENS, GroupStudy, study_groups
from wse_backend.errors import WseError
from wse_backend.machine import memory_available_bytes
from wse_backend.weights.download.hub import SCHEME
from wse_backend.weights.gguf_file import open_gguf
from wse_backend.weights.tokenizer import Tokenizer

CHANGES_SETTING = "MODEL_CHANGES"  # "allow": visitors may add and delete files
UPLOAD_LIMIT_BYTES = 200 << 20  # Streamlit's own limit as well
ANSWER_TOKENS = 160
GROUPS_LIMIT = 700_000_000  # weights; a larger model takes minutes in plain numpy
GROUPS_TEXT = "Water boils at 100 degrees at sea level. The capital of France is Paris, on the Seine."
CALIBRATION = (
    "The river runs through the old town, past the market and the mill. In 1850 the first railway came, and "
    "with it trade. def area(r): return 3.14 * r ** 2  # a circle. She asked why the sky is blue; he said "
    "that light is scattered by the air, and blue light most."
)
NO_TEMPLATE = "The file has none; a format that suits its vocabulary is used."
QUESTION_LIMIT = 2000
COLUMNS: dict[str, Any] = {
    "name": "Model",
    "architecture": "Architecture",
    "format": "Format",
    "size": "File",
    "context": st.column_config.NumberColumn("Context (tokens)", format="localized"),
    "experts": "Experts per token",
    "memory": "Memory",
    "state": "State",
}


def files_here() -> dict[str, ModelFile]:
    """Every model file of the folder, by the name that a picker has for it."""
    folder = model_files.models_dir()
    found = {}
    for name in model_files.available(folder):
        card = model_files.CARDS.get(name)
        path = folder / (card.file if card else name)
        if path.is_file():
            status = path.stat()
            found[name] = _described(str(path), status.st_size, status.st_mtime_ns)
    return found


@st.cache_data(max_entries=64, show_spinner=False)
def _described(path: str, size_bytes: int, mtime_ns: int) -> ModelFile:
    del size_bytes, mtime_ns  # a file that has changed is another entry
    return describe(Path(path))


def show_table(files: dict[str, ModelFile]) -> None:
    """Every model on this disk, and those that can be fetched."""
    free = memory_available_bytes()
    table = pd.DataFrame([asdict(row_of(name, found, free)) for name, found in files.items()])
    if files:
        about = f"{count(len(files), 'model')} on this disk"
        st.dataframe(table, hide_index=True, column_config=COLUMNS, alt=about)
    st.caption(
        f"{size(free)} of memory are free here. A model's weights are read into it when it is first asked."
    )
    absent = [card for card in model_files.CARDS.values() if card.name not in files]
    for card in absent:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{card.name}** · {size(card.size_bytes)} · {card.licence} · {as_plain(card.note)}")
            if st.button("Fetch", key=f"models_fetch_{card.name}", icon=":material/download:"):
                _fetch(card.name)


def _fetch(name: str) -> None:
    bar = st.progress(0.0, f"Fetching {name}")

    def progress(stage: str, done: int, total: int) -> None:
        bar.progress(min(1.0, done / max(1, total)), stage)

    try:
        model_files.ensure(name, progress)
    except WseError as exc:
        show_problem(exc)
        return
    st.rerun()


def show_file(name: str, found: ModelFile) -> None:
    """What one file says of itself."""
    if found.problem:
        st.warning(as_plain(found.problem), icon=":material/block:")
    card = model_files.CARDS.get(name)
    licence = (card.licence if card else "") or found.licence or "not said by the file"
    st.markdown(
        f"**{as_plain(found.title or name)}** · {found.parameters / 1e6:,.0f} million weights · "
        f"{count(found.n_layers, 'layer')} · licence: {as_plain(licence)}"
    )
    with st.expander("Chat template"):
        st.code(
            found.template or NO_TEMPLATE,
            language="jinja2",
        )


def show_side_by_side(names: Sequence[str]) -> None:
    """Two models on one question."""
    with st.form("models_compare", border=False):
        left, right = st.columns(2)
        first = left.selectbox("First model", names, key="models_first")
        second = right.selectbox("Second model", names, index=min(1, len(names) - 1), key="models_second")
        question = st.text_input(
            "Question", "Why is the sky blue?", max_chars=QUESTION_LIMIT, key="models_question"
        )
        if not st.form_submit_button("Ask both", icon=":material/compare:"):
            return
    for column, name in zip(st.columns(2), (first, second), strict=True):
        with column, st.container(border=True):
            st.markdown(f"**{as_plain(name)}**")
            _answer(name, question)


def _answer(name: str, question: str) -> None:
    try:
        with st.spinner(f"Loading {name}"):
            engine = backend.engine_pool().engine(name)
        params = SamplingParams(temperature=0.0, max_tokens=ANSWER_TOKENS)
        text = engine.generate([{"role": "user", "content": question}], params)
    except WseError as exc:
        show_problem(exc)
        return
    st.text(text.text)
    rate = text.usage.completion_tokens / max(1e-9, text.timing.total_s)
    st.caption(f"{count(text.usage.completion_tokens, 'token')}, {rate:.0f} a second, measured here")


def show_router(names: Sequence[str]) -> None:
    """Which experts the tokens of a text go to, in a model that has some."""
    if not names:
        st.caption(
            "No model here has experts. Put a Mixtral, Qwen3-30B-A3B, OLMoE, Granite MoE or gpt-oss file "
            "into the model folder to see which experts each token of a text goes to."
        )
        return
    name = st.selectbox("Model with experts", names, key="models_router_model")
    text = st.text_input(
        "Text", "A mixture of experts asks few of many.", max_chars=QUESTION_LIMIT, key="models_router_text"
    )
    try:
        with st.spinner(f"Loading {name}"):
            engine = backend.engine_pool().engine(name)
        ids = engine.tokenize(text)
        if not ids:
            return
        routed = engine.routing(ids)
        words = [engine.detokenize([token]) for token in ids]
    except WseError as exc:
        show_problem(exc)
        return
    shares = use_of_experts(routed)
    _heat_map(shares, "Expert", "Layer", "Share of the layer's choices", "models_router_map")
    spread, most = entropy_bits(shares), math.log2(routed.n_experts)
    st.caption(
        f"Entropy of the choices: {spread.mean():.2f} bits on average over the layers, {spread.min():.2f} at "
        f"least; all {routed.n_experts} experts used alike would be {most:.2f}."
    )
    layer = st.slider("Layer", 1, routed.chosen.shape[0], 1, key="models_router_layer") - 1
    chosen = [", ".join(map(str, row)) for row in routed.chosen[layer]]
    first = [f"{share:.0%}" for share in routed.shares[layer, :, 0]]
    st.dataframe(
        pd.DataFrame({"Token": words, "Experts, largest share first": chosen, "Share of the first": first}),
        hide_index=True,
        alt=f"The experts that {count(len(words), 'token')} go to in layer {layer + 1}",
    )


def show_groups(files: dict[str, ModelFile]) -> None:
    """A model without experts as if it had some: its neurons in groups, few of them per token."""
    names = [name for name, found in files.items() if _may_be_grouped(found)]
    st.subheader("A mixture of experts from any model")
    st.caption(
        "A layer's neurons that are active together form groups. Keep only the groups that matter most for "
        "each token, and see what is lost (MoEfication, Zhang et al. 2022). The choice here is the best "
        "there is; a real router errs and loses more. A mixture is trained for its router; this was not."
    )
    if not names:
        st.caption("Fetch a Llama or Qwen2 model without experts first.")
        return
    with st.form("models_groups", border=False):
        left, right = st.columns(2)
        name = left.selectbox("Model without experts", names, key="models_groups_model")
        n_groups = right.selectbox("Groups per layer", (16, 32, 64), index=1, key="models_groups_number")
        text = st.text_input("Text", GROUPS_TEXT, max_chars=QUESTION_LIMIT, key="models_groups_text")
        if not st.form_submit_button("Compute", icon=":material/hub:"):
            return
    try:
        study = _studied(str(files[name].path), text, n_groups)
    except WseError as exc:
        show_problem(exc)
        return
    _draw_study(study)


def _may_be_grouped(found: ModelFile) -> bool:
    is_small = found.parameters <= GROUPS_LIMIT
    return found.problem is None and found.architecture in ARCHITECTURES and not found.n_experts and is_small


@st.cache_data(max_entries=8, show_spinner=False)
def _studied(path: str, text: str, n_groups: int) -> GroupStudy:
    gguf = open_gguf(path)
    tokenizer = Tokenizer.from_gguf(gguf)
    bar = st.progress(0.0, "Layer by layer")
    ids, known = tokenizer.encode(text)[:MAX_TOKENS], tokenizer.encode(CALIBRATION)[:MAX_TOKENS]
    study = study_groups(gguf, known, ids, n_groups, lambda done, total: _advance(bar, done, total))
    bar.empty()
    return study


def _advance(bar: DeltaGenerator, done: int, total: int) -> None:
    bar.progress(done / total, f"Layer {done} of {total}")


def _draw_study(study: GroupStudy) -> None:
    """What is lost and saved, as a table and a chart, and which groups are used."""
    share = [kept / study.n_groups for kept in study.kept]
    figure = go.Figure(go.Scatter(x=share, y=study.same, name="Same next token", mode="lines+markers"))
    reads = [study.read_share(kept) for kept in study.kept]
    figure.add_scatter(x=share, y=reads, name="Weights read per token", mode="lines+markers")
    figure.update_layout(xaxis_title="Groups kept", yaxis_title="Share of the whole model", height=320)
    figure.update_xaxes(tickformat=".0%", autorange="reversed")
    figure.update_yaxes(tickformat=".0%", range=[0, 1.05])
    st.plotly_chart(figure, key="models_groups_chart")
    table = pd.DataFrame(
        {"Groups kept": study.kept, "KL (nats)": study.kl.round(4), "Same token": study.same}
    )
    table["Weights read"] = reads
    shares = st.column_config.NumberColumn(format="percent")
    st.dataframe(
        table,
        hide_index=True,
        column_config={"Same token": shares, "Weights read": shares},
        alt=f"What {count(len(study.kept), 'number')} of groups lose, computed here",
    )
    st.caption("Computed here, in float32, on your text; groups were formed on another text.")
    _heat_map(study.use, "Group", "Layer", "Share of tokens", "models_groups_map")


def _heat_map(values: npt.NDArray[np.float64], x: str, y: str, what: str, key: str) -> None:
    layers = list(range(1, len(values) + 1))
    figure = go.Figure(
        go.Heatmap(z=values, y=layers, colorscale="Blues", name=what, colorbar={"title": what})
    )
    figure.update_layout(xaxis_title=x, yaxis_title=y, height=360, margin={"t": 20, "b": 40})
    figure.update_yaxes(autorange="reversed", tickformat="d")
    st.plotly_chart(figure, key=key)


def may_change() -> bool:
    """Whether visitors may add files to the model folder and delete their own."""
    return secret(CHANGES_SETTING) == "allow"


def show_changes(files: dict[str, ModelFile]) -> None:
    """Upload and delete, where the app's settings allow it."""
    folder = model_files.models_dir()
    st.caption(f"Any GGUF file that is put into {folder} appears here.")
    if not may_change():
        st.caption(f"To fetch others, upload or delete, set {CHANGES_SETTING} to allow in the app's secrets.")
        return
    address = st.text_input(
        "Fetch from a hub", placeholder="hf://owner/repository/file.gguf", key="models_address"
    )
    if address.startswith(SCHEME) and st.button(
        "Fetch", key="models_fetch_address", icon=":material/download:"
    ):
        _fetch(address)
    upload = st.file_uploader("Add a GGUF file", type=["gguf"], key="models_upload")
    if upload is not None and st.button("Keep it", key="models_keep", icon=":material/save:"):
        _keep(folder, upload.name, upload.getvalue())
    known = {card.file for card in model_files.CARDS.values()}
    own = [name for name, found in files.items() if is_own(found.path, folder, known)]
    if own:
        name = st.selectbox("Delete a file of your own", own, index=None, key="models_delete_name")
        if name and st.button("Delete", key="models_delete", icon=":material/delete:"):
            files[name].path.unlink(missing_ok=True)
            st.rerun()


def _keep(folder: Path, name: str, content: bytes) -> None:
    """Put an uploaded file into the folder, unless it is too large, there already, or no model."""
    target = folder / Path(name).name
    if len(content) > UPLOAD_LIMIT_BYTES or target.exists() or target.suffix != ".gguf":
        st.error(f"A new name that ends in .gguf, and at most {size(UPLOAD_LIMIT_BYTES)}, can be kept.")
        return
    folder.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.upload")
    draft.write_bytes(content)
    found = describe(draft)
    if found.problem:
        draft.unlink()
        st.error(as_plain(found.problem.replace(draft.name, target.name)), icon=":material/block:")
        return
    draft.rename(target)
    st.rerun()
