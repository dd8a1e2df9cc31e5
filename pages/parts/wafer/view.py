"""What a chart of the Wafer page is drawn for: the setting, and how the model lies on the wafers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from pages.state.wafer_setting import Setting
from wse_backend.wafer.economics import Pipeline, PipelineIntervals, Workload, pipeline, pipeline_intervals
from wse_backend.wafer.placement import Placement


@dataclass(frozen=True)
class View:
    """A setting and its placement, with what several charts need of them, computed once."""

    setting: Setting
    placement: Placement

    @cached_property
    def workload(self) -> Workload:
        """Raises InvalidParams."""
        return self.setting.workload()

    @cached_property
    def pipeline(self) -> Pipeline:
        """The placement timed with the fitted constants. Raises InvalidParams."""
        return pipeline(self.placement, workload=self.workload)

    @cached_property
    def intervals(self) -> PipelineIntervals:
        """The same with every refit. Raises InvalidParams."""
        return pipeline_intervals(self.placement, self.workload)

    @property
    def machine(self) -> str:
        """ "One WSE-3", "4 x WSE-3"."""
        n, name = self.placement.wafers, self.placement.spec.name
        return f"{n} x {name}" if n > 1 else f"One {name}"

    @property
    def on_machine(self) -> str:
        """The same inside a sentence."""
        return self.machine.replace("One", "one")
