"""Search: Optuna proposes setups, seeds are spent by successive halving, the winner is confirmed.

Two goals, score and tokens written: what no other setup beats in both is the Pareto front. Multi-objective
TPE: Ozaki et al. 2020, GECCO; successive halving: Jamieson & Talwalkar 2016, AISTATS. Optuna's own pruners
take one goal only, so the halving is done here, over the seeds of a batch of proposals.
"""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Generator, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moa_core.config.values import MoAConfig
from moa_core.errors import ConfigError, OtherStudy
from moa_core.experiments.budget import Budget, Spent
from moa_core.experiments.experiment import Experiment
from moa_core.experiments.rewriting import failures_in, rewrite
from moa_core.experiments.space import REWRITE, Choice, Space, describe
from moa_core.experiments.spread import Spread, gathered, task_of
from moa_core.experiments.statistics import median
from moa_core.experiments.store import FORMAT, database_url
from moa_core.experiments.trial import (
    Assignment,
    Providers,
    Scorer,
    Task,
    Trial,
    config_key,
    provided,
)
from moa_core.experiments.waves import run_wave
from moa_core.providers.model_info import TokenPrice
from moa_core.runs.prompts import Message
from moa_core.runs.strategy_context import Checker

if TYPE_CHECKING:
    import optuna

BATCH = 4  # proposals that compete for seeds
RUNGS = (1, 2, 4)  # seeds that a proposal has had after each round; the better half goes on
FIRST_FRESH_SEED = 100_001  # seeds from here on are never used by the search itself
CONFIRM_SEEDS = 16
MIN_CONFIRM_SEEDS = 2
STALE_PROPOSALS = 24  # proposals in a row that were all known: the space is as good as exhausted
SAMPLER_SEED = 2024


