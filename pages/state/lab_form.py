"""What the Lab's form asks for, and the experiment that it comes to; knows nothing of Streamlit."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from grader import score_reply, task_messages
from moa_core import MoAConfig
from moa_core.experiments import Budget, Experiment, Space, ablate, compare, search, spread
from moa_core.experiments.store import Record
from moa_core.experiments.trial import Providers, Trial
from pages.state.public_cases import PublicCases

KINDS = {
    "spread": "Spread",
    "compare": "Compare",
    "ablate": "Ablate",
    "search": "Search",
}
SEED_CHOICES = (2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Asked:
    """One experiment as it was asked for. configs: the setup, and in a comparison those beside it.

    labels: what each is called. seeds: how many, or which. storage, study: where a search is kept. replay_of:
    the stored trial that this one repeats, as (experiment, label, seed).
    """

    kind: str
    challenge: str
    configs: tuple[MoAConfig, ...]
    labels: tuple[str, ...]
    seeds: int | tuple[int, ...] = 8
    narrow: float | None = None
    space: Space = field(default_factory=Space)
    budget: Budget | None = None
    confirm: int = 16
    replay_of: tuple[int, str, int] | None = None

    @property
    def title(self) -> str:
        """A line for the list of experiments."""
        if self.replay_of is not None:
            return f"Replay of {self.replay_of[0]}: {self.labels[0]}, seed {self.replay_of[2]}"
        what = " and ".join(self.labels[:2]) if self.kind == "compare" else self.labels[0]
        return f"{KINDS[self.kind]}: {what}"

    @property
    def planned(self) -> int:
        """How many trials to expect; 0 for a search, which its budget ends."""
        if self.kind == "search":
            return 0
        if self.kind == "ablate":
            from moa_core.experiments.ablate import parts_of

            return self.n_seeds * (1 + len(parts_of(self.configs[0])))
        return self.n_seeds * len(self.configs)

    @property
    def n_seeds(self) -> int:
        """How many seeds each setup is tried on."""
        return self.seeds if isinstance(self.seeds, int) else len(self.seeds)

    def request(self) -> dict[str, Any]:
        """What is stored about it."""
        return {
            "challenge": self.challenge,
            "configs": [config.to_dict() for config in self.configs],
            "labels": list(self.labels),
            "seeds": self.n_seeds,
            "replay_of": self.replay_of,
        }

    def make(self, executor: Executor, providers: Providers, storage: str, study: str) -> Experiment[Any]:
        """The experiment itself. Raises ConfigError and ExperimentError."""
        messages = task_messages(self.challenge)
        scorer = partial(score_reply, challenge=self.challenge)
        checker = PublicCases(self.challenge)
        what = (messages, providers, scorer)
        if self.kind == "compare":
            return compare(self.configs, *what, self.seeds, executor, checker=checker, labels=self.labels)
        first = self.configs[0]
        if self.kind == "ablate":
            return ablate(first, *what, self.seeds, executor, checker=checker)
        if self.kind == "spread":
            return spread(
                first, *what, self.seeds, executor, checker=checker, narrow=self.narrow, label=self.labels[0]
            )
        return search(
            first,
            *what,
            self.budget or Budget(minutes=10),
            executor,
            space=self.space,
            checker=checker,
            storage=storage,
            study=study,
            confirm=self.confirm,
        )


def replay_asked(record: Record, trial: Trial) -> Asked:
    """The experiment that makes one stored trial once more: the same setup, messages and seed."""
    return Asked(
        "spread",
        str(record.request["challenge"]),
        (trial.config,),
        (trial.label,),
        seeds=(trial.seed,),
        replay_of=(record.id, trial.label, trial.seed),
    )


def named(config: MoAConfig, name: str) -> MoAConfig:
    """The setup under a name, without a seed of its own: the Lab gives every try one."""
    return replace(config, name=config.name or name, seed=None)


def expected_end_s(done: int, planned: int, elapsed_s: float) -> float | None:
    """Seconds until the rest is done, as far as the trials so far tell; None before the first."""
    if not done or planned <= done:
        return None
    return elapsed_s / done * (planned - done)
