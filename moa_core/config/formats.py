"""Brings configurations into the own format: it is checked, and three families in circulation are translated.

(A) `{"ai_configuration": {main_model, main_temperature, cycles, system_prompt, layer_agents: [...]}, ...}`,
or the inner object alone. (B) flat, `layer_agent_config: {name: {...}}`, with aliases. (C) `{"main_config",
"layer_config", "deterministic_settings"}`. Each is brought into the own format, which is then checked against
its JSON Schema.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NoReturn

from moa_core.config.sampling import NAMES as SAMPLING_NAMES
from moa_core.errors import ConfigError
from wse_backend.models import DEFAULT_MODEL

FORMAT = "moa-config"
VERSION = 1

# First name: ours. The others: what it is called in circulation, in order of precedence.
MAIN_ALIASES = {
    "model": ("main_model", "model", "primary_model", "main", "model_name"),
    "temperature": ("temperature", "main_temperature", "temp"),
    "prompt": ("system_prompt", "prompt", "system"),
    "max_tokens": ("max_tokens", "max_length", "context_length"),
    "cycles": ("cycles", "layers"),
    "agents": ("layer_agent_config", "layer_agents", "layer_config", "layers", "agents"),
    "reference_prompt": ("reference_system_prompt", "reference_prompt"),
    "name": ("name",),
    "description": ("description",),
    **{name: (name,) for name in SAMPLING_NAMES},
}
AGENT_ALIASES = {
    "name": ("name", "agent_name"),
    "model": ("model_name", "model", "main_model", "primary_model", "main"),
    "temperature": ("temperature", "temp"),
    "prompt": ("system_prompt", "prompt", "system"),
    "max_tokens": ("max_tokens", "max_length", "context_length"),
    "provider": ("provider",),
    **{name: (name,) for name in SAMPLING_NAMES},
}
FLAT_KEYS = {name for names in MAIN_ALIASES.values() for name in names} - {"name", "description", "seed"}
NUMBERS = ("temperature", "max_tokens", "top_p", "seed", "cycles")
WRAPPER_KEYS = ("ai_configuration", "main_config", "layer_config", "deterministic_settings")
KNOWN_BESIDE = ("exported_at", "version")


class _Pairs(dict[str, Any]):
    """A JSON object that remembers keys given twice, because agents are keyed by name in some families."""

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = tuple(pairs)


def normalise(source: str | bytes | Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Any of the formats as the own one (checked against the schema), and notes on what was changed or kept
    aside.

    Raises ConfigError that says where, what was found and what is allowed.
    """
    data = _parse(source) if isinstance(source, str | bytes | bytearray) else source
    if not isinstance(data, Mapping):
        raise ConfigError(f"the configuration is {_kind(data)}; expected a JSON object")
    notes: list[str] = []
    if data.get("format") == FORMAT or "summarizer" in data:
        own = _read_own(data, notes)
    elif "ai_configuration" in data:
        own = _read_wrapped(data, notes)
    elif any(key in data for key in ("main_config", "layer_config", "deterministic_settings")):
        own = _read_three_parts(data, notes)
    elif any(key in data for key in FLAT_KEYS):
        own = _read_flat(data, notes, "configuration")
    else:
        found = ", ".join(map(repr, list(data)[:5])) or "no keys at all"
        raise ConfigError(
            f"this is no agent configuration: found {found}; expected {FORMAT!r} with a summarizer, or "
            "main_model with layer agents, or ai_configuration, or main_config"
        )
    check_schema(own)
    return own, notes


