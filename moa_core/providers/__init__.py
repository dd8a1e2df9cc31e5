"""Where models run: in this process, or behind an OpenAI-compatible HTTP server."""

from moa_core.providers.base import CallRequest, Context, Delta, Finish, Provider, TokenUsage, Wait
from moa_core.providers.openai_compatible import OpenAICompatible
from moa_core.providers.server_address import CEREBRAS_URL
from moa_core.providers.wafer import Wafer

__all__ = [
    "CEREBRAS_URL",
    "CallRequest",
    "Context",
    "Delta",
    "Finish",
    "OpenAICompatible",
    "Provider",
    "TokenUsage",
    "Wafer",
    "Wait",
]
