"""What services publish of their speed: context for charts, never used for fitting."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServiceSpeed:
    """Published: output tokens/s of one request at a service."""

    provider: str
    model: str
    tokens_per_s: float
    when: str
    source: str


# Context for the chart, never used for fitting. Services may also use speculative decoding and fewer bits.
SERVICE_SPEEDS = (
    ServiceSpeed("Cerebras", "llama3.1-8b", 1800, "2024-08", "Cerebras launch announcement"),
    ServiceSpeed("Cerebras", "llama3.1-70b", 450, "2024-08", "Cerebras launch; 446 by Artificial Analysis"),
    ServiceSpeed("Cerebras", "llama3.3-70b", 2314, "2025-02", "Artificial Analysis, quoted by H. Lupesko"),
    ServiceSpeed("Cerebras", "llama3.1-405b", 969, "2024-11", "Cerebras; first token after 0.24 s"),
    ServiceSpeed(
        "Amazon Bedrock", "llama3.3-70b", 32, "2025-02", "Artificial Analysis, quoted by H. Lupesko"
    ),
    ServiceSpeed("Groq", "llama3.1-70b", 284, "2024-08", "Groq blog, quoted on Hacker News"),
    ServiceSpeed("GPU chat services", "gpt-class", 100, "2025-02", "J. Wang, Oxide and Friends"),
)