@dataclass(slots=True)
class Candidate:
    """A setup that was proposed, and how it did. failures: what its replies failed at, for rewriting."""

    number: int
    choice: Choice
    config: MoAConfig
    scores: list[float] = field(default_factory=list)
    tokens: list[float] = field(default_factory=list)
    details: list[dict[str, Any]] = field(default_factory=list)
    is_front: bool = False

    @property
    def label(self) -> str:
        """Its number and what was chosen."""
        return f"#{self.number}: {describe(self.choice)}"

    @property
    def score(self) -> float:
        """The median of its scores; below any score when it has none."""
        return median(self.scores) if self.scores else -1.0

    @property
    def cost(self) -> float:
        """The median of the tokens that its tries wrote."""
        return median(self.tokens) if self.tokens else float("inf")


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found. winner: None when nothing got a score. confirmed: the winner on fresh seeds.

    spreads: the confirmation first, then every setup of this session as far as it was tried.
    """

    candidates: tuple[Candidate, ...]
    winner: Candidate | None
    confirmed: Spread | None
    spent: Spent
    n_resumed: int
    spreads: tuple[Spread, ...] = ()

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Every trial of this session."""
        return tuple(trial for each in self.spreads for trial in each.trials)

    @property
    def points(self) -> list[tuple[float, float, str, bool]]:
        """(tokens, score, label, is on the front) of every setup with a score."""
        return [(c.cost, c.score, c.label, c.is_front) for c in self.candidates if c.scores]

    @property
    def words(self) -> str:
        """What came of it, the number on fresh seeds first."""
        if self.winner is None:
            return f"None of the {len(self.candidates)} setups got a score."
        seen = f"{self.winner.score:.4g} on the {len(self.winner.scores)} seeds of the search"
        if self.confirmed is None or self.confirmed.median is None:
            return (
                f"The best setup is {self.winner.label}, with {seen}; the budget left nothing to confirm it."
            )
        return (
            f"The best of {len(self.candidates)} setups is {self.winner.label}: median "
            f"{self.confirmed.median:.4g} of {self.confirmed.maximum:g} on {len(self.confirmed.values)} "
            f"fresh seeds ({seen})."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {
            "words": self.words,
            "winner": None
            if self.winner is None
            else {"label": self.winner.label, "config": self.winner.config.to_dict()},
            "confirmed": None if self.confirmed is None else self.confirmed.to_dict(),
            "spent": asdict(self.spent),
            "resumed": self.n_resumed,
            "candidates": [
                {
                    "label": each.label,
                    "choice": dict(each.choice),
                    "scores": each.scores,
                    "score": each.score if each.scores else None,
                    "tokens": each.cost if each.tokens else None,
                    "front": each.is_front,
                }
                for each in self.candidates
            ],
        }


def search(
    config: MoAConfig,
    messages: str | Sequence[Message],
    providers: Providers,
    scorer: Scorer,
    budget: Budget | str,
    executor: Executor | None = None,
    *,
    space: Space,
    checker: Checker | None = None,
    prices: dict[str, TokenPrice] | None = None,
    storage: str | Path | None = None,
    study: str = "lab",
    confirm: int = CONFIRM_SEEDS,
) -> Experiment[Search]:
    """Search `space` around `config` until the budget is spent; the confirmation is part of the budget.

    storage: a file or database URL that the study is kept in, to be gone on with under the same name `study`
    by the same call; None: in memory. Raises ExperimentError (a budget of zero, a space with one point),
    OtherStudy (another question, or another version), ConfigError, InvalidMessages.
    """
    limit = Budget.from_text(budget) if isinstance(budget, str) else budget
    space.check(config)
    task = task_of(messages, providers, scorer, checker, prices)
    return Experiment(_Searcher(config, task, space, limit, executor, storage, study, confirm).run())


class _Searcher:
    """One search under way."""

    def __init__(
        self,
        base: MoAConfig,
        task: Task,
        space: Space,
        budget: Budget,
        executor: Executor | None,
        storage: str | Path | None,
        name: str,
        confirm: int,
    ) -> None:
        self._base, self._task, self._space = base, task, space
        self._budget, self._executor, self._confirm = budget, executor, confirm
        self._study = _open_study(storage, name, fingerprint(base, task, space))
        self._spent = Spent(**self._study.user_attrs.get("spent", {}))
        self._began = time.monotonic() - 60 * self._spent.minutes
        self._known = _known_candidates(self._study)
        self._n_resumed = len(self._known)
        self._done: list[Trial] = []
        self._session: list[Candidate] = []

    def run(self) -> Generator[Trial, None, Search]:
        stale = 0
        while stale < STALE_PROPOSALS and len(self._known) < self._space.size and not self._must_confirm():
            batch = self._propose()
            if not batch:
                stale += BATCH
                continue
            stale = 0
            yield from self._halve([candidate for _, candidate in batch])
            self._tell(batch)
        winner = max(self._known.values(), key=lambda c: (c.score, -c.cost), default=None)
        if winner is not None and not winner.scores:
            winner = None
        confirmed = None
        if winner is not None:
            confirmed = yield from self._confirmed(winner)
        candidates = tuple(sorted(self._known.values(), key=lambda c: c.number))
        _mark_front(candidates)
        own = [gathered(candidate.label, self._done) for candidate in self._session]
        spreads = tuple(each for each in (confirmed, *own) if each is not None and each.trials)
        return Search(candidates, winner, confirmed, self._spent, self._n_resumed, spreads)

    def _propose(self) -> list[tuple[optuna.trial.Trial, Candidate]]:
        """Up to BATCH new setups; one that is known already is answered at once with what is known."""
        batch: list[tuple[optuna.trial.Trial, Candidate]] = []
        for _ in range(BATCH):
            asked = self._study.ask(_distributions(self._space))
            choice = dict(asked.params)
            known = self._known.get(_key(choice)) or next(
                (candidate for _, candidate in batch if _key(candidate.choice) == _key(choice)), None
            )
            if known is not None:
                _tell_known(self._study, asked, known)
                continue
            config = self._space.configured(self._base, choice, self._rewritten(choice))
            candidate = Candidate(asked.number, choice, config)
            asked.set_user_attr("config", config.to_dict())
            batch.append((asked, candidate))
            self._session.append(candidate)
        return batch

    def _halve(self, alive: list[Candidate]) -> Generator[Trial, None, None]:
        """Give every proposal a seed, the better half two, and so on, as far as the budget goes."""
        for n_before, n_seeds in zip((0, *RUNGS), RUNGS, strict=False):
            if n_before and self._must_confirm():
                return
            seeds = range(n_before + 1, n_seeds + 1)
            work = [Assignment(c.label, c.config, seed) for c in alive for seed in seeds]
            by_label = {candidate.label: candidate for candidate in alive}
            for trial in run_wave(work, self._task, self._executor):
                self._take(trial, by_label[trial.label])
                yield trial
            alive = sorted(alive, key=lambda c: (-c.score, c.cost))[: max(1, len(alive) // 2)]

    def _take(self, trial: Trial, candidate: Candidate | None) -> None:
        """Book a trial: what it spent, and what it says about its setup."""
        self._done.append(trial)
        minutes = (time.monotonic() - self._began) / 60
        self._spent = replace(self._spent.with_trial(trial, self._budget), minutes=minutes)
        if candidate is not None and trial.score is not None:
            candidate.scores.append(trial.score.value)
            candidate.tokens.append(float(trial.completion_tokens))
            candidate.details.append(dict(trial.score.detail))

    def _tell(self, batch: Sequence[tuple[optuna.trial.Trial, Candidate]]) -> None:
        """Tell Optuna how the batch did; a setup that never got a score counts as failed."""
        from optuna.trial import TrialState

        self._study.set_user_attr("spent", asdict(self._spent))
        for asked, candidate in batch:
            self._known[_key(candidate.choice)] = candidate
            asked.set_user_attr("scores", candidate.scores)
            asked.set_user_attr("tokens", candidate.tokens)
            asked.set_user_attr("failures", failures_in(candidate.details))
            if candidate.scores:
                self._study.tell(asked, [candidate.score, candidate.cost])
            else:
                self._study.tell(asked, state=TrialState.FAIL)

    def _must_confirm(self) -> bool:
        """Whether the rest of the budget is needed to confirm the best setup, or is spent."""
        if self._budget.is_spent(self._spent):
            return True
        per_try = self._per_try()
        return per_try is not None and self._budget.tries_left(self._spent, per_try) < self._confirm + BATCH

    def _per_try(self) -> Spent | None:
        """What one try took on average in this session, minutes as they pass with others beside it."""
        if not self._done:
            return None
        n = len(self._done)
        return Spent(
            calls=sum(trial.n_calls for trial in self._done) / n,
            minutes=sum(trial.seconds for trial in self._done) / 60 / n / min(n, BATCH),
            dollars=sum(trial.dollars or 0.0 for trial in self._done) / n,
        )

    def _confirmed(self, winner: Candidate) -> Generator[Trial, None, Spread | None]:
        """The winner on seeds that the search never saw: as many as the budget leaves, at most `confirm`."""
        per_try = self._per_try()
        left = self._confirm
        if per_try is not None:
            left = int(min(left, self._budget.tries_left(self._spent, per_try)))
        count = max(MIN_CONFIRM_SEEDS, left) if self._confirm else 0
        label = f"confirmed: {winner.label}"
        seeds = range(FIRST_FRESH_SEED, FIRST_FRESH_SEED + count)
        work = [Assignment(label, winner.config, seed) for seed in seeds]
        for trial in run_wave(work, self._task, self._executor):
            self._take(trial, None)
            yield trial
        return gathered(label, self._done) if work else None

    def _rewritten(self, choice: Choice) -> str:
        """The prompt of the chosen rewrite: written when it is first chosen, and kept in the study."""
        number = int(choice.get(REWRITE, 0))
        if not number:
            return ""
        name = f"{REWRITE} {number}"
        kept = self._study.user_attrs.get(name)
        if kept is None:
            best = max(self._known.values(), key=lambda c: c.score, default=None)
            failures = failures_in(best.details) if best is not None else []
            agent = (best.config if best is not None else self._base).agents[0]
            kept = rewrite(
                agent.prompt, failures, self._space.rewriter, provided(self._task.providers), number
            )
            self._spent = replace(self._spent, calls=self._spent.calls + 1)
            self._study.set_user_attr(name, kept)
        return str(kept)


def fingerprint(base: MoAConfig, task: Task, space: Space) -> str:
    """Names the question of a study: the setup, the task, how it is scored, and what may be changed."""
    scorer = getattr(task.scorer, "func", task.scorer)
    name = f"{getattr(scorer, '__module__', '')}:{getattr(scorer, '__qualname__', type(scorer).__name__)}"
    data = [FORMAT, config_key(base), list(map(dict, task.messages)), name, asdict(space)]
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def _open_study(storage: str | Path | None, name: str, question: str) -> optuna.study.Study:
    """A new study or the stored one by that name; what a crash left running is proposed again."""
    import optuna
    from optuna.trial import TrialState
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=SAMPLER_SEED, n_startup_trials=2 * BATCH)
    try:
        study = optuna.create_study(
            storage=None if storage is None else _storage(database_url(storage)),
            sampler=sampler,
            study_name=name,
            directions=["maximize", "minimize"],
            load_if_exists=True,
        )
    except (SQLAlchemyError, RuntimeError, ValueError) as exc:
        raise OtherStudy(f"the study {name!r} cannot be opened: {str(exc).splitlines()[0]}") from exc
    known = study.user_attrs.get("question")
    if known is None and not study.trials:
        study.set_user_attr("question", question)
    elif known != question:
        raise OtherStudy(
            f"the study {name!r} was made for another setup, task, scorer or search space, or by another "
            "version; use another name for a new study"
        )
    for left in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(left.number, state=TrialState.FAIL)
        study.enqueue_trial(left.params)
    return study


def _storage(url: str) -> Any:
    """Optuna's storage without a pool: a search that ends, or is left, keeps no connection open."""
    from optuna.storages import RDBStorage
    from sqlalchemy.pool import NullPool

    return RDBStorage(url, engine_kwargs={"poolclass": NullPool})


def _distributions(space: Space) -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution

    return {name: CategoricalDistribution(values) for name, values in space.dimensions.items()}


def _known_candidates(study: optuna.study.Study) -> dict[str, Candidate]:
    """The setups of a stored study that have ended, by their choice."""
    found: dict[str, Candidate] = {}
    for trial in study.trials:
        scores = trial.user_attrs.get("scores")
        if scores is None or _key(trial.params) in found:
            continue
        try:
            config = MoAConfig.from_json(trial.user_attrs["config"])
        except (KeyError, ConfigError) as exc:
            raise OtherStudy(f"a setup of this study cannot be read by this version: {exc}") from exc
        details = [{"feedback": line} for line in trial.user_attrs.get("failures", ())]
        found[_key(trial.params)] = Candidate(
            trial.number, dict(trial.params), config, list(scores), list(trial.user_attrs["tokens"]), details
        )
    return found


def _tell_known(study: optuna.study.Study, asked: optuna.trial.Trial, known: Candidate) -> None:
    from optuna.trial import TrialState

    if known.scores:
        study.tell(asked, [known.score, known.cost])
    else:
        study.tell(asked, state=TrialState.FAIL)


def _mark_front(candidates: Sequence[Candidate]) -> None:
    """Mark those that no other beats in one goal without losing in the other."""
    scored = [candidate for candidate in candidates if candidate.scores]
    for each in scored:
        each.is_front = not any(
            (other.score >= each.score and other.cost < each.cost)
            or (other.score > each.score and other.cost <= each.cost)
            for other in scored
        )


def _key(choice: Choice) -> str:
    return json.dumps(dict(choice), sort_keys=True)
