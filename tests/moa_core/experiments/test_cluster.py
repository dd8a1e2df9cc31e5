"""Trials on a real Dask cluster: a scheduler and two workers, one of them killed in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from moa_core import Agent, MoAConfig
from moa_core.errors import ExperimentError, NoWorkers
from moa_core.experiments import spread
from moa_core.experiments.cluster import cluster
from moa_core.providers import Wafer
from tests.dask_cluster import scheduler, worker
from tests.moa_core.experiments.on_workers import points, slow_providers

CONFIG = MoAConfig(summarizer=Agent("S", "slow"), strategy="single")


@pytest.fixture
def address() -> Iterator[str]:
    with scheduler() as place:
        yield place


def test_a_killed_worker_loses_no_trial(address: str) -> None:
    with ExitStack() as stack:
        first, _ = (stack.enter_context(worker(address)) for _ in range(2))
        executor = stack.enter_context(cluster(address, connect_s=60))
        running = spread(CONFIG, "task", slow_providers, points, 16, executor)
        next(running)
        first.kill()
        found = running.result()

    assert [trial.seed for trial in found.trials] == list(range(1, 17))
    assert found.n_failed == 0
    assert {trial.trace.calls[0].provider for trial in found.trials} == {"slow"}


def test_a_cluster_without_workers_is_said_and_nothing_hangs(address: str) -> None:
    with cluster(address, empty_s=0.5, connect_s=60) as executor:
        running = spread(CONFIG, "task", slow_providers, points, 2, executor)
        with pytest.raises(NoWorkers, match="no worker"):
            running.result()


def test_providers_of_this_process_do_not_travel(address: str) -> None:
    with (
        cluster(address, connect_s=60) as executor,
        pytest.raises(ExperimentError, match="cannot travel"),
    ):
        spread(CONFIG, "task", Wafer(), points, 2, executor).result()


def test_no_scheduler_is_said(unused_port: int) -> None:
    place = f"tcp://127.0.0.1:{unused_port}"
    with pytest.raises(NoWorkers, match="no scheduler answers"), cluster(place, connect_s=0.5):
        raise AssertionError("there is a cluster")
