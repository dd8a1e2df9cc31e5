"""The current setup in one line, for the pages that use it."""

from __future__ import annotations

from pages.state.draft import Draft
from pages.state.text import as_plain, count, shortened

MODEL_CHARS = 40


def setup_line(draft: Draft) -> str:
    """ "3 agents in each of 2 agent layers, then the summarizer · smollm2-135m"."""
    sizes = [len(layer.agents) for layer in draft.layers] * draft.cycles
    used = dict.fromkeys(agent.model for agent in draft.agents)
    models = ", ".join(as_plain(shortened(model, MODEL_CHARS)) for model in used)
    if not sizes:
        return f"No layers: the summarizer answers alone · {models}"
    if len(set(sizes)) > 1:
        agents = f"{' + '.join(map(str, sizes))} agents in {len(sizes)} agent layers"
    elif len(sizes) > 1:
        agents = f"{count(sizes[0], 'agent')} in each of {len(sizes)} agent layers"
    else:
        agents = f"{count(sizes[0], 'agent')} in one agent layer"
    return f"{agents}, then the summarizer · {models}"
