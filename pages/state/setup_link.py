"""A whole setup in a link: compact JSON, compressed, in the letters that a URL takes."""

from __future__ import annotations

import base64
import binascii
import json
import zlib

from moa_core import ConfigError, MoAConfig

MAX_LINK_CHARS = 6000  # servers and messengers cut longer ones
MAX_SETUP_BYTES = 200_000  # unpacked; a few hundred characters could claim gigabytes
MAX_QR_CHARS = 2300  # what a phone's camera still reads from a screen (version 33 at most)


def pack(config: MoAConfig) -> str:
    """The setup as the value of a link's `setup`."""
    text = json.dumps(config.to_dict(), ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode().rstrip("=")


def unpack(packed: str) -> MoAConfig:
    """The setup of a link. Raises ConfigError when it is none, cut off, or too large."""
    if len(packed) > MAX_LINK_CHARS:
        raise ConfigError(
            f"the link has {len(packed):,} characters; at most {MAX_LINK_CHARS:,} are read", "link"
        )
    try:
        data = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
        inflater = zlib.decompressobj()
        text = inflater.decompress(data, MAX_SETUP_BYTES)
    except (binascii.Error, ValueError, zlib.error) as exc:
        raise ConfigError("the link is cut off or was changed; ask for it again", "link") from exc
    if not inflater.eof:
        raise ConfigError("the link is cut off, or holds more than a setup", "link")
    return MoAConfig.from_json(text)


def link(address: str, config: MoAConfig) -> str | None:
    """The link to the Agents page that carries the setup; None when it would be too long."""
    found = f"{address}?setup={pack(config)}"
    return found if len(found) <= MAX_LINK_CHARS else None
