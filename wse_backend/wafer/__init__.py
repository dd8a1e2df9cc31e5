"""A model on a wafer-scale engine: placement, timing and cost, modelled."""

from wse_backend.wafer.spec import WSE2, WSE3, WaferSpec

__all__ = ["WSE2", "WSE3", "WaferSpec"]
