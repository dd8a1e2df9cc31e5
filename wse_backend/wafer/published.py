"""What services publish of their speed: context for charts, never used for fitting.

Each row has its date and its source. "published" speeds are a vendor's own; "measured" ones were measured by
somebody else, on a day and with prompts of their own. Both are output tokens/s of one request.
"""

from __future__ import annotations

from dataclasses import dataclass

WAFER_PROVIDER = "Cerebras"
VENDORS_THIRD = 1 / 3
"""Cerebras, "Introducing Cerebras Inference" (27 August 2024), of Llama 3.1: "20x faster than GPU solutions
at 1/3 the power of DGX solutions". Said again in talks as "a third of the power for the same work"."""


@dataclass(frozen=True)
class ServiceSpeed:
    """Published: output tokens/s of one request at a service.

    preset: the model's name among shapes.PRESETS, "" where its shape is not published. how: what is published
    of precision and speculative decoding, "" where nothing is.
    """

    provider: str
    model: str
    tokens_per_s: float
    when: str
    source: str
    preset: str = ""
    how: str = ""


_LAUNCH = "Cerebras launch blog; Artificial Analysis"
_DOCS = "Cerebras model pages, as listed in May 2026"
_TODAY = "Cerebras model pages, as listed in October 2026"
_COMPARED = "Artificial Analysis, quoted by S. Koritala (alatirok.com)"
_LUPESKO = "Artificial Analysis, quoted by H. Lupesko"
_SPEC = "16-bit weights, speculative decoding"

SERVICE_SPEEDS = (
    ServiceSpeed("Cerebras", "llama3.1-8b", 1800, "2024-08", _LAUNCH, "llama3.1-8b", "16-bit weights"),
    ServiceSpeed("Cerebras", "llama3.1-8b", 2200, "2026-05", _DOCS, "llama3.1-8b"),
    ServiceSpeed("Cerebras", "llama3.1-70b", 450, "2024-08", _LAUNCH, "llama3.1-70b", "16-bit weights"),
    ServiceSpeed(
        "Cerebras", "llama3.1-70b", 2148, "2024-10", "Cerebras release notes, D. Kim", "llama3.1-70b", _SPEC
    ),
    ServiceSpeed("Cerebras", "llama3.3-70b", 2314, "2025-02", _LUPESKO, "llama3.3-70b", _SPEC),
    ServiceSpeed(
        "Cerebras",
        "llama3.1-405b",
        969,
        "2024-11",
        "Cerebras; first token after 0.24 s",
        "llama3.1-405b",
        "16-bit weights",
    ),
    ServiceSpeed(
        "Cerebras",
        "llama-4-maverick",
        2522,
        "2025-05",
        "Artificial Analysis, by Cerebras",
        "llama-4-maverick",
    ),
    ServiceSpeed("Cerebras", "gpt-oss-120b", 3000, "2026-10", _TODAY, "gpt-oss-120b"),
    ServiceSpeed("Cerebras", "gpt-oss-120b", 1706, "2026-05", _COMPARED, "gpt-oss-120b"),
    ServiceSpeed("Cerebras", "qwen3-235b-a22b", 1400, "2026-05", _DOCS, "qwen3-235b-a22b"),
    ServiceSpeed("Cerebras", "glm-4.7", 1000, "2026-05", _DOCS, "glm-4.7"),
    ServiceSpeed(
        "Cerebras", "gemma-4-31b", 1850, "2026-08", "NeuroLink's provider guide, of Cerebras", "gemma-4-31b"
    ),
    ServiceSpeed(
        "NVIDIA, 8 x B200",
        "llama-4-maverick",
        1038,
        "2025-05",
        "Artificial Analysis, by NVIDIA",
        "llama-4-maverick",
        "8-bit weights, speculative decoding (EAGLE-3)",
    ),
    ServiceSpeed("Cerebras", "qwen-3.8-27b", 1850, "2026-10", _TODAY),
    ServiceSpeed("SambaNova", "gpt-oss-120b", 693, "2026-05", _COMPARED, "gpt-oss-120b"),
    ServiceSpeed("Fireworks, GPUs", "gpt-oss-120b", 683, "2026-05", _COMPARED, "gpt-oss-120b"),
    ServiceSpeed("Groq", "llama3.1-70b", 284, "2024-08", "Groq blog, quoted on Hacker News", "llama3.1-70b"),
    ServiceSpeed("Amazon Bedrock", "llama3.3-70b", 32, "2025-02", _LUPESKO, "llama3.3-70b"),
    ServiceSpeed("GPU chat services", "gpt-class", 100, "2025-02", "J. Wang, Oxide and Friends"),
)
