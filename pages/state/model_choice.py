"""A model in a picker, with what choosing it means: plain data, knows nothing of Streamlit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moa_core.providers.model_info import ModelInfo, TokenPrice
from wse_backend.models import CARDS

MILLION = 1_000_000
HERE = "in-process"


@dataclass(frozen=True)
class ModelChoice:
    """A model in a picker. where: "in-process", or the name of the server that has it.

    info: what its server says of it; None for models of this process. details: the note at length, for
    where there is room.
    """

    name: str
    where: str
    note: str
    info: ModelInfo | None = None
    details: str = ""

    @property
    def label(self) -> str:
        """The picker's line: the name, and what choosing it means."""
        return f"{self.name} ({self.note})" if self.note else self.name


def model_words(model: str, tokens_per_s: Mapping[str, float]) -> str:
    """What a known model is good for, and how fast it was here; "" for one that nothing is known of."""
    card = CARDS.get(model)
    parts = [f"{card.parameters / MILLION:,.0f} million parameters", card.note] if card else []
    if model in tokens_per_s:
        parts.append(f"{tokens_per_s[model]:.0f} tokens a second in your runs")
    return " · ".join(parts)


def server_choices(server: str, title: str, infos: Mapping[str, ModelInfo]) -> list[ModelChoice]:
    """The models that a server lists, by name."""
    return [
        ModelChoice(name, server, model_note(title, info), info, model_details(title, info))
        for name, info in sorted(infos.items())
    ]


def model_note(title: str, info: ModelInfo) -> str:
    """ "reasons, 131k context, $0.35 in / $0.75 out per M, Cerebras cloud": pickers cut off what is long."""
    parts = ["reasons"] if info.reasons else []
    if info.n_ctx:
        parts.append(f"{context(info.n_ctx)} context")
    if info.price is not None:
        parts.append(price(info.price))
    return ", ".join([*parts, title])


def model_details(title: str, info: ModelInfo) -> str:
    """ "Cerebras cloud · reasons before it answers · 131k tokens of context · $0.35 in and $0.75 out ..."."""
    parts = [title]
    if info.reasons is not None:
        parts.append("reasons before it answers" if info.reasons else "answers without reasoning")
    if info.n_ctx:
        parts.append(f"{context(info.n_ctx)} tokens of context")
    if info.price is not None:
        said = price(info.price).replace(" / ", " and ").replace("per M", "per million tokens")
        parts.append(said)
    return " · ".join(parts)


def context(n_ctx: int) -> str:
    """ "131k" for 131,072 tokens, "1M" for a million."""
    if n_ctx >= MILLION:
        return f"{n_ctx / MILLION:.0f}M"
    return f"{n_ctx // 1000}k" if n_ctx >= 1000 else str(n_ctx)


def price(tokens: TokenPrice) -> str:
    """Dollars per million tokens, as services quote them."""
    if tokens.prompt == tokens.completion == 0:
        return "free"
    return f"${tokens.prompt * MILLION:.2f} in / ${tokens.completion * MILLION:.2f} out per M"


def dollars(amount: float | None) -> str:
    """A cost for a label: "$0.0023"; small ones keep two digits that count; "–" when no price is known."""
    if amount is None:
        return "–"
    if amount == 0 or amount >= 0.1:
        return f"${amount:.2f}"
    return f"${amount:.2g}" if amount >= 0.0001 else "below $0.0001"


def server_of(model: str, listings: Mapping[str, Sequence[str]]) -> str | None:
    """The first server that lists `model`; the first one at all when none does; None without servers.

    listings: the models of each server in order. What nobody lists is asked of the first: servers know more
    models than they list, and its answer says best what is wrong.
    """
    return next((name for name, models in listings.items() if model in models), next(iter(listings), None))
