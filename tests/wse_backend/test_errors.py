"""One tree of errors, drawn as it is, each with its values as attributes."""

from __future__ import annotations

import pickle

import pytest

from wse_backend import errors

EXAMPLES = [
    errors.UnknownModel("gpt-5", ["smollm2-135m"], "/models"),
    errors.DownloadFailed("tiny", "the network is down"),
    errors.HashMismatch("tiny", "aa", "bb", "package tiny"),
    errors.DiskFull("tiny", "/models", 2 << 20, 1 << 20, "No space left on device"),
    errors.BrokenGGUF("a.gguf", "it is empty"),
    errors.Unsupported("a.gguf", "its architecture", "'mamba'", ("llama", "qwen2")),
    errors.BrokenTemplate("unexpected end"),
    errors.InvalidMessages("an empty list", "a list"),
    errors.InvalidParams("temperature", float("nan"), "0 to 5"),
    errors.ContextOverflow(9000, 8192),
    errors.QueueFull(64, 64),
    errors.OutOfMemory("qwen", 2 << 30, 1 << 30),
    errors.GridTooLarge((900, 1200), "WSE-2", (840, 1000)),
    errors.DoesNotFit("llama", "WSE-3", 1, 3 << 20, 2),
    errors.DoesNotFit("llama", "WSE-3", 1, 3 << 20, None),
    errors.NoUsableWafer("WSE-3", 2.5, 50, 13),
    errors.NotFinite("tiny", "blk.3.ffn_down.weight"),
    errors.EngineClosed("tiny"),
    errors.EngineFailed("tiny", "a bug"),
]


def test_every_error_is_exported_and_has_a_line_in_the_tree() -> None:
    defined = {
        name
        for name, thing in vars(errors).items()
        if isinstance(thing, type) and thing.__module__ == errors.__name__
    }
    assert defined == set(errors.__all__)
    drawn = {line.strip("│├└─ ").split(" ")[0] for line in str(errors.__doc__).splitlines()}
    assert defined - drawn == set()
    assert {type(example).__name__ for example in EXAMPLES} == defined - {"WseError"}


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_every_error_is_ours_and_says_its_values_in_one_line(error: errors.WseError) -> None:
    assert isinstance(error, errors.WseError)
    assert "\n" not in str(error)
    said = str(error)
    for value in vars(error).values():
        shown = value if isinstance(value, tuple) else (value,)
        for part in shown:
            if part is None:
                continue
            assert str(part) in said or f"{part / (1 << 20):.0f} MiB" in said


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_every_error_survives_pickling(error: errors.WseError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (type(error), str(error))


@pytest.mark.parametrize("kind", [errors.InvalidParams, errors.InvalidMessages])
def test_callers_mistakes_are_value_errors_too(kind: type[Exception]) -> None:
    assert issubclass(kind, ValueError)


def test_long_values_are_shortened() -> None:
    assert len(str(errors.InvalidParams("stop", ["x"] * 10_000, "few"))) < 120
