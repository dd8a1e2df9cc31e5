"""The documentation says what is so."""

import re
from pathlib import Path

import moa_core
from moa_core import Agent, Event, MoAConfig
from moa_core.config.response_schema import KEYWORDS
from moa_core.providers.deadline import Timeouts
from moa_core.providers.known_servers import KNOWN_SERVERS
from moa_core.providers.retry import RETRIED_STATUS, RetryPolicy
from moa_core.strategies import all_strategies

DOCS = (Path(__file__).parents[2] / "docs" / "moa_core.md").read_text(encoding="utf-8")


def block(language):
    return re.search(rf"```{language}\n(.*?)```", DOCS, re.DOTALL).group(1)


def test_example_configuration_loads_without_a_note():
    config = MoAConfig.from_json(block("json"))

    assert config.notes == ()
    assert config.run_layers[1].names == ("Direct", "Careful")


def test_example_program_runs(capsys):
    short = MoAConfig(summarizer=Agent("Writer", max_tokens=16))  # the default's 2,000 tokens take too long
    program = block("python").replace("MoAConfig.default()", "short")

    exec(compile(program, "docs/moa_core.md", "exec"), {"short": short})

    out = capsys.readouterr().out
    assert len(out) > 50
    assert "Writer" in out


def test_every_event_is_documented():
    names = {kind.__name__ for kind in Event.__args__}

    assert names <= set(re.findall(r"`(\w+)`", DOCS))
    assert names <= set(moa_core.__all__)


def test_every_strategy_is_documented_with_its_options():
    for strategy in all_strategies().values():
        (row,) = [line for line in DOCS.splitlines() if line.startswith(f"| `{strategy.name}` |")]
        for name, rule in strategy.options.items():
            assert f"`{name}` {rule.default}" in row
        assert all(f"`{role}`" in row for role in strategy.roles)


def test_the_keywords_of_a_response_schema_are_documented_one_by_one():
    (text,) = re.findall(r"Keywords: (.*?)Others are refused by name", DOCS, re.DOTALL)

    assert sorted(re.findall(r"`([^`]+)`", text)) == sorted(KEYWORDS)


def test_every_kind_of_server_is_documented_with_its_address_and_key():
    table = (Path(__file__).parents[2] / "docs" / "providers.md").read_text(encoding="utf-8")

    for known in KNOWN_SERVERS:
        (row,) = [line for line in table.splitlines() if f"| `{known.base_url}` |" in line]
        assert not known.is_public or f"`{known.secret}`" in row


def test_documented_limits_are_the_defaults():
    limits, retry = Timeouts(), RetryPolicy()

    assert f"{limits.connect_s:g} s to connect, {limits.first_token_s:g} s to the" in DOCS
    assert f"{limits.between_tokens_s:g} s between tokens" in DOCS
    assert f"up to {retry.attempts} requests" in DOCS
    assert f"at most {retry.max_wait_s:g} s" in DOCS
    assert {408, 409, 429} <= RETRIED_STATUS
