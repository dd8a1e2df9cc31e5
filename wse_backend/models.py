"""Model files by name: the ones this project knows, and the user's own.

path = ensure("smollm2-135m", progress=lambda stage, done, total: ...)
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

from wse_backend.errors import UnknownModel
from wse_backend.weights.catalog import CARDS, DEFAULT_MODEL, ModelCard, Progress, Wheel
from wse_backend.weights.download.fetch import fetch_card, is_trusted
from wse_backend.weights.download.hub import SCHEME, fetch_address

__all__ = [
    "CARDS",
    "DEFAULT_MODEL",
    "ModelCard",
    "Progress",
    "Wheel",
    "available",
    "ensure",
    "is_downloaded",
    "models_dir",
]

_LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf$")


def models_dir() -> Path:
    """The folder of model files: WSE_MODEL_DIR, else one in the user's cache folder. It may not exist yet."""
    configured = os.environ.get("WSE_MODEL_DIR")
    if configured:
        return Path(configured).expanduser().absolute()
    return _cache_dir() / "moa-workshop" / "models"


def _cache_dir() -> Path:
    """The user's cache folder by the platform's rule; a user without a home gets a temporary one."""
    try:
        home = Path.home()
    except RuntimeError:
        return Path(tempfile.gettempdir())
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")


def available(folder: Path | None = None) -> list[str]:
    """Names that `ensure` accepts: the known models, then every other *.gguf file of the model folder.

    A model in parts goes by its first file.
    """
    folder = folder or models_dir()
    known_files = {card.file for card in CARDS.values()}
    dropped = sorted(p.name for p in folder.glob("*.gguf") if p.is_file() and p.name not in known_files)
    return [*CARDS, *(name for name in dropped if not _LATER_PART.search(name))]


def is_downloaded(name: str, folder: Path | None = None) -> bool:
    """Whether the known model `name` is here and was verified; reads only two directory entries."""
    return is_trusted(CARDS[name], (folder or models_dir()) / CARDS[name].file)


def ensure(
    name: str, progress: Progress | None = None, folder: Path | None = None, *, accepts_paths: bool = True
) -> Path:
    """The verified file of a model, fetched first when it is not here.

    `name`: a known model, a *.gguf of the model folder (with or without its ending), the path of any file, or
    a hub's address, hf://owner/repository/file.gguf.
    accepts_paths: False where names come from strangers (an imported configuration): a path or an address is
    then unknown, in the same words whether there is such a file or not.
    Several processes or threads may ask at once: one fetches, the others wait for it.
    Raises UnknownModel, DownloadFailed, HashMismatch, DiskFull; whatever `progress` raises ends the fetch.
    """
    folder = folder or models_dir()
    if name in CARDS:
        return fetch_card(CARDS[name], folder, progress or _silent)
    if accepts_paths and name.startswith(SCHEME):
        return fetch_address(name, folder, progress or _silent)
    return _own_file(name, folder, accepts_paths)


def _own_file(name: str, folder: Path, accepts_paths: bool) -> Path:
    """A file of the user's own: by path, or by its name in the model folder."""
    plain = bool(name) and "\0" not in name and Path(name).name == name
    candidates = [folder / name, folder / f"{name}.gguf"] if plain else []
    if accepts_paths and name and "\0" not in name and len(name) < 4096:
        candidates.append(Path(name).expanduser())
    for candidate in candidates:
        try:
            if candidate.is_file() and (candidate.suffix == ".gguf" or not plain):
                return candidate
        except OSError:  # a name too long for the file system is simply not there
            continue
    raise UnknownModel(name, available(folder), str(folder), accepts_paths)


def _silent(stage: str, done: int, total: int) -> None:
    """The progress of nobody."""
