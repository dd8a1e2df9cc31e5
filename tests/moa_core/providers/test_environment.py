"""The providers that a process makes by its environment, here or on a worker."""

import asyncio
import pickle

import pytest

from moa_core.errors import ModelNotFound
from moa_core.providers.environment import EnvironmentProviders
from tests.wse_backend.tiny_gguf import write_tiny_gguf


def test_where_setups_are_strangers_a_models_name_is_no_path_on_a_worker_either(tmp_path):
    """The same words whether there is such a file or not: else names would tell what a machine holds."""
    there = write_tiny_gguf(tmp_path / "private.gguf")
    sent = pickle.loads(pickle.dumps(EnvironmentProviders(accepts_paths=False)))
    wafer = sent()[0]

    said = []
    for path in (there, tmp_path / "missing.gguf"):
        with pytest.raises(ModelNotFound) as caught:
            asyncio.run(wafer.context(str(path)))
        said.append(str(caught.value).replace(path.name, "..."))

    assert said[0] == said[1]


def test_a_command_line_takes_a_path(tmp_path):
    path = write_tiny_gguf(tmp_path / "own.gguf")

    assert asyncio.run(EnvironmentProviders()()[0].context(str(path))).n_ctx == 256
