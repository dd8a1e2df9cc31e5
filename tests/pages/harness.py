"""What the page tests work with: the app as AppTest sees it, and setups that run on the test server."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

from moa_core import Agent, MoAConfig
from moa_core.config.values import Layer
from pages.parts.session import Session

ROOT = Path(__file__).parents[2]
KEY = "csk-test-5f1d3c"


@dataclass(frozen=True)
class Cloud:
    """The test server: a model's name says how it answers (see tests/moa_core/openai_server.py)."""

    url: str

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The bodies of the chat requests so far."""
        with urllib.request.urlopen(self.url.removesuffix("/v1") + "/history", timeout=10) as reply:
            return [entry["body"] for entry in json.load(reply)["requests"]]


class App:
    """The running app; no step of it may end in an exception."""

    def __init__(self) -> None:
        self.at = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=60)
        self.run()

    def run(self) -> App:
        """Run the page once and check that nothing was raised."""
        self.at.run()
        assert not self.at.exception
        return self

    def open(self, page: str) -> App:
        """Go to a page by its file's name."""
        self.at.switch_page(f"pages/{page}.py")
        return self.run()

    def ask(self, question: str) -> App:
        """Type a question on the Chat page and send it."""
        if not self.at.chat_input:
            self.open("chat")
        self.at.chat_input(key="chat_input").set_value(question)
        return self.run()

    def click(self, key: str) -> App:
        """Click the button with this key."""
        self.at.button(key=key).click()
        return self.run()

    @property
    def session(self) -> Session:
        """What the browser session holds."""
        session: Session = self.at.session_state["moa_session"]
        return session

    def use(self, config: MoAConfig) -> App:
        """Give the session another setup."""
        self.session.draft.load(config)
        return self.run()

    @property
    def everything(self) -> str:
        """All that the page sends to the browser: each element as its message, tables included."""
        return "\n".join(str(node.proto) for node in _nodes(self.at._tree))

    @property
    def text(self) -> str:
        """Every word on the page that is drawn as text or as a message."""
        at = self.at
        kinds = (at.title, at.subheader, at.markdown, at.caption, at.error, at.warning, at.info, at.success)
        kinds = (*kinds, at.code)
        titles = [str(getattr(block.proto, "title", "")) for block in (*at.error, *at.warning)]
        return "\n".join([*(element.value for kind in kinds for element in kind), *titles])


def setup(*models: str, summarizer: str = "say:the answer", n_layers: int = 1) -> MoAConfig:
    """Layers with one agent per model, and a summarizer."""
    layer = Layer(tuple(Agent(f"Agent {n}", model, "Answer.") for n, model in enumerate(models, start=1)))
    return MoAConfig(layers=(layer,) * n_layers, summarizer=Agent("Summarizer", summarizer, "Combine."))


def _nodes(node: Any) -> Iterator[Any]:
    """A block's elements and its inner blocks' elements."""
    for child in getattr(node, "children", {}).values():
        if getattr(child, "proto", None) is not None:
            yield child
        yield from _nodes(child)
