"""The header of a GGUF file, read in order from its first byte; no tensor is looked at.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian). The
`gguf` library's reader is not used because it builds one numpy view per array element: 1.8 s for a vocabulary
of 49,152, where reading the bytes in order takes 0.05 s.

Nothing in a header is believed: every count is compared with the bytes that are left before anything is
allocated.
"""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path

from gguf.constants import GGUFValueType

from wse_backend.errors import BrokenGGUF, Unsupported

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32

# Upper bounds of a header; the largest vocabularies in use (256,000 entries) stay a factor of 5 below them.
HEADER_LIMIT_BYTES = 64 * 1024 * 1024
ELEMENT_LIMIT = 1 << 22  # array elements of the whole header
KEY_LIMIT_BYTES = 65535  # the specification's own limit
ARRAY_DEPTH_LIMIT = 2
DIMS_LIMIT = 4  # the specification's

_SCALARS: dict[int, struct.Struct] = {
    GGUFValueType.UINT8: struct.Struct("<B"),
    GGUFValueType.INT8: struct.Struct("<b"),
    GGUFValueType.UINT16: struct.Struct("<H"),
    GGUFValueType.INT16: struct.Struct("<h"),
    GGUFValueType.UINT32: struct.Struct("<I"),
    GGUFValueType.INT32: struct.Struct("<i"),
    GGUFValueType.FLOAT32: struct.Struct("<f"),
    GGUFValueType.UINT64: struct.Struct("<Q"),
    GGUFValueType.INT64: struct.Struct("<q"),
    GGUFValueType.FLOAT64: struct.Struct("<d"),
}
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


@dataclass(frozen=True)
class Entry:
    """What a header says of one tensor. shape: numpy order; offset: bytes from where tensors begin."""

    name: str
    shape: tuple[int, ...]
    qtype: int
    offset: int


