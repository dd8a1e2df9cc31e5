"""Servers that people run or rent: where each listens by default, and which secret its key is in.

What each does differently is in docs/providers.md.
"""

from dataclasses import dataclass

from moa_core.errors import ServerMisconfigured


@dataclass(frozen=True, slots=True)
class KnownServer:
    """A kind of server. name: what agents call it; secret: the setting its key is in, empty for none.

    is_public: a service in the internet, whose address nobody has to type; the others are on one's own
    machine or network, and what is here is only their usual address.
    """

    name: str
    title: str
    base_url: str
    secret: str = ""
    is_public: bool = False

    @property
    def address_setting(self) -> str:
        """The setting that holds another address: `CEREBRAS_BASE_URL`, `LLAMA_CPP_BASE_URL`."""
        return self.setting("BASE_URL")

    def setting(self, what: str) -> str:
        """The name of a setting of this server, such as `LM_STUDIO_SERVICE_TIER`."""
        return f"{self.name.upper().replace('.', '_').replace('-', '_')}_{what}"


KNOWN_SERVERS = (
    KnownServer("cerebras", "Cerebras cloud", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY", True),
    KnownServer("openrouter", "OpenRouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", True),
    KnownServer("vllm", "vLLM", "http://127.0.0.1:8000/v1", "VLLM_API_KEY"),
    KnownServer("sglang", "SGLang", "http://127.0.0.1:30000/v1", "SGLANG_API_KEY"),
    KnownServer("llama.cpp", "llama.cpp server", "http://127.0.0.1:8080/v1", "LLAMA_CPP_API_KEY"),
    KnownServer("ollama", "Ollama", "http://127.0.0.1:11434/v1", "OLLAMA_API_KEY"),
    KnownServer("lm-studio", "LM Studio", "http://127.0.0.1:1234/v1", "LM_STUDIO_API_KEY"),
)


def find_server(name: str) -> KnownServer | None:
    """The server called `name`, None when there is no such kind of server."""
    return next((known for known in KNOWN_SERVERS if known.name == name), None)


def check_names(names: list[str]) -> None:
    """Raise ServerMisconfigured when two servers have one name: agents could not say which they mean."""
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ServerMisconfigured(
            f"two servers are called {twice!r}; give one of them another name", "servers"
        )
