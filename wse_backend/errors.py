"""Every way in which the engine refuses or fails, as one tree.

WseError
├── UnknownModel        no card and no file has that name
├── DownloadFailed      a model could not be fetched
│   ├── HashMismatch    what arrived is not the published file
│   └── DiskFull        the file does not fit on the disk
├── BrokenGGUF          the file is not a well-formed GGUF
├── Unsupported         well-formed, but something in it this engine does not run
├── BrokenTemplate      the model's chat template cannot be rendered
├── InvalidMessages     messages of the wrong shape (also a ValueError)
├── InvalidParams       a sampling parameter out of its range (also a ValueError)
├── ContextOverflow     the prompt is longer than the model's context
├── QueueFull           too many requests are already waiting
├── OutOfMemory         a model or a cache does not fit into the memory budget
├── GridTooLarge        a grid of PEs is larger than the wafer (also a ValueError)
├── DoesNotFit          a model does not fit the wafers allowed (also a ValueError)
├── NoUsableWafer       no wafer survives such a defect density (also a ValueError)
├── NotFinite           the model computed NaN or infinity for a request
├── EngineClosed        the engine was closed before or during the request
└── EngineFailed        the engine's own thread died; a bug, never the user's fault

The text of each may be shown to a user; the values it mentions are attributes as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MIB = 1024 * 1024

__all__ = [
    "BrokenGGUF",
    "BrokenTemplate",
    "ContextOverflow",
    "DiskFull",
    "DoesNotFit",
    "DownloadFailed",
    "EngineClosed",
    "EngineFailed",
    "GridTooLarge",
    "HashMismatch",
    "InvalidMessages",
    "InvalidParams",
    "NoUsableWafer",
    "NotFinite",
    "OutOfMemory",
    "QueueFull",
    "UnknownModel",
    "Unsupported",
    "WseError",
]


class WseError(Exception):
    """Base of all errors of this package; its text may be shown to a user."""


class UnknownModel(WseError):
    """No known model and no GGUF file has the asked name."""

    def __init__(self, name: str, known: Sequence[str], folder: str, accepts_paths: bool = True) -> None:
        super().__init__(name, known, folder, accepts_paths)
        self.name = name
        self.known = tuple(known)
        self.folder = folder
        self._way = "by its path, or placed in" if accepts_paths else "when it is placed in"

    def __str__(self) -> str:
        shown = repr(self.name if len(self.name) <= 120 else self.name[:117] + "...")
        known = ", ".join(self.known)
        return f"unknown model {shown}; known: {known}. Any other GGUF file works {self._way} {self.folder}"


class DownloadFailed(WseError):
    """A model could not be fetched."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(model, reason)
        self.model = model
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot fetch {self.model}: {self.reason}"


class HashMismatch(DownloadFailed):
    """The bytes that arrived are not the file that was published."""

    def __init__(self, model: str, expected: str, found: str, source: str) -> None:
        Exception.__init__(self, model, expected, found, source)
        self.model = model
        self.expected = expected
        self.found = found
        self.source = source
        self.reason = f"SHA-256 of {source} is {found}, expected {expected}"

    def __str__(self) -> str:
        return (
            f"cannot trust {self.model}: {self.reason}. Nothing was kept; "
            "try again, and if it repeats check the package index that is configured"
        )


class DiskFull(DownloadFailed):
    """The model does not fit on the disk of the model folder."""

    def __init__(
        self, model: str, folder: str, needed_bytes: int, free_bytes: int, os_message: str = ""
    ) -> None:
        Exception.__init__(self, model, folder, needed_bytes, free_bytes, os_message)
        self.model = model
        self.folder = folder
        self.needed_bytes = needed_bytes
        self.free_bytes = free_bytes
        self.os_message = os_message
        said = f" ({os_message})" if os_message else ""
        self.reason = (
            f"{folder} needs {needed_bytes / MIB:.0f} MiB, {free_bytes / MIB:.0f} MiB are free{said}"
        )

    def __str__(self) -> str:
        return (
            f"no room for {self.model}: {self.reason}. "
            "Free some space, or set WSE_MODEL_DIR to a folder on a larger disk"
        )


class BrokenGGUF(WseError):
    """The file is no GGUF, is damaged, or its header contradicts itself."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot load {self.path}: {self.reason}"


class Unsupported(WseError):
    """The file is well-formed but asks for something that this engine does not run."""

    def __init__(self, path: str, what: str, found: str, supported: Sequence[str] = ()) -> None:
        super().__init__(path, what, found, supported)
        self.path = path
        self.what = what
        self.found = found
        self.supported = tuple(supported)

    def __str__(self) -> str:
        allowed = f"; supported: {', '.join(self.supported)}" if self.supported else ""
        return f"cannot load {self.path}: {self.what} is {self.found}{allowed}"


class BrokenTemplate(WseError):
    """The chat template of a model cannot be parsed or rendered."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the model's chat template (tokenizer.chat_template) cannot be rendered: {self.reason}"


