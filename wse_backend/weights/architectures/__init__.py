"""The families of models that the engine runs, one file each; `description.py` says what may differ."""

from wse_backend.weights.architectures.description import Architecture, Experts
from wse_backend.weights.architectures.llama import LLAMA
from wse_backend.weights.architectures.qwen2 import QWEN2

ARCHITECTURES: dict[str, Architecture] = {family.name: family for family in (LLAMA, QWEN2)}

__all__ = ["ARCHITECTURES", "Architecture", "Experts"]