def config_schema() -> dict[str, Any]:
    """The published JSON Schema of the own format."""
    text = files("moa_core").joinpath("config/schema/moa-config.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator  # takes a tenth of a second to import

    return Draft202012Validator(config_schema())


def check_schema(own: Mapping[str, Any]) -> None:
    """Raise ConfigError at the first place where `own` does not fit the published schema."""
    from jsonschema.exceptions import best_match

    error = best_match(_validator().iter_errors(own))
    if error is not None:
        path = error.json_path.removeprefix("$").removeprefix(".")
        raise ConfigError(str(error.message), path or "configuration")


def _parse(text: str | bytes | bytearray) -> Any:
    try:
        if not isinstance(text, str):
            text = bytes(text).decode("utf-8-sig")
        found = json.loads(text.lstrip("\ufeff"), object_pairs_hook=_Pairs, parse_constant=_refuse_constant)
        json.dumps(found, ensure_ascii=False).encode()  # what cannot be written can be no name and no prompt
        return found
    except UnicodeEncodeError as exc:
        half = exc.object[exc.start]
        raise ConfigError(f"a text in it holds half a character (\\u{ord(half):x})") from exc
    except json.JSONDecodeError as exc:
        raise ConfigError(f"not valid JSON: {exc.msg} in line {exc.lineno}, column {exc.colno}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"not UTF-8 text: byte {exc.start} cannot be read") from exc
    except RecursionError as exc:
        raise ConfigError("not readable: the JSON is nested too deeply") from exc
    except ConfigError:
        raise
    except ValueError as exc:  # of whole numbers with thousands of digits
        raise ConfigError("not readable: a number in it is too long") from exc


def _refuse_constant(name: str) -> NoReturn:
    raise ConfigError(f"not valid JSON: {name} is no JSON number")


def _read_own(data: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """The own format: unknown keys move to `extra`."""
    version = data.get("version", VERSION)
    if version != VERSION:
        raise ConfigError(f"version is {version!r}; this program reads version {VERSION}", "version")
    schema = config_schema()
    own = {"format": FORMAT, "version": VERSION, **_keep(data, schema["properties"], "configuration", notes)}
    known = schema["$defs"]["agent"]["properties"]

    def agent(item: Any, where: str) -> Any:
        return _keep(item, known, where, notes) if isinstance(item, Mapping) else item

    own["summarizer"] = agent(own.get("summarizer"), "summarizer")
    if isinstance(own.get("roles"), Mapping):
        own["roles"] = {role: agent(item, f"role {role!r}") for role, item in own["roles"].items()}
    if isinstance(own.get("layers"), Sequence):
        own["layers"] = [_own_layer(layer, agent, n, own) for n, layer in enumerate(own["layers"], start=1)]
    return own


def _own_layer(layer: Any, agent: Any, number: int, own: dict[str, Any]) -> Any:
    if not isinstance(layer, Mapping) or not isinstance(layer.get("agents"), list):
        return layer
    unknown = {key: value for key, value in layer.items() if key != "agents"}
    if unknown:
        _put_aside(own, {f"layer {number}": unknown})
    items = layer["agents"]
    return {"agents": [agent(item, f"agent {i} of layer {number}") for i, item in enumerate(items, start=1)]}


def _keep(data: Mapping[str, Any], known: Mapping[str, Any], where: str, notes: list[str]) -> dict[str, Any]:
    """`data` with what is not `known` moved into its `extra`, and a note for each."""
    kept = {key: value for key, value in data.items() if key in known}
    unknown = {key: value for key, value in data.items() if key not in known and key != "$schema"}
    if unknown:
        _note_unknown(unknown, where, notes)
        _put_aside(kept, unknown)
    return kept


def _put_aside(own: dict[str, Any], unknown: Mapping[str, Any]) -> None:
    """Keep what is not known in `extra`; one that is no object is left for the schema to refuse."""
    extra = own.get("extra") or {}
    if isinstance(extra, Mapping):
        own["extra"] = {**extra, **unknown}


def _note_unknown(keys: Mapping[str, Any], where: str, notes: list[str]) -> None:
    names = ", ".join(map(repr, keys))
    notes.append(f"{where}: {names} mean{'s' if len(keys) == 1 else ''} nothing here and is kept in extra")


def _read_wrapped(data: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """Family A: the inner object, with what stands beside it."""
    inner = _mapping(data["ai_configuration"], "ai_configuration")
    own = _read_flat(inner, notes, "ai_configuration")
    beside = {
        key: value for key, value in data.items() if key not in ("ai_configuration", "description", "name")
    }
    for key in ("description", "name"):
        if isinstance(data.get(key), str):
            own[key] = data[key]
    unknown = {key: value for key, value in beside.items() if key not in KNOWN_BESIDE}
    if unknown:
        _note_unknown(unknown, "configuration", notes)
    own["extra"] = {**own["extra"], **beside}
    return own


def _read_three_parts(data: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """Family C: main and layer configuration apart, and settings that fill in what they leave open."""
    main = dict(_mapping(data.get("main_config") or {}, "main_config"))
    fixed = _mapping(data.get("deterministic_settings") or {}, "deterministic_settings")
    if data.get("layer_config"):
        main["layer_config"] = data["layer_config"]
    defaults = {key: value for key, value in fixed.items() if key in AGENT_ALIASES and value is not None}
    own = _read_flat(main, notes, "main_config", defaults)
    beside = {key: value for key, value in data.items() if key not in WRAPPER_KEYS}
    for key in ("description", "name"):
        if isinstance(beside.get(key), str):
            own[key] = beside.pop(key)
    rest = {key: value for key, value in fixed.items() if key not in defaults}
    if rest:
        _note_unknown(rest, "deterministic_settings", notes)
        own["extra"] = {**own["extra"], "deterministic_settings": rest}
    unknown = {key: value for key, value in beside.items() if key not in KNOWN_BESIDE}
    if unknown:
        _note_unknown(unknown, "configuration", notes)
    own["extra"] = {**own["extra"], **beside}
    return own


def _read_flat(
    data: Mapping[str, Any], notes: list[str], where: str, defaults: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Family B, and the inside of A and C: one main model, and agents as a list or a dict."""
    values, unknown = _take(data, MAIN_ALIASES, where, notes)
    values = {**_numbers(dict(defaults or {}), "deterministic_settings", notes), **values}
    if values.get("model") is None:
        values["model"] = DEFAULT_MODEL
        notes.append(f"{where}: no main model is given; {DEFAULT_MODEL} is used")
    reported = {key: value for key, value in unknown.items() if key not in KNOWN_BESIDE}
    if reported:
        _note_unknown(reported, where, notes)
    summarizer = {key: values[key] for key in AGENT_ALIASES if key in values and key not in ("name", "seed")}
    layers = [
        {"agents": [_flat_agent(name, item, summarizer, n, notes) for name, item in group]}
        for n, group in enumerate(_agent_groups(values.get("agents"), where), start=1)
    ]
    if not layers:
        notes.append("no layer agents are configured: the summarizer answers alone")
    own = {
        "format": FORMAT,
        "version": VERSION,
        "summarizer": {"name": "Summarizer", **summarizer},
        "layers": layers,
        "extra": unknown,
    }
    optional = ("cycles", "reference_prompt", "seed", "name", "description")
    return own | {key: values[key] for key in optional if key in values}


def _take(
    data: Mapping[str, Any], aliases: Mapping[str, Sequence[str]], where: str, notes: list[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values under our names, by the first alias given, and the keys nobody took; null is not given."""
    values: dict[str, Any] = {}
    used: set[str] = set()
    for ours, names in aliases.items():
        for key in names:
            if key in used or data.get(key) is None or not _serves(ours, key, data[key]):
                continue
            values[ours] = data[key]
            used.add(key)
            break
    if "context_length" in used:
        notes.append(f"{where}: context_length {data['context_length']!r} is taken as max_tokens")
    rest = {
        key: value for key, value in data.items() if key not in used and not _is_null(key, value, aliases)
    }
    return _numbers(values, where, notes), rest


def _serves(ours: str, key: str, value: Any) -> bool:
    """`layers` is a number of cycles in some files and the agents in others; `main` a model or an object."""
    if ours == "agents":
        return isinstance(value, Mapping | list)
    return not (ours == "cycles" and key == "layers" and isinstance(value, Mapping | list))


def _is_null(key: str, value: Any, aliases: Mapping[str, Sequence[str]]) -> bool:
    return value is None and any(key in names for names in aliases.values())


def _numbers(values: dict[str, Any], where: str, notes: list[str]) -> dict[str, Any]:
    """Numbers that were written as text or as 3.0 become numbers; what is neither is left for the schema."""
    for key in NUMBERS:
        value = values.get(key)
        if isinstance(value, str):
            try:
                values[key] = float(value)
            except ValueError:
                continue
            notes.append(f"{where}: {key} is the text {value!r}; read as a number")
        whole = key in ("max_tokens", "seed", "cycles")
        if whole and isinstance(values.get(key), float) and values[key].is_integer():
            values[key] = int(values[key])
    return values


def _agent_groups(agents: Any, where: str) -> Iterator[list[tuple[str | None, Any]]]:
    """The agents of each layer, as (name, settings); lists, dicts, and lists or dicts of layers all serve."""
    if not agents:
        return
    pairs: list[tuple[str | None, Any]]
    if isinstance(agents, Mapping):
        pairs = list(agents.pairs if isinstance(agents, _Pairs) else agents.items())
    else:
        pairs = [(None, item) for item in agents]
    nested = [_inner_agents(item) for _, item in pairs]
    if all(inner is not None for inner in nested):
        for inner in nested:
            yield from _agent_groups(inner, where)
        return
    yield pairs


def _inner_agents(item: Any) -> Any:
    """The agents inside `item` when it is a layer, else None."""
    if isinstance(item, list):
        return item
    if isinstance(item, Mapping) and isinstance(item.get("agents"), Mapping | list):
        return item["agents"]
    return None


def _flat_agent(
    name: str | None, item: Any, main: Mapping[str, Any], layer: int, notes: list[str]
) -> dict[str, Any]:
    where = f"agent {name!r}" if name else f"an agent of layer {layer}"
    data = _mapping({"system_prompt": item} if isinstance(item, str) and name else item, where)
    values, unknown = _take(data, AGENT_ALIASES, where, notes)
    values["name"] = str(values.get("name") or name or "Agent")
    where = f"agent {values['name']!r}"
    if name and values["name"] != name:
        unknown["key"] = name
    missing = [
        key
        for key in ("model", "temperature", "max_tokens", "top_p", "reasoning_effort")
        if key not in values and key in main
    ]
    values |= {key: main[key] for key in missing}
    if "model" in missing:
        notes.append(f"{where}: no model is given; the main model {main['model']!r} is used")
    if unknown:
        _note_unknown(unknown, where, notes)
        values["extra"] = unknown
    return values


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"found {_kind(value)}; expected a JSON object", where)
    return value


def _kind(value: Any) -> str:
    kinds = {
        list: "a list",
        str: "a text",
        bool: "true or false",
        type(None): "null",
        int: "a number",
        float: "a number",
    }
    return kinds.get(type(value), type(value).__name__)
