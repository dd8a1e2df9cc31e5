"""Drawn pieces of the Models page: the table, a file's own words, a router, and changes to the folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.parts import backend
from pages.parts.charts import CHART_CONFIG, with_legend_below
from pages.parts.problems import show_problem
from pages.parts.router_view import heat_map, show_routes
from pages.parts.settings import secret
from pages.state.model_table import importable, is_own, row_of
from pages.state.text import as_plain, capitalised, count, size
from wse_backend import SamplingParams
from wse_backend import models as model_files
from wse_backend.engine.model_file import ModelFile, describe
from wse_backend.engine.neuron_groups import ARCHITECTURES, MAX_TOKENS, GroupStudy, study_groups
from wse_backend.engine.own_files import import_file, keep_upload
from wse_backend.errors import WseError
from wse_backend.machine import memory_available_bytes
from wse_backend.weights.download.hub import SCHEME
from wse_backend.weights.gguf_file import open_gguf
from wse_backend.weights.tokenizer import Tokenizer

CHANGES_SETTING = "MODEL_CHANGES"  # "allow": visitors may add and delete files
IMPORT_SETTING = "MODEL_IMPORT_DIR"  # a folder of the server whose files they may then add
UPLOAD_LIMIT_MIB = 200
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
        f"{count(found.n_layers, 'transformer layer')} · licence: {as_plain(licence)}"
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
    except WseError as exc:
        show_problem(exc)
        return
    show_routes({name: routed}, key="models_router")
    st.caption("Computed here. On the Chat page every run with such a model shows where its own tokens went.")


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
    bar = st.progress(0.0, "Transformer layer by transformer layer")
    ids, known = tokenizer.encode(text)[:MAX_TOKENS], tokenizer.encode(CALIBRATION)[:MAX_TOKENS]
    study = study_groups(gguf, known, ids, n_groups, lambda done, total: _advance(bar, done, total))
    bar.empty()
    return study


def _advance(bar: DeltaGenerator, done: int, total: int) -> None:
    bar.progress(done / total, f"Transformer layer {done} of {total}")


def _draw_study(study: GroupStudy) -> None:
    """What is lost and saved, as a table and a chart, and which groups are used."""
    share = [kept / study.n_groups for kept in study.kept]
    figure = go.Figure(go.Scatter(x=share, y=study.same, name="Same next token", mode="lines+markers"))
    reads = [study.read_share(kept) for kept in study.kept]
    figure.add_scatter(x=share, y=reads, name="Weights read per token", mode="lines+markers")
    figure.update_layout(xaxis_title="Groups kept", yaxis_title="Share of the whole model", height=320)
    figure.update_xaxes(tickformat=".0%", autorange="reversed")
    figure.update_yaxes(tickformat=".0%", range=[0, 1.05])
    st.plotly_chart(
        with_legend_below(figure),
        config=CHART_CONFIG,
        key="models_groups_chart",
        alt="Same next tokens and weights read, over the share of groups that are kept",
    )
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
    heat_map(study.use, "Group", "Share of tokens", "models_groups_map")


def may_change() -> bool:
    """Whether visitors may add files to the model folder and delete their own."""
    return secret(CHANGES_SETTING) == "allow"


def show_changes(files: dict[str, ModelFile]) -> None:
    """Fetch, import, upload and delete, where the app's settings allow it."""
    folder = model_files.models_dir()
    st.caption(
        f"Any GGUF file that is put into {folder} appears here. On the app's own machine "
        "`python -m wse_backend add /path/to/model.gguf` checks a file and links it there."
    )
    if not may_change():
        st.caption(f"To fetch others, upload or delete, set {CHANGES_SETTING} to allow in the app's secrets.")
        return
    if said := st.session_state.pop("models_said", None):
        st.success(as_plain(said), icon=":material/check_circle:")
    _draw_fetch()
    _draw_import(folder)
    _draw_upload(folder)
    known = {card.file for card in model_files.CARDS.values()}
    own = [name for name, found in files.items() if is_own(found.path, folder, known)]
    if own:
        name = st.selectbox("Delete a file of your own", own, index=None, key="models_delete_name")
        if name and st.button("Delete", key="models_delete", icon=":material/delete:"):
            for part in files[name].parts or (files[name].path,):
                part.unlink(missing_ok=True)
            _done(f"{name} is deleted.")


def _draw_fetch() -> None:
    address = st.text_input(
        "Fetch from a hub", placeholder="hf://owner/repository/file.gguf", key="models_address"
    )
    if address and not address.startswith(SCHEME):
        st.caption(f"A hub's address begins with {SCHEME}")
    elif address and st.button("Fetch", key="models_fetch_address", icon=":material/download:"):
        _fetch(address)


def _draw_import(folder: Path) -> None:
    """Files of a folder that the app's owner has named: nobody types a path, so nobody probes for one."""
    configured = secret(IMPORT_SETTING)
    if not configured:
        st.caption(
            f"To add files that lie elsewhere on the app's machine, its owner names their folder in "
            f"{IMPORT_SETTING}. No paths are taken from visitors: a page must not tell which files exist."
        )
        return
    there = importable(Path(configured).expanduser(), folder)
    name = st.selectbox(
        "Import by path, from the folder that the app's owner has named",
        list(there),
        index=None,
        key="models_import_name",
        placeholder="Choose a file" if there else "No other GGUF file is in that folder",
        disabled=not there,
    )
    if name and st.button("Import", key="models_import", icon=":material/add_link:"):
        try:
            with st.spinner(f"Checking {name}"):
                import_file(there[name], folder)
        except WseError as exc:
            _refuse(exc)
            return
        _done(f"{name} is linked, and can be chosen like any other model.")


def _draw_upload(folder: Path) -> None:
    number = st.session_state.setdefault("models_uploads", 0)  # a new uploader after each file that was kept
    limit_mib = upload_limit_mib()
    upload = st.file_uploader(
        "Add a GGUF file", type=["gguf"], key=f"models_upload_{number}", max_upload_size=limit_mib
    )
    if limit_mib < UPLOAD_LIMIT_MIB:
        st.caption(
            f"This server takes up to {limit_mib} MB at a time. Its owner allows more, up to "
            f"{UPLOAD_LIMIT_MIB} MB, with STREAMLIT_SERVER_MAX_UPLOAD_SIZE. Import or fetch larger files."
        )
    if upload is not None and st.button("Keep it", key="models_keep", icon=":material/save:"):
        try:
            with st.spinner(f"Checking {as_plain(upload.name)}"):
                keep_upload(upload.name, upload, folder, limit_mib << 20)
        except WseError as exc:
            _refuse(exc)
            return
        st.session_state["models_uploads"] = number + 1
        _done(f"{upload.name} is kept, and can be chosen like any other model.")


def upload_limit_mib() -> int:
    """What the server takes, and this page wants: the server keeps the whole file in memory meanwhile."""
    return min(UPLOAD_LIMIT_MIB, int(st.get_option("server.maxUploadSize")))


def _refuse(error: WseError) -> None:
    st.error(as_plain(capitalised(str(error))), title="The file was not added", icon=":material/block:")


def _done(said: str) -> None:
    """Say it on the next run, which shows the folder as it now is."""
    st.session_state["models_said"] = said
    st.rerun()
