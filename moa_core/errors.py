"""Everything that can go wrong in a Mixture of Agents, as one tree.

MoAError                     may be shown to a user as it is
├── ConfigError              a configuration of the wrong shape (also a ValueError)
│   └── ServerMisconfigured  the settings name a server that cannot be used as they say
├── InvalidMessages          a conversation of the wrong shape (also a ValueError)
├── ExperimentError          an experiment cannot be made as it was asked for (also a ValueError)
│   ├── OtherStudy           what is stored was made for another question or by another version
│   └── NoWorkers            nobody takes the trials: no scheduler answers, or no worker is left
├── RunRefused               the plan says that a call cannot fit; nothing was sent
├── LayerFailed              every agent of a layer failed; lists each reason
└── CallFailed               one call to one model failed
    ├── NoProvider           nobody here serves the model
    ├── ModelNotFound        the provider does not know the model (404)
    ├── WrongKey             the provider refuses the key (401, 403)
    ├── RateLimited          the provider asks to wait longer than allowed (429)
    ├── RequestRefused       the provider refuses the request (other 4xx)
    ├── ContextExceeded      the prompt does not fit into the model's context
    ├── ServerFailed         the provider failed (5xx, or an error object in the stream)
    │   └── QueueExceeded    the provider has more requests than it can queue; soon it may not
    ├── ConnectFailed        no connection, or it broke before the first token
    ├── TimedOut             connecting, the first token or the next token took too long
    ├── IncompleteAnswer     the stream ended early; the text so far is no answer
    ├── MalformedAnswer      the reply is not what the protocol says
    ├── EmptyAnswer          the model answered with nothing
    ├── InvalidStructure     the answer does not fit its JSON Schema after all retries
    ├── ThinkingBudgetSpent  the model kept thinking past its budget
    ├── InProcessFailed      the in-process engine failed
    └── UnexpectedFailure    a defect in a provider; the log has the traceback
"""

from collections.abc import Mapping


class MoAError(Exception):
    """Base of all errors of this package; its text may be shown to a user."""


class ConfigError(MoAError, ValueError):
    """A configuration has the wrong shape; `path` says where."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path


class ServerMisconfigured(ConfigError):
    """The settings name a server that cannot be used as they say; the text never holds an address or key."""


class InvalidMessages(MoAError, ValueError):
    """A conversation is not a list of role and content that ends with the user."""


class ExperimentError(MoAError, ValueError):
    """An experiment cannot be made as it was asked for; trials that have ended are kept."""


class OtherStudy(ExperimentError):
    """A stored study was made for another question, or by another version."""


class NoWorkers(ExperimentError):
    """Nobody takes the trials: no scheduler answers, or no worker is left."""


class RunRefused(MoAError):
    """A run cannot fit; `call` names the first call that breaks it."""

    def __init__(self, message: str, call: str, needed_tokens: int, n_ctx: int) -> None:
        super().__init__(message)
        self.call = call
        self.needed_tokens = needed_tokens
        self.n_ctx = n_ctx


class LayerFailed(MoAError):
    """Every agent of a layer failed; `reasons` maps each agent to its own, `causes` are the errors."""

    def __init__(
        self, layer: int, reasons: Mapping[str, str], causes: tuple[Exception | None, ...] = ()
    ) -> None:
        lines = "\n".join(f"- {agent}: {reason}" for agent, reason in reasons.items())
        super().__init__(f"Layer {layer}: every agent failed, so there is nothing to go on with.\n{lines}")
        self.layer = layer
        self.reasons = dict(reasons)
        self.causes = tuple(cause for cause in causes if cause is not None)


class CallFailed(MoAError):
    """One call to one model failed."""


class NoProvider(CallFailed):
    """No provider serves the model, or the named provider is not there."""


class ModelNotFound(CallFailed):
    """The provider does not know the model."""


class WrongKey(CallFailed):
    """The provider refuses the key."""


class RateLimited(CallFailed):
    """The provider asks to wait longer than the caller allows."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RequestRefused(CallFailed):
    """The provider refuses the request as it is."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ContextExceeded(CallFailed):
    """The prompt does not fit into the model's context."""


class ServerFailed(CallFailed):
    """The provider failed on its side; `status` is the HTTP status, if there was one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class QueueExceeded(ServerFailed):
    """The provider has more requests, of everybody, than it can queue: one waits briefly and asks again."""


class ConnectFailed(CallFailed):
    """There is no connection, or it broke before the first token."""


class TimedOut(CallFailed):
    """A phase of the call took longer than its limit."""

    def __init__(self, message: str, phase: str, timeout_s: float) -> None:
        super().__init__(message)
        self.phase = phase
        self.timeout_s = timeout_s


class IncompleteAnswer(CallFailed):
    """The stream ended early; the text so far is no answer."""


class MalformedAnswer(CallFailed):
    """The reply is not what the protocol says."""


class EmptyAnswer(CallFailed):
    """The model answered with nothing."""


class InvalidStructure(CallFailed):
    """The answer does not fit its JSON Schema after all retries."""


class ThinkingBudgetSpent(CallFailed):
    """The model kept thinking past its budget."""


class InProcessFailed(CallFailed):
    """The in-process engine failed."""


class UnexpectedFailure(CallFailed):
    """A defect in a provider; the log has the traceback."""
