"""Evidence instead of one lucky try: a setup over seeds, against another, without a part, and searched.

Knows no grader: whoever calls hands in what scores a reply.
"""

from moa_core.experiments.ablate import Ablation, ablate
from moa_core.experiments.budget import Budget
from moa_core.experiments.compare import Comparison, compare
from moa_core.experiments.experiment import Experiment
from moa_core.experiments.search import Search, search
from moa_core.experiments.space import Space
from moa_core.experiments.spread import Spread, spread
from moa_core.experiments.statistics import Difference
from moa_core.experiments.store import ExperimentStore
from moa_core.experiments.trial import Score, Scorer, Trial

__all__ = [
    "Ablation",
    "Budget",
    "Comparison",
    "Difference",
    "Experiment",
    "ExperimentStore",
    "Score",
    "Scorer",
    "Search",
    "Space",
    "Spread",
    "Trial",
    "ablate",
    "compare",
    "search",
    "spread",
]
