"""Replies as models give them: what is taken out runs and returns what the writer meant."""

import ast
import json
from pathlib import Path

import pytest

from grader import extract_code
from grader.replies.parsing import BUDGET, Parser, units
from tests.grader.replies.dialects import DIALECTS, GOOD, F, fenced
from tests.grader.replies.hostile_replies import HOSTILE

REPLIES = sorted((Path(__file__).parents[1] / "replies").glob("*.txt"))
TABLE = {
    "bare_code": (GOOD, 6),
    "fence": (fenced(GOOD), 6),
    "fence_without_language": (fenced(GOOD, ""), 6),
    "fence_py3": (fenced(GOOD, "py3"), 6),
    "fence_with_attributes": (fenced(GOOD, "python title=a.py"), 6),
    "tilde_fence": (fenced(GOOD, "python", "~~~"), 6),
    "four_backticks": (fenced(GOOD, "python", "````"), 6),
    "prose_around": (f"Sure! Here it is:\n\n{fenced(GOOD)}\nIt doubles the value. Let me know!", 6),
    "prose_without_fence": (f"Here is the function:\n\n{GOOD}\nThis doubles its argument.", 6),
    "prose_right_after_without_fence": (f"Answer:\n{GOOD}I hope this helps.", 6),
    "unclosed_fence": (f"Here:\n{F}python\n{GOOD}", 6),
    "unclosed_fence_and_prose": (f"{F}python\n{GOOD}\nThis function doubles.\nIt is short.", 6),
    "two_versions_last_wins": (fenced("def f(x):\n    return 0") + "Better:\n" + fenced(GOOD), 6),
    "last_version_is_broken": (fenced(GOOD) + "Or:\n" + fenced("def f(x):\n    return x *"), 6),
    "last_version_is_a_stub": (fenced(GOOD) + "Signature:\n" + fenced("def f(x):\n    ..."), 6),
    "stub_with_docstring_first": (fenced('def f(x):\n    """Double."""\n    pass') + fenced(GOOD), 6),
    "example_block_after": (fenced(GOOD) + "Use it:\n" + fenced("print(f(3))"), 6),
    "shell_block_before": (fenced("pip install numpy", "bash") + fenced(GOOD), 6),
    "output_block_after": (fenced(GOOD) + "Output:\n" + fenced("6", ""), 6),
    "json_block_before": (fenced('{"x": 1}', "json") + fenced(GOOD), 6),
    "example_call_in_block": (fenced(GOOD + "\nprint(f(missing))"), 6),
    "main_block": (fenced(GOOD + '\nif __name__ == "__main__":\n    print(f(int(input())))'), 6),
    "import_and_helper": (
        fenced("import math\n\ndef g(x):\n    return math.floor(x)\n\ndef f(x):\n    return g(x) * 2"),
        6,
    ),
    "import_in_other_block": (fenced("import math") + fenced("def f(x):\n    return math.floor(x) * 2"), 6),
    "helper_in_other_block": (
        fenced("def g(x):\n    return x * 2") + fenced("def f(x):\n    return g(x)"),
        6,
    ),
    "helper_in_later_block": (
        fenced("def f(x):\n    return g(x)") + fenced("def g(x):\n    return x * 2"),
        6,
    ),
    "constant_and_dataclass": (
        fenced(
            "from dataclasses import dataclass\nFACTOR = 2\n\n@dataclass\nclass P:\n    x: int\n\n"
            "def f(x):\n    return P(x).x * FACTOR"
        ),
        6,
    ),
    "constant_built_in_steps": (fenced("T = {}\nT['k'] = 2\n\ndef f(x):\n    return x * T.get('k', 2)"), 6),
    "future_import": (
        fenced("from __future__ import annotations\n\ndef f(x: Undefined):\n    return x * 2"),
        6,
    ),
    "decorated": (fenced("from functools import cache\n\n@cache\ndef f(x):\n    return x * 2"), 6),
    "think_before": (f"<think>def f(x): return 1? No.</think>\n{fenced(GOOD)}", 6),
    "think_with_code_inside": (
        f"<think>\n{fenced('def f(x):' + chr(10) + '    return 0')}</think>\n{fenced(GOOD)}",
        6,
    ),
    "think_without_opening": (f"So double it.\n</think>\n\n{fenced(GOOD)}", 6),
    "think_never_closed": (f"<think>I need to double it.\n{fenced(GOOD)}", 6),
    "reasoning_tag": (f"<reasoning>Hm.</reasoning>{chr(10)}{fenced(GOOD)}", 6),
    "doctest_prompts": (fenced(">>> def f(x):\n...     return x * 2\n...\n>>> f(3)\n6"), 6),
    "doctest_in_docstring": (
        fenced('def f(x):\n    """Double.\n\n    >>> f(3)\n    6\n    """\n    return x * 2'),
        6,
    ),
    "tabs": (fenced("def f(x):\n\tif x:\n\t\treturn x * 2\n\treturn 0"), 6),
    "tabs_and_spaces": (fenced("def f(x):\n\tif x:\n            return x * 2\n\treturn 0"), 6),
    "leading_indentation": (fenced("    def f(x):\n        return x * 2"), 6),
    "fence_in_a_list": (f"1. First:\n\n   {F}python\n   def f(x):\n       return x * 2\n   {F}\n", 6),
    "fence_in_a_quotation": (f"> {F}python\n> def f(x):\n>     return x * 2\n> {F}\n", 6),
    "class_around": (fenced("class Solution:\n    def f(self, x):\n        return x * 2"), 6),
    "class_with_static_method": (
        fenced("class S:\n    @staticmethod\n    def f(x):\n        return x * 2"),
        6,
    ),
    "class_with_helper_method": (
        fenced(
            "class S:\n    def g(self, x):\n        return x\n\n    def f(self, x):\n        return "
            "self.g(x) * 2"
        ),
        6,
    ),
    "defined_twice": (fenced("def f(x):\n    return 0\n\ndef f(x):\n    return x * 2"), 6),
    "windows_line_ends": (fenced(GOOD).replace("\n", "\r\n"), 6),
    "old_mac_line_ends": (fenced(GOOD).replace("\n", "\r"), 6),
    "byte_order_mark": ("\ufeff" + GOOD, 6),
    "smart_quotes": (fenced("def f(x):\n    return {“a”: x * 2}[‘a’]"), 6),
    "no_break_spaces": (fenced(GOOD.replace("    ", "\u00a0\u00a0\u00a0\u00a0")), 6),
    "html_escapes": (fenced("def f(x):\n    return x * 2 if x &gt; 0 else 0"), 6),
    "numbered_lines": (fenced("1 def f(x):\n2     return x * 2"), 6),
    "diff": (fenced("@@ -1,2 +1,2 @@\n-def f(x):\n-    return x\n+def f(x):\n+    return x * 2", "diff"), 6),
    "json_reply": (json.dumps({"explanation": "doubles", "code": GOOD}), 6),
    "language_name_inside": (f"{F}\npython\n{GOOD}{F}", 6),
    "cut_off_at_the_end": (
        fenced("def f(x):\n    y = x * 2\n    return y\n    print(").removesuffix(F + "\n"),
        6,
    ),
    "cut_off_helper_after": (f"{F}python\n{GOOD}\ndef g(x):\n    return [", 6),
    "note_with_colon": (f"Note: this doubles.\n{GOOD}Explanation: x times two.", 6),
    "lambda": (fenced("f = lambda x: x * 2"), 6),
    "semicolons": (fenced("import math; k = 2\ndef f(x): return math.floor(x) * k"), 6),
    "conditional_import": (
        fenced(
            "try:\n    import numpy as np\nexcept ImportError:\n    np = None\n\ndef f(x):\n    return x * 2 "
            "if np is None else x * 2"
        ),
        6,
    ),
    "return_outside_a_function": (fenced(GOOD + "\nreturn f(3)"), 6),
    "parameter_named_like_a_global": (fenced("x = [1]\n\n" + GOOD + "\nprint(f(x))"), 6),
    "emoji_and_accents": (
        f"Voilà ✨\n{fenced('def f(x):' + chr(10) + '    # été' + chr(10) + '    return x * 2')}🎉",
        6,
    ),
}


