"""Nicknames: what may be one, and which two of them look the same.

`skeleton` follows the idea of Unicode's UTS 39 (two names are confusable when their skeletons are equal) with
a small map of its own: Latin, Greek, Cyrillic and a few other letters that are drawn like Latin ones, digits
that look like letters, and what NFKC unifies (full width, mathematical alphabets, ligatures). It does not
know every lookalike of every script (Armenian, Cherokee, Chinese characters, emoji variants ...), and it is
strict where fonts are: i, l, 1 and | are one letter, so are o and 0.
"""

from __future__ import annotations

import re
import unicodedata

from grader.competition.errors import BadNickname

NICKNAME_CHARS = 24
NAME_CHARS = 60
"""Of a name that a sign-in gives: nobody chooses how long their own name is."""

SKELETON_CHARS = 200
"""Some single characters are whole words to NFKC, so a skeleton can be longer than its name."""

_MARKS_IN_A_ROW = 2
# Drawn as nothing, or as an empty space, without being a space or a control character to Unicode.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u2800\u3164\uffa0")
_REFUSED = {
    "Cc": "control characters",
    "Cf": "invisible characters",
    "Cs": "broken characters",
    "Co": "characters of a private font",
    "Cn": "unassigned characters",
    "Zl": "line breaks",
    "Zp": "line breaks",
}
# Each group: what it is read as, then the letters drawn like it (after NFKC and casefold).
_LOOKALIKES = {
    "a": "аαɑ",
    "b": "ьвƅʙβ",
    "c": "сϲᴄ",
    "d": "ԁɗ",
    "e": "еεҽєɛ",
    "f": "ғ",
    "g": "ɡց",
    "h": "һнհ",
    "j": "јϳ",
    "k": "кκқᴋ",
    "l": "iіιıɩɪ1|ӏ׀ا١ǀ∣",
    "m": "мᴍ",
    "n": "пηոɴ",
    "o": "оοσօ0०০੦٥ە",
    "p": "рρᴘ",
    "q": "ԛ",
    "r": "гᴦʀ",
    "s": "ѕꜱ$",
    "t": "тτᴛ",
    "u": "υսʋᴜμ",
    "v": "νѵᴠ",
    "w": "ωшԝᴡ",
    "x": "хχ×",
    "y": "уүγʏ",
    "z": "ᴢʐ",
}
_FOLD = str.maketrans({letter: read for read, letters in _LOOKALIKES.items() for letter in letters})
# Diacritics of the Latin, Greek and Cyrillic letters only; marks of other scripts are part of their letters.
_DIACRITICS = re.compile("[\u0300-\u036f\ufe0e\ufe0f]")


def clean_nickname(text: str, limit: int = NICKNAME_CHARS) -> str:
    """`text` as it is stored and shown: trimmed, single spaces, composed (NFC).

    Raises BadNickname for anything but 1 to `limit` visible characters on one line.
    """
    for character in text:
        kind = unicodedata.category(character)
        if kind in _REFUSED or character in _INVISIBLE:
            raise BadNickname(f"a nickname has no {_REFUSED.get(kind, 'invisible characters')}")
    nickname = unicodedata.normalize("NFC", " ".join(text.split()))
    if not nickname:
        raise BadNickname("a nickname has at least one character")
    if len(nickname) > limit:
        raise BadNickname(f"a nickname has at most {limit} characters; this one has {len(nickname)}")
    if _has_stacked_marks(nickname):
        raise BadNickname(f"a nickname has at most {_MARKS_IN_A_ROW} accents on one letter")
    if not skeleton(nickname):
        raise BadNickname("a nickname has at least one letter, digit or symbol")
    return nickname


def readable_name(text: str) -> str:
    """The name that a sign-in gives, without what no nickname may have; "" when nothing is left of it."""
    words = " ".join(text[: 10 * NAME_CHARS].split())
    kept = "".join(c for c in words if unicodedata.category(c) not in _REFUSED and c not in _INVISIBLE)
    name = unicodedata.normalize("NFC", kept)[:NAME_CHARS].rstrip()
    try:
        return clean_nickname(name, NAME_CHARS)
    except BadNickname:
        return ""


def skeleton(nickname: str) -> str:
    """What a nickname looks like; two people of a round cannot have the same.

    Case, accents on Latin, Greek and Cyrillic letters, spaces and punctuation between letters do not count.
    """
    text = unicodedata.normalize("NFKC", nickname).casefold()
    text = _DIACRITICS.sub("", unicodedata.normalize("NFD", text))
    text = unicodedata.normalize("NFKC", text.translate(_FOLD)).casefold()
    text = text.replace("rn", "m").replace("vv", "w")
    kept = [c for c in text if unicodedata.category(c)[0] not in "ZPC"]
    return "".join(kept)[:SKELETON_CHARS]


def _has_stacked_marks(text: str) -> bool:
    in_a_row = 0
    for character in unicodedata.normalize("NFD", text):
        in_a_row = in_a_row + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        if in_a_row > _MARKS_IN_A_ROW:
            return True
    return False