@dataclass(frozen=True)
class Header:
    """A header as read, and the mapped file. data_start: the byte at which tensors begin."""

    path: Path
    metadata: dict[str, object] = field(repr=False)
    entries: tuple[Entry, ...] = field(repr=False)
    data_start: int
    mapping: mmap.mmap = field(repr=False)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor, by name."""
        return {entry.name: entry.shape for entry in self.entries}


def read_header(path: str | os.PathLike[str]) -> Header:
    """Return the header of a GGUF file of any architecture.

    Raises BrokenGGUF, and Unsupported for a big-endian file or an unknown version.
    """
    path = Path(path)
    mapping = _map(path)
    try:
        return _HeaderReader(mapping, path).header()
    except (struct.error, UnicodeDecodeError, OverflowError) as exc:
        raise BrokenGGUF(path.name, f"damaged header ({exc})") from exc


def _map(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < 24:
                raise BrokenGGUF(path.name, f"no GGUF file: it has only {size} bytes")
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise BrokenGGUF(path.name, f"cannot read the file: {reason}") from exc


class _HeaderReader:
    """Reads a header in order; every length is checked against the bytes that are left."""

    def __init__(self, buffer: mmap.mmap, path: Path) -> None:
        self.buffer = buffer
        self.path = path
        self.name = path.name
        self.pos = 0
        self.end = min(len(buffer), HEADER_LIMIT_BYTES)
        self.elements_left = ELEMENT_LIMIT

    def broken(self, reason: str) -> BrokenGGUF:
        return BrokenGGUF(self.name, reason)

    def need(self, n_bytes: int, what: str) -> None:
        if n_bytes > self.end - self.pos:
            where = (
                "the file ends" if self.end == len(self.buffer) else f"the header exceeds {self.end} bytes"
            )
            raise self.broken(f"{where} inside {what} ({n_bytes:,} bytes at byte {self.pos:,})")

    def scalar(self, layout: struct.Struct, what: str) -> int | float:
        self.need(layout.size, what)
        value: int | float = layout.unpack_from(self.buffer, self.pos)[0]
        self.pos += layout.size
        return value

    def u32(self, what: str) -> int:
        return int(self.scalar(_U32, what))

    def u64(self, what: str) -> int:
        return int(self.scalar(_U64, what))

    def text(self, what: str, limit: int = HEADER_LIMIT_BYTES) -> str:
        length = self.u64(what)
        if length > limit:
            raise self.broken(f"{what} has {length:,} bytes; at most {limit:,} are allowed")
        self.need(length, what)
        self.pos += length
        return self.buffer[self.pos - length : self.pos].decode("utf-8")

    def header(self) -> Header:
        n_tensors, n_values = self.preamble()
        metadata: dict[str, object] = {}
        for _ in range(n_values):
            key = self.text("a metadata key", KEY_LIMIT_BYTES)
            if key in metadata:
                raise self.broken(f"metadata key {key!r} appears twice")
            metadata[key] = self.value(self.u32(f"the type of {key!r}"), f"the value of {key!r}")
        entries = tuple(self.tensor_entry() for _ in range(n_tensors))
        alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if type(alignment) is not int or not 8 <= alignment <= 65536 or alignment % 8:
            raise self.broken(f"general.alignment is {alignment!r}; allowed: multiples of 8 up to 65536")
        data_start = -(-self.pos // alignment) * alignment
        return Header(self.path, metadata, entries, data_start, self.buffer)

    def preamble(self) -> tuple[int, int]:
        if self.buffer[:4] != MAGIC:
            raise self.broken("no GGUF file: it does not begin with the letters GGUF")
        self.pos = 4
        version = self.u32("the version")
        if version not in VERSIONS:
            swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
            found = f"version {swapped}, big-endian" if swapped in VERSIONS else f"version {version}"
            raise Unsupported(self.name, "the GGUF format", found, ("version 2", "version 3 (little-endian)"))
        n_tensors = self.u64("the number of tensors")
        n_values = self.u64("the number of metadata values")
        left = self.end - self.pos
        # The shortest tensor entry has 8 + 4 + 8 + 4 + 8 bytes, the shortest metadata entry 8 + 4 + 1.
        if n_tensors * 32 + n_values * 13 > left:
            raise self.broken(
                f"the header announces {n_tensors:,} tensors and {n_values:,} metadata values, "
                f"more than fit into its {left:,} bytes"
            )
        return n_tensors, n_values

    def value(self, value_type: int, what: str, depth: int = 0) -> object:
        if value_type == GGUFValueType.STRING:
            return self.text(what)
        if value_type == GGUFValueType.BOOL:
            self.need(1, what)
            self.pos += 1
            return self.buffer[self.pos - 1] != 0
        if value_type == GGUFValueType.ARRAY:
            return self.array(what, depth)
        if value_type not in _SCALARS:
            raise self.broken(f"{what} has the unknown type {value_type}")
        return self.scalar(_SCALARS[value_type], what)

    def array(self, what: str, depth: int) -> list[object]:
        item_type = self.u32(what)
        length = self.u64(what)
        if depth >= ARRAY_DEPTH_LIMIT:
            raise self.broken(f"{what} nests arrays deeper than {ARRAY_DEPTH_LIMIT}")
        if length > self.elements_left:
            raise self.broken(f"{what} announces {length:,} elements; a header may have {ELEMENT_LIMIT:,}")
        self.elements_left -= length
        if item_type == GGUFValueType.STRING:
            return self.texts(length, what)
        if item_type in _SCALARS:
            layout = _SCALARS[item_type]
            self.need(layout.size * length, what)
            start, self.pos = self.pos, self.pos + layout.size * length
            return list(struct.unpack_from(f"<{length}{layout.format[1:]}", self.buffer, start))
        self.need(length, what)
        return [self.value(item_type, what, depth + 1) for _ in range(length)]

    def texts(self, length: int, what: str) -> list[object]:
        """Strings one after another; written flat because a vocabulary has 10^5 of them."""
        self.need(8 * length, what)
        buffer, pos, end, size_of = self.buffer, self.pos, self.end, _U64.unpack_from
        found: list[object] = []
        for _ in range(length):
            stop = pos + 8
            if stop <= end:
                stop += size_of(buffer, pos)[0]
            if stop > end:
                raise self.broken(f"the header ends inside {what} (string {len(found):,} of {length:,})")
            found.append(buffer[pos + 8 : stop].decode("utf-8"))
            pos = stop
        self.pos = pos
        return found

    def tensor_entry(self) -> Entry:
        name = self.text("a tensor name", KEY_LIMIT_BYTES)
        n_dims = self.u32(f"the shape of {name}")
        if not 1 <= n_dims <= DIMS_LIMIT:
            raise self.broken(f"tensor {name} has {n_dims} dimensions; allowed: 1 to {DIMS_LIMIT}")
        dims = [self.u64(f"the shape of {name}") for _ in range(n_dims)]
        qtype = self.u32(f"the type of {name}")
        return Entry(name, tuple(reversed(dims)), qtype, self.u64(f"the offset of {name}"))