class InvalidMessages(WseError, ValueError):
    """The conversation is not a list of messages with a role and a text."""

    def __init__(self, found: str, allowed: str) -> None:
        super().__init__(found, allowed)
        self.found = found
        self.allowed = allowed

    def __str__(self) -> str:
        return f"invalid messages: {self.found}; allowed: {self.allowed}"


class InvalidParams(WseError, ValueError):
    """A sampling parameter is outside its range."""

    def __init__(self, field: str, found: Any, allowed: str) -> None:
        super().__init__(field, found, allowed)
        self.field = field
        self.found = found
        self.allowed = allowed

    def __str__(self) -> str:
        shown = repr(self.found)
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        return f"{self.field} is {shown}; allowed: {self.allowed}"


class ContextOverflow(WseError):
    """The prompt alone is longer than the model's context."""

    def __init__(self, prompt_tokens: int, n_ctx: int) -> None:
        super().__init__(prompt_tokens, n_ctx)
        self.prompt_tokens = prompt_tokens
        self.n_ctx = n_ctx

    def __str__(self) -> str:
        return (
            f"the prompt has {self.prompt_tokens} tokens, the model's context holds {self.n_ctx}. "
            "Shorten the prompt or the conversation, or use a model with a longer context"
        )


class QueueFull(WseError):
    """The engine's queue of waiting requests is full."""

    def __init__(self, waiting: int, limit: int) -> None:
        super().__init__(waiting, limit)
        self.waiting = waiting
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"{self.waiting} requests are already waiting (the limit is {self.limit}); try again in a moment"
        )


class OutOfMemory(WseError):
    """A model, or the cache of one request, does not fit into the memory budget."""

    def __init__(self, what: str, needed_bytes: int, available_bytes: int) -> None:
        super().__init__(what, needed_bytes, available_bytes)
        self.what = what
        self.needed_bytes = needed_bytes
        self.available_bytes = available_bytes

    def __str__(self) -> str:
        return (
            f"{self.what} needs {self.needed_bytes / MIB:.0f} MiB of memory, "
            f"{self.available_bytes / MIB:.0f} MiB are available. Use a smaller model or a shorter context"
        )


class GridTooLarge(WseError, ValueError):
    """A grid of PEs does not lie on the wafer."""

    def __init__(self, grid: tuple[int, int], wafer: str, largest: tuple[int, int]) -> None:
        super().__init__(grid, wafer, largest)
        self.grid = grid
        self.wafer = wafer
        self.largest = largest

    def __str__(self) -> str:
        return (
            f"a grid of {self.grid[0]} x {self.grid[1]} PEs does not lie on {self.wafer}, "
            f"which has {self.largest[0]} x {self.largest[1]}"
        )


class DoesNotFit(WseError, ValueError):
    """A model and its cache need more SRAM than the wafers allowed have.

    missing_bytes: what is short on the wafers allowed. wafers_needed: the smallest number that would do, or
    None when no number of wafers does (one transformer layer is too large for one region).
    """

    def __init__(
        self, model: str, spec: str, wafers: int, missing_bytes: int, wafers_needed: int | None
    ) -> None:
        super().__init__(model, spec, wafers, missing_bytes, wafers_needed)
        self.model = model
        self.spec = spec
        self.wafers = wafers
        self.missing_bytes = missing_bytes
        self.wafers_needed = wafers_needed

    def __str__(self) -> str:
        remedy = (
            f"{self.wafers_needed} would do"
            if self.wafers_needed is not None
            else "more wafers do not help: one transformer layer is too large; use a larger grid or a "
            "shorter context"
        )
        return (
            f"{self.model} does not fit on {self.wafers} x {self.spec}: "
            f"{self.missing_bytes:,} bytes ({self.missing_bytes / MIB:,.0f} MiB) are missing; {remedy}"
        )


class NoUsableWafer(WseError, ValueError):
    """At such a defect density no wafer that was drawn is usable."""

    def __init__(self, spec: str, density_per_cm2: float, drawn: int, spares_per_row: int) -> None:
        super().__init__(spec, density_per_cm2, drawn, spares_per_row)
        self.spec = spec
        self.density_per_cm2 = density_per_cm2
        self.drawn = drawn
        self.spares_per_row = spares_per_row

    def __str__(self) -> str:
        return (
            f"none of {self.drawn} {self.spec} wafers is usable at {self.density_per_cm2:g} defects/cm2: "
            f"some row always has more defects than its {self.spares_per_row} spare PEs"
        )


class NotFinite(WseError):
    """A request's activations or logits became NaN or infinite; other requests go on."""

    def __init__(self, model: str, tensor: str) -> None:
        super().__init__(model, tensor)
        self.model = model
        self.tensor = tensor

    def __str__(self) -> str:
        return (
            f"{self.model} computes NaN or infinite numbers for this request, first noticed before "
            f"{self.tensor}. The file's weights are at fault; fetch the model again, or use another one"
        )


class EngineClosed(WseError):
    """The engine was closed before the request ended."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"the engine of {self.name} was closed; load the model again"


class EngineFailed(WseError):
    """The engine's own thread failed; the cause is chained and logged."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"the engine of {self.name} failed: {self.reason}. The engine is at fault, not the request"
