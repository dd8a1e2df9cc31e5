"""The setup as places and arrows, for a drawing: question, agent layers, summarizer, answer."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from pages.state.draft import Draft


@dataclass(frozen=True)
class Node:
    """One box. x counts columns from 0, y is centred on 0; agent is "" for question and answer."""

    x: float
    y: float
    label: str
    agent: str = ""
    model: str = ""


@dataclass(frozen=True)
class Graph:
    """The boxes, the arrows between them (indices into `nodes`), and a title per column."""

    nodes: tuple[Node, ...]
    arrows: tuple[tuple[int, int], ...]
    columns: tuple[str, ...]


def setup_graph(draft: Draft) -> Graph:
    """Question, every agent layer as often as it runs, summarizer, answer; each column feeds the next."""
    columns: list[list[Node]] = [[Node(0, 0.0, "Question")]]
    titles = [""]
    layers = [layer for layer in draft.layers if layer.agents] * draft.cycles
    for number, layer in enumerate(layers, start=1):
        size = len(layer.agents)
        columns.append(
            [
                Node(len(columns), (size - 1) / 2 - place, agent.name or "?", agent.name, agent.model)
                for place, agent in enumerate(layer.agents)
            ]
        )
        titles.append(f"Agent layer {number}")
    final = draft.summarizer
    columns.append([Node(len(columns), 0.0, final.name or "?", final.name, final.model)])
    columns.append([Node(len(columns), 0.0, "Answer")])
    titles += ["Summarizer", ""]
    nodes = [node for column in columns for node in column]
    arrows = [
        (nodes.index(a), nodes.index(b)) for left, right in pairwise(columns) for a in left for b in right
    ]
    return Graph(tuple(nodes), tuple(arrows), tuple(titles))
