"""Passwords and codes: compared in constant time, and not at all for a while after wrong tries.

Whoever guesses is slowed down where the guesses come from, so that nobody else has to wait: each source (a
browser session, an address, a nickname) has a count of its own. A browser in which the password was right
once carries a token that only the password could have made. Its tries are counted by that token alone, so a
guesser at the same address cannot keep it out ("device cookies": OWASP, Slow Down Online Guessing Attacks).
A host on a new browser has the host key: made by a machine and too long to guess, so it never has to wait.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

FREE_TRIES = 5
FREE_TRIES_PER_ADDRESS = 20  # many people share one: a classroom behind one router, a proxy
FIRST_WAIT_S = 30.0
LONGEST_WAIT_S = 900.0
MAX_SOURCES = 10_000
KEY_CHARS = 32  # of a host key: 24 random bytes in base64 are 192 bits
MAX_KEY_CHARS = 200
KEY_KINDS = 8  # different characters in it; of 28 million random keys in hexadecimal one has fewer
_TOKEN_SALT = b"moa host browser"
# RFC 7914's interactive setting: whoever steals a token has as long to guess the password from it.
_SCRYPT = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}


@dataclass(frozen=True)
class Source:
    """Where tries come from. free_tries: as many wrong ones in a row cost no wait."""

    name: str
    free_tries: int = FREE_TRIES


@dataclass
class _Tries:
    wrong: int = 0
    shut_until_s: float = 0.0


class AttemptLimiter:
    """Counts wrong tries per source. Thread-safe.

    After its free tries a source waits 30 s, then twice as long with every further wrong try, at most 15 min.
    While it waits nothing is compared, not even the right password.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tries: dict[str, _Tries] = {}

    def wait_s(self, *sources: Source) -> float:
        """Seconds until the next try of somebody who comes from all these; 0 when it may be made now."""
        with self._lock:
            return self._wait_s(sources)

    def attempt(self, is_right: Callable[[], bool], *sources: Source) -> bool:
        """Whether the try is right; False without asking while a source has to wait.

        The try is counted before it is compared, so tries at the same time cannot slip through.
        """
        with self._lock:
            if self._wait_s(sources) > 0:
                return False
            for source in sources:
                tries = self._tries.setdefault(source.name, _Tries())
                tries.wrong += 1
                if tries.wrong >= source.free_tries:
                    wait_s = FIRST_WAIT_S * 2 ** min(tries.wrong - source.free_tries, 10)
                    tries.shut_until_s = self._clock() + min(wait_s, LONGEST_WAIT_S)
            self._forget_oldest()
        if not is_right():
            return False
        with self._lock:
            for source in sources:
                self._tries.pop(source.name, None)
        return True

    def _wait_s(self, sources: tuple[Source, ...]) -> float:
        known = (self._tries.get(source.name) for source in sources)
        waits = (tries.shut_until_s - self._clock() for tries in known if tries)
        return max(0.0, *waits, 0.0)

    def _forget_oldest(self) -> None:
        """Keep the table small; what is forgotten first are the sources that were tried first."""
        while len(self._tries) > MAX_SOURCES:
            self._tries.pop(next(iter(self._tries)))


def sources(session: str, address: str | None, token: str, password: str) -> tuple[Source, ...]:
    """What a try at `password` is counted under.

    A browser that knew the password before counts by its token alone; every other one by its session and by
    its address. address None: this machine, or a proxy on it.
    """
    if is_known_browser(token, password):
        return (Source(f"browser {token}"),)
    return Source(f"session {session}"), Source(f"address {_network(address)}", FREE_TRIES_PER_ADDRESS)


def _network(address: str | None) -> str | None:
    """What one connection has of addresses: of IPv6 a whole /64 at least (RFC 6177), of IPv4 a single one."""
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))


def host_key_problem(key: str) -> str | None:
    """Why `key` is not used as a host key, as the end of a sentence without the key; None when it is."""
    if not KEY_CHARS <= len(key) <= MAX_KEY_CHARS:
        return f"it has {len(key)} characters; a host key has {KEY_CHARS} to {MAX_KEY_CHARS}"
    if len(set(key)) < KEY_KINDS:
        return f"it has {len(set(key))} different characters; one that a machine made has {KEY_KINDS} or more"
    return None


def is_host_key(given: str, key: str | None) -> bool:
    """Whether the host key was typed. Nobody has to wait for a try: there is nothing to be guessed."""
    return key is not None and host_key_problem(key) is None and is_same_password(given, key)


def is_same_password(given: str, expected: str) -> bool:
    """Compares digests, so neither the length nor the first difference shows in the time it takes."""
    digests = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in (given, expected)]
    return bool(expected) and hmac.compare_digest(*digests)


def browser_token(password: str) -> str:
    """A new token for a browser in which `password` was right; another password makes it worthless."""
    nonce = secrets.token_hex(16)
    return f"{nonce}.{_signature(nonce, password)}"


def is_known_browser(token: str, password: str) -> bool:
    """Whether `browser_token` made this token with the same password."""
    nonce, _, signature = token[:200].partition(".")
    if not (nonce.isascii() and signature.isascii()) or not password:
        return False
    return hmac.compare_digest(signature, _signature(nonce, password))


def _signature(nonce: str, password: str) -> str:
    return hmac.new(_token_key(password), nonce.encode(), "sha256").hexdigest()


@lru_cache(maxsize=4)
def _token_key(password: str) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=_TOKEN_SALT, **_SCRYPT)
