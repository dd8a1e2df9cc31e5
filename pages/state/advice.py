"""What to do about an error that a user may see: a title, its own words, the next step."""

from __future__ import annotations

from moa_core import errors as moa
from moa_core.errors import MoAError
from wse_backend import errors as wse
from wse_backend.errors import WseError

Shown = (MoAError, WseError)
"""The families whose texts are meant for users. Anything else is a defect and surfaces as it is."""

# First match wins, so the special cases stand before the general ones.
_ADVICE: tuple[tuple[tuple[type[Exception], ...], str, str], ...] = (
    (
        (moa.ContextExceeded, moa.RunRefused, wse.ContextOverflow),
        "This does not fit into the model's context",
        "Shorten the question or start a new conversation. On the Agents page, fewer agents, shorter prompts "
        "or a smaller token limit leave more room.",
    ),
    (
        (moa.ExperimentError,),
        "This experiment cannot go on",
        "Change it and start again; the tries that have ended are kept.",
    ),
    (
        (moa.WrongKey,),
        "The server refuses the key",
        "Check the key of this server (CEREBRAS_API_KEY, for example) in the secrets or the environment and "
        "restart the app, or choose in-process models.",
    ),
    (
        (moa.QueueExceeded,),
        "The service is busy",
        "Too many people use it right now. Try again in a minute, or choose in-process models.",
    ),
    (
        (moa.ModelNotFound, moa.NoProvider, wse.UnknownModel),
        "This model is not available here",
        "Choose another model for the agent on the Agents page.",
    ),
    (
        (moa.ServerMisconfigured,),
        "A model server is not set up right",
        "Whoever runs the app corrects it in the secrets or the environment.",
    ),
    (
        (moa.ConfigError,),
        "The setup is not complete",
        "Correct it on the Agents page.",
    ),
    (
        (wse.HashMismatch,),
        "The downloaded model is not the published file",
        "Try again. If it happens again, check which package index this machine uses.",
    ),
    (
        (wse.DiskFull,),
        "There is no room for the model",
        "Free some space, or point WSE_MODEL_DIR to a larger disk.",
    ),
    (
        (wse.DownloadFailed,),
        "The model could not be fetched",
        "Check the network connection and try again, or choose a model that is already here.",
    ),
    (
        (wse.BrokenGGUF, wse.Unsupported, wse.BrokenTemplate),
        "This model file cannot be used",
        "Replace the file, or choose another model on the Agents page.",
    ),
    (
        (wse.OutOfMemory,),
        "The model does not fit into memory",
        "Choose a smaller model, or close what else is running.",
    ),
    (
        (wse.QueueFull, moa.RateLimited),
        "Too many requests at once",
        "Wait a moment and try again.",
    ),
    (
        (moa.ConnectFailed, moa.TimedOut),
        "The model did not answer",
        "Check the network connection and try again, or choose in-process models.",
    ),
    (
        (moa.LayerFailed,),
        "A whole layer failed",
        "The reasons above say what each agent needs. Change the agents on the Agents page, or try again.",
    ),
)
LONG_WAIT_S = 120.0  # nobody waits longer in front of a page
_USED_UP = (
    "The key's allowance is used up",
    "Wait until it is full again, use a key of your own on the Start page, or choose in-process models.",
)
_DEFAULT = ("The run failed", "Try again. If it happens again, choose another model on the Agents page.")


def advice(error: Exception) -> tuple[str, str]:
    """A title and the next step for an error."""
    if isinstance(error, ToldBefore):
        return error.title, error.step
    if isinstance(error, moa.LayerFailed) and len({type(cause) for cause in error.causes}) == 1:
        return advice(error.causes[0])  # all for one reason: what to do about that
    if isinstance(error, moa.RateLimited) and (error.retry_after_s or 0.0) > LONG_WAIT_S:
        return _USED_UP
    reasons = getattr(error, "__cause__", None)
    for kinds, title, step in _ADVICE:
        if isinstance(error, kinds) or (
            isinstance(reasons, kinds) and not isinstance(error, moa.LayerFailed)
        ):
            return title, step
    return _DEFAULT


class ToldBefore(Exception):
    """An error of an earlier run that was kept: only what was said about it is left."""

    def __init__(self, said: str, title: str, step: str) -> None:
        super().__init__(said)
        self.title = title
        self.step = step


def words(error: Exception) -> str:
    """The error's own text when it is meant for users, else that it was unexpected."""
    if isinstance(error, (*Shown, ToldBefore)):
        return str(error)
    return f"An unexpected {type(error).__name__} ended the run."
