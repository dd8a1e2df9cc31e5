"""What every call of a run took and gave, as plain data and as a table."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "layer",
    "agent",
    "role",
    "provider",
    "model",
    "start_s",
    "first_token_s",
    "end_s",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "cost_usd",
    "queue_s",
    "prompt_s",
    "completion_s",
    "attempts",
    "finish_reason",
    "error",
)
INTEGER_COLUMNS = (
    "layer",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "attempts",
)
FLOAT_COLUMNS = ("start_s", "first_token_s", "end_s", "cost_usd", "queue_s", "prompt_s", "completion_s")


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call: who, which model, when (seconds since the run began), how many tokens, and what came of it.

    layer: counted from 1; the summarizer's is one more than the last layer's. A count is None when the
    provider did not report it. cost_usd: US dollars, where prices are known; cached tokens at their price.
    queue_s, prompt_s, completion_s: how long the server says that it queued, read and wrote.
    timing: the provider's own object (for `Wafer` a `wse_backend.Timing`), None elsewhere. routing: the same
    of a model with experts (for `Wafer` a `RoutedTokens`): which experts each token went to. raw: what the
    provider reported beside the text (`usage`, `time_info`). messages: what was sent, before a JSON Schema
    was added to it.
    """

    layer: int
    agent: str
    index: int
    role: str
    provider: str
    model: str
    start_s: float
    end_s: float
    first_token_s: float | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    queue_s: float | None = None
    prompt_s: float | None = None
    completion_s: float | None = None
    attempts: int = 1
    finish_reason: str | None = None
    error: str | None = None
    text: str = ""
    reasoning: str = ""
    notes: tuple[str, ...] = ()
    timing: Any = field(default=None, compare=False)
    routing: Any = field(default=None, compare=False, repr=False)
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False)
    messages: tuple[Mapping[str, str], ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class CheckRecord:
    """One answer that was tried: whose, after which layer, when, and what came of it (see `Checked`)."""

    layer: int
    agent: str
    start_s: float
    end_s: float
    share: float
    feedback: str = ""
    problem: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """All calls of a run in the order they began, the answers that were tried, and what had to be said."""

    calls: tuple[CallRecord, ...]
    total_s: float
    notes: tuple[str, ...] = ()
    seed: int | None = None
    checks: tuple[CheckRecord, ...] = ()

    @property
    def prompt_tokens(self) -> int:
        """Tokens that all calls read, as far as providers tell."""
        return sum(call.prompt_tokens or 0 for call in self.calls)

    @property
    def completion_tokens(self) -> int:
        """Tokens that all calls wrote, as far as providers tell."""
        return sum(call.completion_tokens or 0 for call in self.calls)

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that was asked, once."""
        return tuple(dict.fromkeys(call.model for call in self.calls))

    @property
    def providers(self) -> tuple[str, ...]:
        """Every provider that was asked, once."""
        return tuple(dict.fromkeys(call.provider for call in self.calls))

    @property
    def cost_usd(self) -> float | None:
        """US dollars of all calls whose price is known; None when no price is."""
        costs = [call.cost_usd for call in self.calls if call.cost_usd is not None]
        return sum(costs) if costs else None

    def to_dataframe(self) -> "pd.DataFrame":
        """One row per call, `COLUMNS` as columns; counts are nullable integers, times are seconds."""
        import pandas as pd

        rows = [{name: getattr(call, name) for name in COLUMNS} for call in self.calls]
        frame = pd.DataFrame(rows, columns=list(COLUMNS))
        kinds: dict[str, str] = dict.fromkeys(INTEGER_COLUMNS, "Int64")
        kinds.update(dict.fromkeys(FLOAT_COLUMNS, "float64"))
        return frame.astype(kinds)

    def to_dict(self) -> dict[str, Any]:
        """The trace as plain JSON data, texts included; providers' objects (timing, routing) left out."""
        names = (*COLUMNS, "index", "text", "reasoning", "notes", "raw", "messages")
        calls = [{name: _plain(getattr(call, name)) for name in names} for call in self.calls]
        data = {
            "total_s": self.total_s,
            "cost_usd": self.cost_usd,
            "seed": self.seed,
            "notes": list(self.notes),
            "calls": calls,
        }
        if self.checks:
            data["checks"] = [asdict(check) for check in self.checks]
        return data


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