TABLE |= {name: (reply, 6) for name, reply in DIALECTS.items()}


@pytest.mark.parametrize("name", TABLE)
def test_code_in_a_reply_is_found_and_runs(name):
    reply, expected = TABLE[name]
    found = extract_code(reply, "f")
    assert found.reason == ""
    space = {}
    exec(compile(found.code, name, "exec"), space)  # texts of this file
    assert space["f"](3) == expected


def test_the_table_is_long_enough():
    assert len(TABLE) >= 80


@pytest.mark.parametrize("path", REPLIES, ids=lambda path: path.stem)
def test_replies_of_the_in_process_models(path):
    """Raw replies, generated at temperature 0; the first line says what must be found."""
    expectation, _, reply = path.read_text(encoding="utf-8").partition("\n")
    found = extract_code(reply, "calculate_user_metrics")
    assert found.found == (expectation != "# nothing")
    if found.found:
        names = [node.name for node in ast.parse(found.code).body if isinstance(node, ast.FunctionDef)]
        assert "calculate_user_metrics" in names
        assert "```" not in found.code


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "the reply is empty"),
        ("I cannot do that.", "the reply has no code, so no function `f`"),
        (fenced("print(1)"), "the reply has code, but no function `f`"),
        (fenced("def g(x):\n    return 1"), "the reply defines no function `f`; it defines `g`"),
        ("So:\n```\ndef f(x", "the reply starts to define `f`, but no part of it is valid Python"),
        ("x" * 400_001, "the reply has 400,001 characters; at most 400,000 are read"),
    ],
    ids=["empty", "refusal", "no_function", "other_function", "unparsable", "too_long"],
)
def test_a_reply_without_the_function_says_why(reply, reason):
    found = extract_code(reply, "f")
    assert (found.code, found.reason) == ("", reason)


