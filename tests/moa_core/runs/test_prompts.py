"""How helper responses get into prompts, character by character."""

import pytest

from moa_core.runs.prompts import HELPER_INTRO, fill_prompt, instruction_last, number_responses, with_system

TWO = ("one", "two")
NUMBERED = "1. one\n\n2. two"


@pytest.mark.parametrize(
    ("prompt", "responses", "reference", "expected"),
    [
        ("P {helper_response} E", TWO, "", f"P {NUMBERED} E"),
        ("P {helper_response} {helper_response}", ("x",), "", "P 1. x 1. x"),
        ("P {helper_response} E", (), "", "P  E"),
        ("P", (), "", "P"),
        ("P", (), "R {responses}", "P"),
        ("P", TWO, "", f"P\n\n{HELPER_INTRO}\n\n{NUMBERED}"),
        ("", TWO, "", f"{HELPER_INTRO}\n\n{NUMBERED}"),
        ("P", TWO, "R {responses}!", f"P\n\nR {NUMBERED}!"),
        ("P {helper_response}", TWO, "R {responses}!", f"P R {NUMBERED}!"),
        ("P {helper_response}", TWO, "no placeholder", f"P no placeholder\n\n{NUMBERED}"),
        ("{x} {{y}} {helper_response}", ("{z}",), "", "{x} {{y}} 1. {z}"),
        ("{helper_response}", ("{helper_response}",), "", "1. {helper_response}"),
        ("{helper_response}", ("{responses}",), "R {responses}", "R 1. {responses}"),
        ("\\1 %s $x {helper_response}", ("\\g<0>",), "", "\\1 %s $x 1. \\g<0>"),
    ],
)
def test_fill_prompt(prompt, responses, reference, expected):
    assert fill_prompt(prompt, responses, reference) == expected


def test_responses_are_numbered_without_their_outer_spaces():
    assert number_responses(["\n a \n", "b"]) == "1. a\n\n2. b"


def test_system_messages_become_one_in_front():
    user, system = {"role": "user", "content": "q"}, {"role": "system", "content": "s"}

    assert with_system("p", (user, system)) == ({"role": "system", "content": "p\n\ns"}, user)
    assert with_system(" ", (user,)) == (user,)


@pytest.mark.parametrize(
    ("prompt", "responses", "reference", "expected"),
    [
        ("P", (), "", "q\n\nP"),
        ("", (), "", "q"),
        ("P", TWO, "", f"q\n\n{HELPER_INTRO}\n\n{NUMBERED}\n\nP"),
        ("P", TWO, "R {responses}!", f"q\n\nR {NUMBERED}!\n\nP"),
        ("P {helper_response} E", TWO, "", f"q\n\n{HELPER_INTRO}\n\n{NUMBERED}\n\nP (the responses above) E"),
        ("P {helper_response}E", (), "", "q\n\nP E"),
    ],
)
def test_the_instruction_may_come_last(prompt, responses, reference, expected):
    before = ({"role": "system", "content": "s"}, {"role": "assistant", "content": "a"})
    question = {"role": "user", "content": "q"}
    found = instruction_last(prompt, responses, reference, (*before, question))
    assert found == (*before, {"role": "user", "content": expected})


def test_agents_of_a_layer_share_all_but_their_instruction_when_it_comes_last():
    question = ({"role": "user", "content": "q" * 50},)
    texts = [instruction_last(own, TWO, "", question)[-1]["content"] for own in ("Agree.", "Doubt it.")]
    assert texts[0].removesuffix("Agree.") == texts[1].removesuffix("Doubt it.")
