"""No key appears anywhere: every place it could leak to is searched."""

import asyncio
import io
import json
import logging
import pickle
import traceback

import pytest

from moa_core import MoAConfig, run_sync
from moa_core.__main__ import main
from moa_core.errors import MoAError
from moa_core.providers import OpenAICompatible
from moa_core.providers.limiter import SHARED_LIMITERS, Limiters
from moa_core.runs.conversation import Conversation, Exchange

KEY = "csk-s3cr3t-0123456789abcdef"
MODELS = ["say:x", "leak", "status:401", "status:500", "drop:1", "garbage", "error:1", "json:no"]


@pytest.fixture
def log():
    """Everything that anybody logs, at the most talkative level."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def test_nothing_of_a_run_holds_the_key(moa, cloud, log):
    provider = cloud(api_key=KEY, name="cloud")
    events = list(run_sync(moa(MODELS, summarizer="say:s"), "hi", provider))
    last = events[-1]
    talk = Conversation((Exchange("hi", last.answer, last.notes),))
    places = {
        "events": repr(events),
        "trace": json.dumps(last.trace.to_dict()),
        "table": last.trace.to_dataframe().to_csv(),
        "notes": repr(last.notes),
        "markdown": talk.to_markdown(),
        "json": talk.to_json(),
        "config": MoAConfig.default().to_json(),
        "provider": repr(provider) + str(provider) + repr(vars(provider)),
        "limiters": repr(vars(SHARED_LIMITERS)),
        "log": log.getvalue(),
    }

    assert [name for name, text in places.items() if KEY in text] == []
    assert "the key *** is not valid" in places["events"]
    assert "HTTP Request" in places["log"]  # the log was listening


@pytest.mark.parametrize("model", ["leak", "status:500", "hang", "drop:1", "garbage"])
def test_no_exception_holds_the_key(cloud, model):
    from moa_core.providers import CallRequest
    from moa_core.providers.deadline import Timeouts

    provider = cloud(api_key=KEY, timeouts=Timeouts(first_token_s=0.3))

    async def ask():
        async for _ in provider.stream(CallRequest(model, ({"role": "user", "content": "hi"},))):
            pass

    with pytest.raises(MoAError) as caught:
        asyncio.run(ask())

    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert KEY not in shown
    assert KEY not in str(caught.value) + repr(caught.value)


def test_provider_cannot_be_pickled_with_its_key():
    with pytest.raises(TypeError):
        pickle.dumps(OpenAICompatible("http://x", KEY, limiters=Limiters()))


def test_command_line_prints_no_key(server, tmp_path, monkeypatch, capsys, log):
    config = tmp_path / "config.json"
    layers = [{"agents": [{"name": "a", "model": "leak"}, {"name": "b", "model": "say:x"}]}]
    summarizer = {"name": "s", "model": "say:all"}
    config.write_text(json.dumps({"summarizer": summarizer, "layers": layers}))
    for agent in (*layers[0]["agents"], summarizer):
        agent["provider"] = "server"
    config.write_text(json.dumps({"summarizer": summarizer, "layers": layers}))
    monkeypatch.setenv("CEREBRAS_API_KEY", KEY)

    assert main(["ask", "hi", "--config", str(config), "--base-url", server.address, "--json"]) == 0

    out, err = capsys.readouterr()
    assert json.loads(out)["answer"] == "all"
    assert server.requests("leak")[0]["key"] == f"Bearer {KEY}"
    assert KEY not in out + err + log.getvalue()