def test_source_that_cannot_be_read_is_handed_on_whole():
    """The grade names the line; without fences the whole text is the submission."""
    assert extract_code("def f(x", "f").code == "def f(x"


def test_what_was_dropped_is_said():
    reply = (
        "<think>hm</think>Here:\n"
        + fenced("def f(x):\n    return 1")
        + fenced("import os\n\ndef unused():\n    pass\n\n" + GOOD + "\nprint(f(1))")
    )
    assert extract_code(reply, "f").dropped == (
        "a section of thinking",
        "example calls and statements outside the function",
        "unused definitions: unused",
        "unused imports",
        "text around the code",
        "1 other version of the function",
    )


def test_only_what_the_function_needs_is_kept():
    reply = fenced(
        "import os\nimport math\nK = 2\nL = 3\n\ndef f(x):\n    return math.floor(x) * K\n\nprint(os.name)"
    )
    code = extract_code(reply, "f").code
    assert code == "import math\n\nK = 2\n\ndef f(x):\n    return math.floor(x) * K\n"


@pytest.mark.timeout(60)  # a reading that is not linear would take minutes
@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_is_hard_to_read(name):
    found = extract_code(HOSTILE[name], "f")
    assert bool(found.code) != bool(found.reason)


def test_a_reply_is_parsed_within_a_budget():
    """Counted instead of timed: a function that breaks off is not tried at every length."""
    parser = Parser()
    lines = ["def f(x):", *["    y = g(x, 1)"] * 300, "    print("]
    tree, length = parser.longest_start(lines)
    assert (len(tree.body), length) == (1, 301)
    assert BUDGET - parser.left < 3 * units("\n".join(lines))


def test_code_behind_much_else_is_found():
    assert extract_code(HOSTILE["thinking_and_code"], "f").code == GOOD
    long_answer = "Think of it as a list of things to do.\n" * 2000
    assert extract_code(f"{long_answer}\n{fenced(GOOD)}", "f").code == GOOD
