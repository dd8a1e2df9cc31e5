"""When a failed request is worth sending again, and after how long."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random

from moa_core.errors import CallFailed, ConnectFailed, RateLimited, ServerFailed, TimedOut

RETRIED_STATUS = frozenset({408, 409, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with jitter: about base_s, 2 base_s, 4 base_s, ... at most cap_s, each times 0.5 to
    1.

    attempts: requests in all. max_wait_s: a server that asks to wait longer than this gets no second request.
    """

    attempts: int = 5
    base_s: float = 0.5
    cap_s: float = 8.0
    max_wait_s: float = 60.0
    random: Random = field(default_factory=Random, compare=False, repr=False)

    def wait_s(self, error: CallFailed, attempt: int) -> float | None:
        """Seconds to wait after failed attempt number `attempt` (from 1), or None when it is final."""
        if attempt >= self.attempts or not is_passing(error):
            return None
        asked_s = error.retry_after_s if isinstance(error, RateLimited) else None
        if asked_s is not None and asked_s > self.max_wait_s:
            return None
        backoff_s = min(self.cap_s, self.base_s * 2.0 ** (attempt - 1)) * self.random.uniform(0.5, 1.0)
        return max(backoff_s, asked_s or 0.0)


@dataclass(frozen=True, slots=True)
class RateWindow:
    """An allowance as a response tells it: `left` of `limit` until it is full again in `reset_s` seconds."""

    name: str
    left: float
    reset_s: float
    limit: float | None = None

    @property
    def label(self) -> str:
        """ "tokens-minute" is "tokens of the minute"."""
        what, _, span_name = self.name.partition("-")
        return f"{what} of the {span_name}" if span_name else what


def is_passing(error: CallFailed) -> bool:
    """Whether the fault may be gone next time. A slow answer may not: asking again doubles the silence."""
    if isinstance(error, TimedOut):
        return error.phase == "connect"
    if isinstance(error, ServerFailed):
        return error.status is None or error.status in RETRIED_STATUS or error.status >= 500
    return isinstance(error, RateLimited | ConnectFailed)


def asked_wait_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds a response asks to wait: Retry-After, else the reset of its exhausted x-ratelimit window."""
    value = headers.get("retry-after-ms", "").strip()
    if _is_number(value):
        return max(0.0, float(value) / 1000)
    value = headers.get("retry-after", "").strip()
    if _is_number(value):
        return max(0.0, float(value))
    if value:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())
    waits = [window.reset_s for window in rate_windows(headers) if window.left <= 0]
    return max(waits, default=None)


def rate_windows(headers: Mapping[str, str]) -> list[RateWindow]:
    """Each x-ratelimit window of a response, such as the requests of the day or the tokens of the minute."""
    windows = []
    for key, value in headers.items():
        _, found, name = key.lower().partition("x-ratelimit-remaining-")
        reset_s = parse_duration_s(headers.get(f"x-ratelimit-reset-{name}", "")) if found else None
        if reset_s is not None and _is_number(value.strip()):
            told = headers.get(f"x-ratelimit-limit-{name}", "").strip()
            limit = float(told) if _is_number(told) else None
            windows.append(RateWindow(name, float(value), reset_s, limit))
    return windows


def span(seconds: float) -> str:
    """A wait in words: 40 s, 12 min, 11 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.0f} h"


def parse_duration_s(text: str) -> float | None:
    """Seconds from `12.5`, `1m30s`, `20ms`, or a Unix time; None when it is none of these."""
    text = text.strip().lower()
    if _is_number(text):
        value = float(text)
        return max(0.0, value - time.time()) if value > 1e9 else value
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"\d+(\.\d+)?", text))
