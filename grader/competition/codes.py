"""The secret code that brings a participant back from another browser."""

from __future__ import annotations

import hashlib
import hmac
import secrets

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""No 0, 1, I, L, O, U: nothing that is misread from a slip of paper."""

GROUPS, GROUP_CHARS = 3, 4
_SALT_BYTES = 16
# RFC 7914's interactive setting: about 16 MB and some 30 ms per guess.
_SCRYPT = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}


def new_code() -> str:
    """A fresh code such as "K7QM-2XRD-9FHB" (59 bits). Shown once; only `hash_code` of it is kept."""
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(GROUP_CHARS)) for _ in range(GROUPS))
    return "-".join(groups)


def hash_code(code: str, salt: str | None = None) -> str:
    """ "salt:digest" in hexadecimal (scrypt). Spaces, hyphens and case of the code do not count."""
    salt = salt or secrets.token_hex(_SALT_BYTES)
    plain = "".join(character for character in code.upper() if character in ALPHABET)
    digest = hashlib.scrypt(plain.encode(), salt=bytes.fromhex(salt), **_SCRYPT)
    return f"{salt}:{digest.hex()}"


def is_code(code: str, hashed: str) -> bool:
    """Whether `hashed` was made from `code`; takes as long when it was not."""
    salt = hashed.partition(":")[0]
    return hmac.compare_digest(hash_code(code, salt), hashed)
