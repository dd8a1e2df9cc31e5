"""What a model file says of itself, for people: read from its header, of any architecture."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

from wse_backend.engine.matrices import check_formats, check_sizes
from wse_backend.errors import BrokenGGUF, BrokenTemplate, Unsupported
from wse_backend.weights.chat_template import ChatTemplate
from wse_backend.weights.gguf_file import PARTS_LIMIT, open_gguf, part_paths
from wse_backend.weights.header import Header, read_header
from wse_backend.weights.sizes import Fields, read_sizes
from wse_backend.weights.tokenizer import Tokenizer

TEXT_LIMIT = 20_000  # characters of a template or a licence that are worth showing


@dataclass(frozen=True)
class ModelFile:
    """A file on this disk. format: the type of most of its bytes; parameters: all weights. parts: its files.

    problem: why the engine does not run it, None when it does. n_layers, n_ctx: 0 where the header does not
    say. n_experts, n_experts_active: of each layer, 0 without any. template, licence: as the file has them.
    """

    path: Path
    size_bytes: int
    architecture: str = ""
    title: str = ""
    format: str = ""
    parameters: int = 0
    n_layers: int = 0
    n_ctx: int = 0
    n_experts: int = 0
    n_experts_active: int = 0
    licence: str = ""
    template: str = ""
    problem: str | None = None
    parts: tuple[Path, ...] = ()


def describe(path: Path) -> ModelFile:
    """What is known of a file, with the reason where it is no model that the engine runs. Raises OSError."""
    size_bytes = path.stat().st_size
    try:
        header = read_header(path)
    except (BrokenGGUF, Unsupported) as exc:
        return ModelFile(path, size_bytes, problem=str(exc))
    metadata = header.metadata
    try:
        sizes = read_sizes(Fields(metadata, path.name), header.shapes.get("token_embd.weight", (None,))[0])
    except BrokenGGUF as exc:
        problem = _problem(path) or str(exc)
        return ModelFile(path, size_bytes, _text(metadata, "general.architecture"), problem=problem)
    format_name, parameters = _formats(header)
    parts = _parts(header)
    return ModelFile(
        path,
        sum(part.stat().st_size for part in parts),
        architecture=_text(metadata, "general.architecture"),
        title=_text(metadata, "general.name"),
        format=format_name,
        parameters=parameters,
        n_layers=sizes.n_layers,
        n_ctx=sizes.n_ctx,
        n_experts=sizes.n_experts,
        n_experts_active=sizes.n_experts_active,
        licence=_text(metadata, "general.license"),
        template=_text(metadata, "tokenizer.chat_template"),
        problem=_problem(path),
        parts=parts,
    )


def check_file(path: Path) -> None:
    """Raise BrokenGGUF, Unsupported or BrokenTemplate when the engine would not load a file.

    Weights that are no numbers are found only when they are read: that is left to loading.
    """
    gguf = open_gguf(path)
    check_formats(gguf)
    check_sizes(gguf)
    ChatTemplate.from_gguf(gguf, Tokenizer.from_gguf(gguf))


def _problem(path: Path) -> str | None:
    try:
        check_file(path)
    except (BrokenGGUF, Unsupported, BrokenTemplate) as exc:
        return str(exc)
    return None


def _formats(header: Header) -> tuple[str, int]:
    """The type of most of the file's bytes, and how many weights it has."""
    sizes: Counter[str] = Counter()
    parameters = 0
    for entry in header.entries:
        n_values = math.prod(entry.shape)
        parameters += n_values
        try:
            kind = GGMLQuantizationType(entry.qtype)
        except ValueError:
            sizes[f"type {entry.qtype}"] += n_values
            continue
        values, n_bytes = GGML_QUANT_SIZES[kind]
        sizes[kind.name] += n_values * n_bytes // values
    return (sizes.most_common(1)[0][0] if sizes else ""), parameters


def _parts(header: Header) -> tuple[Path, ...]:
    """The files of a model, of those that are there."""
    n_parts = header.metadata.get("split.count", 1)
    if type(n_parts) is not int or not 1 < n_parts <= PARTS_LIMIT:
        return (header.path,)
    try:
        paths = part_paths(header.path, n_parts)
    except BrokenGGUF:
        return (header.path,)
    return tuple(part for part in paths if part.is_file())


def _text(metadata: dict[str, object], key: str) -> str:
    found = metadata.get(key)
    return found[:TEXT_LIMIT] if isinstance(found, str) else ""
