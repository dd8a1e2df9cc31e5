"""What servers say of their models: context, longest answer, price, and whether they reason.

Two lists are read: the plain one (`GET /models`, whose names count), and the one in OpenRouter's format
(`GET /models?format=openrouter`) where a server has it. Cerebras' fields are those of its SDK 1.91
(types/model_list_response.py); vLLM, SGLang, LM Studio, llama.cpp and OpenRouter put some into the plain
list.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CONTEXT_FIELDS = ("context_length", "context_window", "max_model_len", "max_context_length")
REASONING_WORDS = ("reasoning", "reasoning_effort", "include_reasoning", "thinking")
MILLION = 1_000_000
MAX_TOKENS = 100_000_000  # a larger number is a mistake


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """US dollars per token: of the prompt, of what of it came from the server's cache, and of the answer."""

    prompt: float
    completion: float
    cached: float

    @classmethod
    def per_million(cls, prompt: float, completion: float) -> "TokenPrice":
        """From dollars for a million tokens, as services quote them; cached tokens at the prompt's price."""
        return cls(prompt / MILLION, completion / MILLION, prompt / MILLION)

    def cost_usd(self, prompt: int, cached: int, completion: int) -> float:
        """What a request costs; `cached` of the `prompt` tokens are charged at their own price."""
        cached = min(cached, prompt)
        return (prompt - cached) * self.prompt + cached * self.cached + completion * self.completion


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a server says of one of its models; None where it does not say."""

    name: str
    n_ctx: int | None = None
    max_output_tokens: int | None = None
    price: TokenPrice | None = None
    reasons: bool | None = None

    def merged(self, other: "ModelInfo") -> "ModelInfo":
        """Both together; where both say something, `self` counts."""
        return ModelInfo(
            self.name,
            self.n_ctx or other.n_ctx,
            self.max_output_tokens or other.max_output_tokens,
            self.price or other.price,
            other.reasons if self.reasons is None else self.reasons,
        )


def read_models(plain: Any, detailed: Any = None) -> dict[str, ModelInfo]:
    """The models of the plain list in its order, with what both lists say of them.

    plain, detailed: the servers' JSON; detailed None: there is no such list. Raises ValueError, KeyError or
    TypeError when the plain list has another shape.
    """
    items = [item for item in plain["data"] if isinstance(item["id"], str)]
    infos = {item["id"]: _read(item, item["id"]) for item in items}
    for item in _items(detailed):
        name = _plain_name(item["id"], infos)
        if name is not None:
            infos[name] = _read(item, name).merged(infos[name])
    return infos


def _items(detailed: Any) -> Iterable[Mapping[str, Any]]:
    data = detailed.get("data") if isinstance(detailed, Mapping) else None
    if not isinstance(data, list):
        return []
    return [item for item in data if isinstance(item, Mapping) and isinstance(item.get("id"), str)]


def _plain_name(name: str, known: Mapping[str, ModelInfo]) -> str | None:
    """The name in the plain list; the other one may carry the service's name in front of it."""
    if name in known:
        return name
    short = name.partition("/")[2]
    return short if short in known else None


def _read(item: Mapping[str, Any], name: str) -> ModelInfo:
    top, limits = _object(item, "top_provider"), _object(item, "limits")
    meta = _object(item, "meta")  # llama.cpp's server
    contexts = [item.get(key) for key in CONTEXT_FIELDS]
    return ModelInfo(
        name,
        _first_count(*contexts, limits.get("max_context_length"), meta.get("n_ctx"), meta.get("n_ctx_train")),
        _first_count(
            item.get("max_output_length"),
            item.get("max_completion_tokens"),
            limits.get("max_completion_tokens"),
            top.get("max_completion_tokens"),
        ),
        _price(item.get("pricing")),
        _reasons(item),
    )


def _object(item: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = item.get(key)
    return value if isinstance(value, Mapping) else {}


def _first_count(*values: Any) -> int | None:
    counts = (v for v in values if isinstance(v, int) and not isinstance(v, bool) and 0 < v <= MAX_TOKENS)
    return next(counts, None)


def _price(pricing: Any) -> TokenPrice | None:
    if not isinstance(pricing, Mapping):
        return None
    prompt, completion = _dollars(pricing.get("prompt")), _dollars(pricing.get("completion"))
    if prompt is None or completion is None:
        return None
    cached = _dollars(pricing.get("input_cache_read"))
    return TokenPrice(prompt, completion, prompt if cached is None else cached)


def _dollars(value: Any) -> float | None:
    """A price; services write it as text, and -1 for "it depends"."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _reasons(item: Mapping[str, Any]) -> bool | None:
    """Whether the model thinks before it answers; None when the server lists no features at all."""
    capabilities = item.get("capabilities")
    if isinstance(capabilities, Mapping) and isinstance(capabilities.get("reasoning"), bool):
        return bool(capabilities["reasoning"])
    lists = ("supported_features", "supported_parameters", "supported_sampling_parameters")
    found = [item[key] for key in lists if isinstance(item.get(key), list)]
    words = {str(word).lower() for names in found for word in names}
    return any(word in words for word in REASONING_WORDS) if words else None
