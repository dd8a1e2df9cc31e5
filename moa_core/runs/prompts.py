"""How prompts and helper responses become the messages of one call. Pure text, no I/O."""

from collections.abc import Mapping, Sequence

from moa_core.errors import InvalidMessages

HELPER_PLACEHOLDER = "{helper_response}"
RESPONSES_PLACEHOLDER = "{responses}"
HELPER_INTRO = "Responses of other assistants to the same question:"

RESPONSES_ABOVE = "(the responses above)"

Message = Mapping[str, str]
ROLES = ("system", "user", "assistant")


def number_responses(responses: Sequence[str]) -> str:
    """The helper responses as one numbered text, in the order given."""
    return "\n\n".join(f"{i}. {text.strip()}" for i, text in enumerate(responses, start=1))


def fill_prompt(prompt: str, responses: Sequence[str], reference_prompt: str = "") -> str:
    """The system prompt of one call, with the helper responses in it.

    `{helper_response}` is replaced literally, once, wherever it stands; every other brace is the user's own
    text. Without the placeholder the responses are appended. `reference_prompt` wraps them at its
    `{responses}`.
    """
    if not responses:
        return prompt.replace(HELPER_PLACEHOLDER, "")
    helper = _wrapped(responses, reference_prompt)
    if HELPER_PLACEHOLDER in prompt:
        return prompt.replace(HELPER_PLACEHOLDER, helper)
    if not reference_prompt:
        helper = f"{HELPER_INTRO}\n\n{helper}"
    return f"{prompt}\n\n{helper}" if prompt else helper


def _wrapped(responses: Sequence[str], reference_prompt: str) -> str:
    helper = number_responses(responses)
    if RESPONSES_PLACEHOLDER in reference_prompt:
        return reference_prompt.replace(RESPONSES_PLACEHOLDER, helper)
    return f"{reference_prompt}\n\n{helper}" if reference_prompt else helper


def instruction_last(
    prompt: str, responses: Sequence[str], reference_prompt: str, messages: Sequence[Message]
) -> tuple[Message, ...]:
    """The messages of one call with what all agents of a layer share in front: question, helper responses.

    The agent's own prompt comes last, so that an engine with a prefix cache computes the rest once for all.
    Where it says `{helper_response}` it points at what is above.
    """
    shared = [messages[-1]["content"]]
    if responses:
        helper = _wrapped(responses, reference_prompt)
        shared.append(helper if reference_prompt else f"{HELPER_INTRO}\n\n{helper}")
    own = prompt.replace(HELPER_PLACEHOLDER, RESPONSES_ABOVE if responses else "")
    text = "\n\n".join(part for part in (*shared, own) if part.strip())
    return with_system("", (*messages[:-1], {"role": "user", "content": text}))


def with_system(system: str, messages: Sequence[Message]) -> tuple[Message, ...]:
    """The conversation with one system message in front: `system`, then the conversation's own.

    Chat templates take one system message, and only as the first.
    """
    own = [message["content"] for message in messages if message["role"] == "system"]
    text = "\n\n".join(part for part in (system, *own) if part.strip())
    rest = tuple(message for message in messages if message["role"] != "system")
    return ({"role": "system", "content": text}, *rest) if text else rest


def check_messages(messages: str | Sequence[Message]) -> tuple[Message, ...]:
    """The conversation as a tuple of role and content; a plain string is one question.

    Raises InvalidMessages when a message lacks a known role or text, or the last one is not the user's.
    """
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    checked: list[Message] = []
    for number, message in enumerate(messages, start=1):
        role, content = message.get("role"), message.get("content")
        if role not in ROLES or not isinstance(content, str):
            raise InvalidMessages(
                f"message {number} is {dict(message)!r}; "
                f"each needs a role ({', '.join(ROLES)}) and a text as content"
            )
        checked.append({"role": role, "content": content})
    if not checked or checked[-1]["role"] != "user" or not checked[-1]["content"].strip():
        raise InvalidMessages("there is no question: the last message must be the user's, and not empty")
    return tuple(checked)
