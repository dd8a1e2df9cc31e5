"""Rows of the Models page: every model on this disk, with what it needs and whether that is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pages.state.text import size
from wse_backend.engine.model_file import ModelFile
from wse_backend.models import CARDS, available

BESIDE_WEIGHTS_BYTES = 112 << 20  # buffers, vocabulary, machine code and the smallest cache


@dataclass(frozen=True)
class ModelRow:
    """One line of the table."""

    name: str
    architecture: str
    format: str
    size: str
    context: int
    experts: str
    memory: str
    state: str


def row_of(name: str, found: ModelFile, available_bytes: int) -> ModelRow:
    """The line of a file. available_bytes: memory that is free now."""
    needed = found.size_bytes + BESIDE_WEIGHTS_BYTES
    fits = needed <= available_bytes
    return ModelRow(
        name=name,
        architecture=found.architecture,
        format=found.format,
        size=size(found.size_bytes),
        context=found.n_ctx,
        experts=f"{found.n_experts_active} of {found.n_experts}" if found.n_experts else "",
        memory=f"about {size(needed)}{'' if fits else ', more than is free'}",
        state="not runnable" if found.problem else "ready" if fits else "too large now",
    )


def is_own(path: Path, folder: Path, known_files: set[str]) -> bool:
    """Whether a file is the user's own, in the model folder: only such a file may be deleted."""
    return path.parent == folder and path.name not in known_files and path.suffix == ".gguf"


def importable(source: Path, folder: Path) -> dict[str, Path]:
    """The GGUF files of a folder that the model folder does not have; a model in parts by its first."""
    try:
        names = available(source)
    except OSError:
        return {}
    found = {name: source / name for name in names if name not in CARDS}
    return {name: path for name, path in found.items() if not (folder / name).exists()}
