"""How models of 2024 to 2026 hand code over: every reply means a function that doubles."""

import json

GOOD = "def f(x):\n    return x * 2\n"
F = "```"


def fenced(code, language="python", mark=F):
    return f"{mark}{language}\n{code.rstrip()}\n{mark}\n"


BAD = "def f(x):\n    return 0\n"
QUOTED = json.dumps(GOOD)
DIALECTS = {
    "gpt_oss_channels": (
        f"<|channel|>analysis<|message|>Maybe\n{fenced(BAD)}?<|end|><|start|>assistant<|channel|>final"
        f"<|message|>{fenced(GOOD)}<|return|>"
    ),
    "gpt_oss_commentary_call": (
        "<|channel|>analysis<|message|>Write it.<|end|><|start|>assistant<|channel|>commentary to=a.save"
        f' <|constrain|>json<|message|>{{"path": "a.py", "text": {QUOTED}}}<|call|>'
    ),
    "gpt_oss_marks_lost": f"analysisWe could\n{fenced(BAD)}or double.assistantfinal{fenced(GOOD)}",
    "gemma_4_channel": f"<|channel>thought\n{fenced(BAD)}<channel|>{fenced(GOOD)}",
    "gemma_turn_marks": f"<start_of_turn>model\n{fenced(GOOD)}<end_of_turn>",
    "gemma_tool_code": fenced(GOOD, "tool_code"),
    "medgemma_thought": f"<unused94>thought\n{fenced(BAD)}<unused95>{fenced(GOOD)}",
    "qwen3_thinks_then_calls": (
        f"<think>\n{fenced(BAD)}</think>\n<tool_call>\n"
        f'{{"name": "write", "arguments": {{"content": {QUOTED}}}}}\n</tool_call>'
    ),
    "qwen3_coder_call": (
        f"<tool_call>\n<function=write>\n<parameter=path>\na.py\n</parameter>\n<parameter=content>\n{GOOD}"
        "</parameter>\n</function>\n</tool_call>"
    ),
    "glm_call": (
        f"<think></think><tool_call>write\n<arg_key>content</arg_key>\n<arg_value>{GOOD}</arg_value>\n</tool_call>"
    ),
    "llama_4_python": f"<|python_start|>{GOOD}<|python_end|><|eom|>",
    "llama_4_call": f'[write_file(path="a.py", content={QUOTED})]',
    "llama_3_python_tag": f"<|python_tag|>{GOOD}<|eom_id|>",
    "llama_3_call": f'{{"name": "write_file", "parameters": {{"content": {QUOTED}}}}}<|eot_id|>',
    "deepseek_call": (
        f"<think>Hm, {BAD}</think><｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>write\n"
        f'```json\n{{"content": {QUOTED}}}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>'
    ),
    "kimi_thinks_then_calls": (
        f"◁think▷{BAD}◁/think▷<|tool_calls_section_begin|><|tool_call_begin|>functions.write:0"
        f'<|tool_call_argument_begin|>{{"content": {QUOTED}}}<|tool_call_end|>'
    ),
    "magistral": f"[THINK]\n{fenced(BAD)}[/THINK]{fenced(GOOD)}",
    "mistral_call": f'[TOOL_CALLS]write[ARGS]{{"content": {QUOTED}}}',
    "command_a": f"<|START_THINKING|>{BAD}<|END_THINKING|>{fenced(GOOD)}",
    "seed_oss": f"<seed:think>\n{fenced(BAD)}</seed:think>\n{fenced(GOOD)}",
    "sky_t1": f"<|begin_of_thought|>{fenced(BAD)}<|end_of_thought|>\n{fenced(GOOD)}",
    "chat_front_end_folds_thinking": (
        f'<details type="reasoning" done="true" duration="3">\n<summary>Thought for 3 seconds</summary>\n'
        f"{fenced(BAD)}</details>\n{fenced(GOOD)}"
    ),
    "scratchpad_and_answer": f"<scratchpad>{fenced(BAD)}</scratchpad><answer>\n{GOOD}</answer>",
    "answer_with_a_fence": f"<answer>{fenced(GOOD)}</answer>",
    "code_llama": f"[PYTHON]\n{GOOD}[/PYTHON]",
    "artifact": (
        f'<antArtifact identifier="f" type="application/vnd.ant.code" language="python" title="F">\n{GOOD}'
        "</antArtifact>\nIt doubles."
    ),
    "canvas": (
        f'canmore.create_textdoc({{"name": "f", "type": "code/python", "content": {QUOTED}}})\nThere.'
    ),
    "search_and_replace": (f"a.py\n{F}python\n<<<<<<< SEARCH\n{BAD}=======\n{GOOD}>>>>>>> REPLACE\n{F}"),
    "merge_conflict": f"<<<<<<< HEAD\n{BAD}=======\n{GOOD}>>>>>>> mine\n",
    "patch_that_adds_a_file": (
        "*** Begin Patch\n*** Add File: a.py\n+def f(x):\n+    return x * 2\n*** End Patch"
    ),
    "patch_with_context": fenced(
        "--- a.py\n+++ a.py\n@@ -1,2 +1,2 @@\n def f(x):\n-    return x\n+    return x * 2", "diff"
    ),
    "json_block": fenced(json.dumps({"language": "python", "code": GOOD}, indent=2), "json"),
    "json_block_with_real_line_ends": f'{F}json\n{{"code": "import math\n{GOOD}"}}\n{F}',
    "json_with_a_fence_inside": json.dumps({"answer": f"Here:\n{fenced(GOOD)}"}),
    "json_cut_off": '{"code": "def f(x):\\n    return x * 2\\n',
    "json_after_prose": f'Here is the object: {{"code": {QUOTED}, "ok": true}}. Done.',
    "json_of_an_api": json.dumps({"choices": [{"message": {"role": "assistant", "content": fenced(GOOD)}}]}),
    "notebook": json.dumps({"cells": [{"cell_type": "code", "source": GOOD.splitlines(True)}]}),
    "notebook_prompts": fenced(
        "In [1]: def f(x):\n   ...:     return x * 2\n   ...:\n\nIn [2]: f(3)\nOut[2]: 6"
    ),
    "notebook_magic": fenced(f"%%writefile a.py\n{GOOD}"),
    "html_page": '<pre><code class="py">def f(x):\n    return x * 2 if x &gt; 0 else 0\n</code></pre>',
    "html_escapes_without_a_fence": "Here:\n\ndef f(x):\n    return x * 2 if x &gt; 0 and x &lt; 9 else 0\n",
    "xml_character_data": f"<solution><code><![CDATA[\n{GOOD}]]></code></solution>",
    "latex_listing": f"\\begin{{lstlisting}}[language=Python]\n{GOOD}\\end{{lstlisting}}",
}
